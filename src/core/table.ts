/**
 * sid → entry, in memory: look-up, recency, limits and byte count. No I/O, no timers, no clock.
 *
 * An index holds sid → slot; with a limit another one holds the order of use, which without one
 * evicts nobody. What an entry consists of stands in columns by slot, its sid and its body in a cell
 * of a slab: a number in a typed array costs eight bytes where an object a session costs a hundred,
 * and the garbage collector has nothing to visit. A slot keeps its number while its session lives, so
 * that a walk by slot can pause for as long as it likes while sessions are used, changed and dropped.
 */
import type { CookieShape } from './cookie.js'
import type { EntryRecord } from './format.js'
import { LruIndex } from './lru-index.js'
import { SidIndex } from './sid-index.js'
import { isSid, readSid, sidEnd, sidLength, sidRoom, writeSid } from './sid-text.js'
import { lengthAt, PLACE, Slab } from './slab.js'
import type { Span } from './span.js'

const CHUNK_BITS = 13
const CHUNK = 1 << CHUNK_BITS
const MASK = CHUNK - 1
/** No slot. */
const NONE = 0xffffffff
/** The last second that the column of saved expiries can hold, in 2106; a later one is capped. */
const LATEST = 0xffffffff

/** The numbers of an entry lie side by side, so that a read at random waits for memory once. */
const NUMBERS = 3
const EXPIRES = 0
const STAMP = 1
const USED = 2

/** Columns grow by chunks: nothing is ever copied, so no `set` pays for a million others. */
class Chunk {
  readonly cookies = new Array<CookieShape | undefined>(CHUNK).fill(undefined)
  readonly numbers = new Float64Array(CHUNK * NUMBERS)
  /** When cookies expire; not there while each does when {@link impliedExpiry} says. */
  cookieExpires: Float64Array | undefined
  /** Where the cells lie; of no length where there is no entry. */
  readonly places = new Uint32Array(CHUNK * PLACE)
  /** The expiry that the files hold, in whole seconds; 0 where they hold none. */
  readonly saved = new Uint32Array(CHUNK)
  /** What changes.ts notes of the slot: of the slot, so it outlives the session. */
  readonly flags = new Uint8Array(CHUNK)
}

/** When a cookie expires that says when, unless something else ends the session before it. */
function impliedExpiry(cookie: CookieShape | undefined, expires: number): number {
  return cookie?.form === 'date' ? expires : NaN
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
  /** Called with a slot that has flags when its session is about to go, still readable. */
  onLeave: ((slot: number) => void) | undefined
  #index = this.#makeIndex()
  /** The order of use, where there is a limit and nothing is being loaded. */
  #lru: LruIndex | undefined
  #chunks: Chunk[] = []
  #slab = new Slab()
  /** The free slot that is taken next, which says in its place which comes after it. */
  #free = NONE
  #slots = 0
  #bytes = 0
  #onEvict: (slot: number) => void

  constructor(limits: TableLimits, onEvict: (slot: number) => void) {
    this.limits = limits
    this.#onEvict = onEvict
    this.#lru = this.#makeOrder()
  }

  /** Entries, expired ones that nobody has noticed yet included. */
  get size(): number {
    return this.#index.size
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
    return this.#index.get(sid)
  }

  /** The slot of `sid`, or -1; it is the most recently used from now on. */
  use(sid: string, used: number): number {
    const slot = this.#index.get(sid)
    if (slot < 0) return -1
    this.#lru?.use(slot)
    this.#chunk(slot).numbers[(slot & MASK) * NUMBERS + USED] = used
    return slot
  }

  /** Whether an entry of these sizes can be held at all. */
  fits(sid: string, length: number): boolean {
    return this.limits.maxBytes === 0 || sid.length + length <= this.limits.maxBytes
  }

  /**
   * Inserts or replaces an entry and makes it the most recently used; limits may evict others.
   * The caller has asked {@link fits}. The body is copied.
   */
  put(record: EntryRecord, body: Span): number {
    const found = this.#index.get(record.sid)
    const known = found >= 0
    const slot = known ? found : this.#allocate()
    const chunk = this.#chunk(slot)
    const i = slot & MASK
    if (known) this.#replace(chunk, i, body)
    else this.#add(chunk, i, record.sid, body)
    this.#write(chunk, i, record)
    if (!known) this.#index.add(record.sid, slot)
    this.#lru?.use(slot)
    this.#shrink()
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
    this.#lru?.delete(slot)
    this.#index.delete(this.sid(slot), slot)
    this.#release(slot)
  }

  /** Drops everything at once; the walk of a million is left to the garbage collector. */
  clear(): void {
    this.#index = this.#makeIndex()
    this.#lru = this.#makeOrder()
    this.#chunks = []
    this.#slab = new Slab()
    this.#free = NONE
    this.#slots = 0
    this.#bytes = 0
  }

  /** Lifts the limits while files are loaded, in whatever order they hold their entries. */
  beginLoad(): void {
    this.#lru = undefined
  }

  /** Restores recency from what the records said and puts the limits back in force. */
  endLoad(): void {
    if (this.limits.max === 0 && this.limits.maxBytes === 0) return
    const slots = new Uint32Array(this.size)
    let count = 0
    for (let slot = 0; slot < this.#slots; slot++) {
      if (this.has(slot)) slots[count++] = slot
    }
    slots.sort((a, b) => this.used(a) - this.used(b))
    this.#lru = this.#makeOrder()
    for (const slot of slots) {
      if (this.fits(this.sid(slot), this.length(slot))) this.#lru?.use(slot)
      else this.#evict(slot)
    }
    this.#shrink()
  }

  /** Whether `slot` holds an entry. */
  has(slot: number): boolean {
    const chunk = this.#chunks[slot >>> CHUNK_BITS]
    return chunk !== undefined && lengthAt(chunk.places, (slot & MASK) * PLACE) > 0
  }

  sid(slot: number): string {
    const { bytes, start } = this.#cell(slot)
    return readSid(bytes, start)
  }

  /** The body where it lies. The answer is one object, and holds until the next call. */
  body(slot: number): Span {
    const cell = this.#cell(slot)
    cell.start = sidEnd(cell.bytes, cell.start)
    return cell
  }

  /** Bytes of the body. */
  length(slot: number): number {
    const { start, end } = this.body(slot)
    return end - start
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
    const chunk = this.#chunk(slot)
    if (chunk.cookieExpires) return chunk.cookieExpires[slot & MASK]!
    return impliedExpiry(chunk.cookies[slot & MASK], this.expires(slot))
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

  /** What changes.ts notes of the slot, whoever is in it; 0 where there is no such slot. */
  flags(slot: number): number {
    return this.#chunks[slot >>> CHUNK_BITS]?.flags[slot & MASK] ?? 0
  }

  setFlags(slot: number, flags: number): void {
    const chunk = this.#chunks[slot >>> CHUNK_BITS]
    if (chunk) chunk.flags[slot & MASK] = flags
  }

  /** Copies an entry's columns, without the body, into `record`. */
  read(slot: number, record: EntryRecord): void {
    const chunk = this.#chunk(slot)
    const i = slot & MASK
    record.sid = this.sid(slot)
    record.cookie = chunk.cookies[i]
    const { numbers } = chunk
    const at = i * NUMBERS
    record.expires = numbers[at + EXPIRES]!
    record.stamp = numbers[at + STAMP]!
    record.used = numbers[at + USED]!
    record.cookieExpires = this.cookieExpires(slot)
  }

  #write(chunk: Chunk, i: number, record: EntryRecord): void {
    chunk.cookies[i] = record.cookie
    const { numbers } = chunk
    const at = i * NUMBERS
    numbers[at + EXPIRES] = record.expires
    numbers[at + STAMP] = record.stamp
    numbers[at + USED] = record.used
    this.#writeCookieExpires(chunk, i, record)
  }

  #writeCookieExpires(chunk: Chunk, i: number, record: EntryRecord): void {
    const { cookieExpires } = record
    if (!chunk.cookieExpires) {
      const implied = impliedExpiry(record.cookie, record.expires)
      if (Object.is(cookieExpires, implied)) return
      chunk.cookieExpires = Float64Array.from(chunk.cookies, (cookie, other) =>
        impliedExpiry(cookie, chunk.numbers[other * NUMBERS + EXPIRES]!),
      )
    }
    chunk.cookieExpires[i] = cookieExpires
  }

  #chunk(slot: number): Chunk {
    return this.#chunks[slot >>> CHUNK_BITS]!
  }

  /** The sid and the body where they lie, until the next call. */
  #cell(slot: number): Span {
    return this.#slab.at(this.#chunk(slot).places, (slot & MASK) * PLACE)
  }

  #add({ places }: Chunk, i: number, sid: string, body: Span): void {
    const before = sidRoom(sid)
    this.#slab.add(before + body.end - body.start, places, i * PLACE)
    const { bytes, start } = this.#slab.at(places, i * PLACE)
    writeSid(bytes, start, sid)
    body.bytes.copy(bytes, start + before, body.start, body.end)
    this.#bytes += sid.length + body.end - body.start
  }

  #replace({ places }: Chunk, i: number, body: Span): void {
    const cell = this.#slab.at(places, i * PLACE)
    const before = sidEnd(cell.bytes, cell.start) - cell.start
    const length = before + body.end - body.start
    this.#bytes += length - (cell.end - cell.start)
    this.#slab.resize(length, before, places, i * PLACE)
    const { bytes, start } = this.#slab.at(places, i * PLACE)
    body.bytes.copy(bytes, start + before, body.start, body.end)
  }

  #allocate(): number {
    const free = this.#free
    const slot = free === NONE ? this.#slots++ : free
    if (slot >>> CHUNK_BITS === this.#chunks.length) this.#chunks.push(new Chunk())
    const chunk = this.#chunk(slot)
    if (slot === free) this.#free = chunk.places[(slot & MASK) * PLACE]!
    chunk.saved[slot & MASK] = 0
    return slot
  }

  #release(slot: number): void {
    const chunk = this.#chunk(slot)
    const i = slot & MASK
    if (chunk.flags[i] !== 0) this.onLeave?.(slot)
    const { bytes, start, end } = this.#cell(slot)
    this.#bytes -= sidLength(bytes, start) + end - sidEnd(bytes, start)
    this.#slab.remove(chunk.places, i * PLACE)
    chunk.cookies[i] = undefined
    // A list in an array would be copied when it grows, for tens of milliseconds.
    chunk.places[i * PLACE] = this.#free
    this.#free = slot
  }

  /** Evicts until the limits are kept: by then the entry used last, which fits, is never the next. */
  #shrink(): void {
    const { max, maxBytes } = this.limits
    while (this.#lru) {
      const over = (max > 0 && this.#lru.size > max) || (maxBytes > 0 && this.#bytes > maxBytes)
      const slot = over ? this.#lru.pop() : -1
      if (slot < 0) return
      this.#evict(slot)
    }
  }

  #evict(slot: number): void {
    const slab = this.#slab
    // Gone for whoever is told, who may set it anew.
    this.#index.delete(this.sid(slot), slot)
    this.#onEvict(slot)
    // Whoever is told may clear the table.
    if (this.#slab === slab) this.#release(slot)
  }

  #makeIndex(): SidIndex {
    return new SidIndex((slot, sid) => {
      const { bytes, start } = this.#cell(slot)
      return isSid(bytes, start, sid)
    })
  }

  #makeOrder(): LruIndex | undefined {
    const { max, maxBytes } = this.limits
    return max > 0 || maxBytes > 0 ? new LruIndex(max) : undefined
  }
}
