/**
 * sid → entry, in memory: look-up, recency, limits and byte count. No I/O, no timers, no clock.
 *
 * lru-cache holds sid → slot, the recency list and the limits. What an entry consists of stands in
 * columns by slot: a number in a typed array costs eight bytes where an object a session costs a
 * hundred, and the garbage collector has nothing to visit. A slot keeps its number while its
 * session lives, so that a walk by slot can pause for as long as it likes while sessions are used,
 * changed and dropped; a walk along lru-cache's list ends early when that happens.
 */
import { LRUCache } from 'lru-cache'
import type { CookieShape } from './cookie.js'
import type { EntryRecord } from './format.js'

const CHUNK_BITS = 13
const CHUNK = 1 << CHUNK_BITS
const MASK = CHUNK - 1
/** The last second that the column of saved expiries can hold, in 2106; a later one is capped. */
const LATEST = 0xffffffff

/** The numbers of an entry lie side by side, so that a read at random waits for memory once. */
const NUMBERS = 4
const EXPIRES = 0
const STAMP = 1
const USED = 2
const COOKIE_EXPIRES = 3

/** Columns grow by chunks: nothing is ever copied, so no `set` pays for a million others. */
class Chunk {
  readonly sids = new Array<string | undefined>(CHUNK).fill(undefined)
  readonly bodies = new Array<string>(CHUNK).fill('')
  readonly cookies = new Array<CookieShape | undefined>(CHUNK).fill(undefined)
  readonly numbers = new Float64Array(CHUNK * NUMBERS)
  /** The expiry that the files hold, in whole seconds; 0 where they hold none. */
  readonly saved = new Uint32Array(CHUNK)
}

/** What bounds a table; 0: no bound. */
export interface TableLimits {
  /** Sessions. */
  max: number
  /** Bytes of bodies and ids. */
  maxBytes: number
}

/** The table. `onEvict` is called with the slot of an entry that a limit drops, still readable. */
export class Table {
  readonly limits: TableLimits
  #lru: LRUCache<string, number>
  #chunks: Chunk[] = []
  #free: number[] = []
  #slots = 0
  #bytes = 0
  #onEvict: (slot: number) => void
  /** Whether the order of use matters: without a limit nothing is evicted, and lru-cache only maps. */
  readonly #limited: boolean
  /** The one options object of every `set`: the size is all that differs. */
  #setOptions = { size: 1 }

  constructor(limits: TableLimits, onEvict: (slot: number) => void) {
    this.limits = limits
    this.#limited = limits.max > 0 || limits.maxBytes > 0
    this.#onEvict = onEvict
    this.#lru = this.#makeLru(limits)
  }

  /** Entries, expired ones that nobody has noticed yet included. */
  get size(): number {
    return this.#lru.size
  }

  /** Bytes of bodies and ids. */
  get bytes(): number {
    return this.#bytes
  }

  /** One past the highest slot in use: where a walk ends. */
  get slots(): number {
    return this.#slots
  }

  /** The slot of `sid`, or -1. Its recency stays as it is. */
  find(sid: string): number {
    return this.#lru.peek(sid) ?? -1
  }

  /** The slot of `sid`, or -1; it is the most recently used from now on. */
  use(sid: string, used: number): number {
    const slot = this.#limited ? this.#lru.get(sid) : this.#lru.peek(sid)
    if (slot === undefined) return -1
    this.#chunk(slot).numbers[(slot & MASK) * NUMBERS + USED] = used
    return slot
  }

  /** Whether an entry of these sizes can be held at all. */
  fits(sid: string, body: string): boolean {
    return this.limits.maxBytes === 0 || sid.length + body.length <= this.limits.maxBytes
  }

  /**
   * Inserts or replaces an entry and makes it the most recently used; limits may evict others.
   * The caller has asked {@link fits}.
   */
  put(record: EntryRecord, body: string): number {
    const known = this.#lru.peek(record.sid)
    const slot = known ?? this.#allocate(record.sid)
    const chunk = this.#chunk(slot)
    const i = slot & MASK
    const grown = body.length + (known === undefined ? record.sid.length : -chunk.bodies[i]!.length)
    this.#bytes += grown
    chunk.bodies[i] = body
    this.#write(chunk, i, record)
    if (known !== undefined && !this.#limited) return slot
    if (this.limits.maxBytes > 0) {
      this.#setOptions.size = record.sid.length + body.length || 1
      // lru-cache keeps the size it knows while the value, our slot, stays the same.
      if (known !== undefined && grown !== 0) this.#lru.delete(record.sid)
    }
    this.#lru.set(record.sid, slot, this.#setOptions)
    return slot
  }

  /** Replaces all of an entry but its body. Recency is {@link use}'s. */
  touch(slot: number, record: EntryRecord): void {
    this.#write(this.#chunk(slot), slot & MASK, record)
  }

  /** Gives an entry a later stamp. */
  restamp(slot: number, stamp: number): void {
    this.#chunk(slot).numbers[(slot & MASK) * NUMBERS + STAMP] = stamp
  }

  /** Drops the entry in `slot`. */
  remove(slot: number): void {
    this.#lru.delete(this.sid(slot))
    this.#release(slot)
  }

  /** Drops everything at once; the walk of a million is left to the garbage collector. */
  clear(): void {
    this.#lru = this.#makeLru(this.limits)
    this.#chunks = []
    this.#free = []
    this.#slots = 0
    this.#bytes = 0
  }

  /** Lifts the limits while files are loaded, in whatever order they hold their entries. */
  beginLoad(): void {
    if (this.#limited) this.#lru = this.#makeLru({ max: 0, maxBytes: 0 })
  }

  /** Restores recency from what the records said and puts the limits back in force. */
  endLoad(): void {
    if (!this.#limited) return
    const slots = new Uint32Array(this.size)
    let count = 0
    for (let slot = 0; slot < this.#slots; slot++) {
      if (this.has(slot)) slots[count++] = slot
    }
    slots.sort((a, b) => this.used(a) - this.used(b))
    this.#lru = this.#makeLru(this.limits)
    for (const slot of slots) {
      const size = this.sid(slot).length + this.body(slot).length
      if (this.limits.maxBytes > 0 && size > this.limits.maxBytes) {
        this.#onEvict(slot)
        this.#release(slot)
        continue
      }
      if (this.limits.maxBytes > 0) this.#setOptions.size = size || 1
      this.#lru.set(this.sid(slot), slot, this.#setOptions)
    }
  }

  /** Whether `slot` holds an entry. */
  has(slot: number): boolean {
    return this.#chunks[slot >>> CHUNK_BITS]?.sids[slot & MASK] !== undefined
  }

  sid(slot: number): string {
    return this.#chunk(slot).sids[slot & MASK]!
  }

  body(slot: number): string {
    return this.#chunk(slot).bodies[slot & MASK]!
  }

  cookie(slot: number): CookieShape | undefined {
    return this.#chunk(slot).cookies[slot & MASK]
  }

  expires(slot: number): number {
    return this.#chunk(slot).numbers[(slot & MASK) * NUMBERS + EXPIRES]!
  }

  stamp(slot: number): number {
    return this.#chunk(slot).numbers[(slot & MASK) * NUMBERS + STAMP]!
  }

  used(slot: number): number {
    return this.#chunk(slot).numbers[(slot & MASK) * NUMBERS + USED]!
  }

  /** NaN where the cookie names no moment. */
  cookieExpires(slot: number): number {
    return this.#chunk(slot).numbers[(slot & MASK) * NUMBERS + COOKIE_EXPIRES]!
  }

  /** The expiry that the files hold, in ms to the second; 0 where they hold none. */
  saved(slot: number): number {
    return this.#chunk(slot).saved[slot & MASK]! * 1000
  }

  /** Notes that the files now hold, or have on the way, the expiry of this moment. */
  markSaved(slot: number): void {
    const chunk = this.#chunk(slot)
    const seconds = Math.floor(this.expires(slot) / 1000)
    chunk.saved[slot & MASK] = Math.min(seconds, LATEST)
  }

  /** Copies an entry's columns, without the body, into `record`. */
  read(slot: number, record: EntryRecord): void {
    const chunk = this.#chunk(slot)
    const i = slot & MASK
    record.sid = chunk.sids[i]!
    record.cookie = chunk.cookies[i]
    const { numbers } = chunk
    const at = i * NUMBERS
    record.expires = numbers[at + EXPIRES]!
    record.stamp = numbers[at + STAMP]!
    record.used = numbers[at + USED]!
    record.cookieExpires = numbers[at + COOKIE_EXPIRES]!
  }

  #write(chunk: Chunk, i: number, record: EntryRecord): void {
    chunk.cookies[i] = record.cookie
    const { numbers } = chunk
    const at = i * NUMBERS
    numbers[at + EXPIRES] = record.expires
    numbers[at + STAMP] = record.stamp
    numbers[at + USED] = record.used
    numbers[at + COOKIE_EXPIRES] = record.cookieExpires
  }

  #chunk(slot: number): Chunk {
    return this.#chunks[slot >>> CHUNK_BITS]!
  }

  #allocate(sid: string): number {
    const slot = this.#free.pop() ?? this.#slots++
    if (slot >>> CHUNK_BITS === this.#chunks.length) this.#chunks.push(new Chunk())
    const chunk = this.#chunk(slot)
    chunk.sids[slot & MASK] = sid
    chunk.saved[slot & MASK] = 0
    return slot
  }

  #release(slot: number): void {
    const chunk = this.#chunk(slot)
    const i = slot & MASK
    this.#bytes -= chunk.sids[i]!.length + chunk.bodies[i]!.length
    chunk.sids[i] = undefined
    chunk.bodies[i] = ''
    chunk.cookies[i] = undefined
    this.#free.push(slot)
  }

  #makeLru({ max, maxBytes }: TableLimits): LRUCache<string, number> {
    const sized = maxBytes > 0 || max === 0
    this.#setOptions = { size: sized ? 1 : 0 }
    return new LRUCache<string, number>({
      max,
      // lru-cache wants a bound of some kind, and preallocates for `max`.
      maxSize: maxBytes > 0 ? maxBytes : sized ? Number.MAX_SAFE_INTEGER : 0,
      dispose: (slot, _sid, reason) => {
        if (reason !== 'evict') return
        this.#onEvict(slot)
        this.#release(slot)
      },
    })
  }
}
