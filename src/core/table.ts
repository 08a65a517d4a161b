/**
 * sid → entry, in memory: look-up, recency, limits and byte count. No I/O, no timers, no clock.
 *
 * An index holds sid → slot; with a limit another one holds the order of use, which without one
 * evicts nobody. An entry is a row by slot, with its sid if that can be packed, and its body in a cell
 * of a slab, behind any other sid. A slot keeps its number while its session lives, so that a walk by
 * slot can pause for as long as it likes while sessions are used, changed and dropped.
 */
import { Rows, placeOf } from './rows.js'
import type { CookieShape } from './cookie.js'
import type { EntryFields, EntryRecord } from './format.js'
import { LruIndex } from './lru-index.js'
import { SidIndex, type Wanted } from './sid-index.js'
import { PACKED_CHARACTERS } from './sid-key.js'
import { isSid, readSid, sidEnd, sidLength, sidRoom, writeSid } from './sid-text.js'
import { Slab } from './slab.js'
import { lengthOf, type Span } from './span.js'

/** So many are prefetched at a time: all of it has room in the processor's nearest memory. */
const PREFETCHED_MOST = 32
/** Of a longer cell the processor itself finds that one line follows the other. */
const PREFETCHED_BYTES = 1024
/** Bytes that come from memory at once. */
const CACHE_LINE = 64

/** What bounds a table; 0: no bound. */
export interface TableLimits {
  /** Sessions. */
  max: number
  /** Bytes of bodies and ids. */
  maxBytes: number
}

/**
 * The table. `onEvict` is called with an entry that a limit drops, by its slot still readable; it
 * changes nothing here.
 */
export class Table {
  /** Called with a slot when its session is about to go, still readable; not where all go at once. */
  onLeave: ((slot: number) => void) | undefined
  /** Called with the sid of an entry that a limit has dropped, when it has gone. */
  onEvicted: ((sid: string) => void) | undefined
  /** Of no meaning: without it, what {@link prefetch} reads would be left out as useless. */
  prefetched = 0
  readonly #limits: TableLimits
  #index = this.#makeIndex()
  /** The order of use, where there is a limit and nothing is being loaded. */
  #lru: LruIndex | undefined
  #rows = new Rows()
  #slab = new Slab()
  #bytes = 0
  readonly #occupants = new Uint32Array(PREFETCHED_MOST)
  readonly #onEvict: (slot: number, sid: string) => void

  constructor(limits: TableLimits, onEvict: (slot: number, sid: string) => void) {
    this.#limits = limits
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
    return this.#rows.slots
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
    this.#rows.markUsed(slot, used)
    return slot
  }

  /**
   * Reads what {@link use} and {@link body} will, of several entries side by side: a processor waits
   * for many places in memory at a time, unless one says where the next one is (group prefetching;
   * Chen, Ailamaki, Gibbons and Mowry, "Improving hash join performance through prefetching", 2004).
   *
   * @param from where in `wanted` it begins
   * @returns where it ended
   */
  prefetch(wanted: readonly Wanted[], from: number): number {
    const occupants = this.#occupants
    const count = Math.min(wanted.length - from, PREFETCHED_MOST)
    if (count === 1) return from + 1
    this.#index.guess(wanted, from, occupants)
    let sum = 0
    for (let i = 0; i < count; i++)
      if (occupants[i]! > 0) sum += this.#rows.prefetch(occupants[i]! - 1)
    for (let i = 0; i < count; i++) {
      if (occupants[i] === 0) continue
      const { bytes, start, end } = this.cell(occupants[i]! - 1)
      const stop = Math.min(end, start + PREFETCHED_BYTES)
      for (let at = start; at < stop; at += CACHE_LINE) sum += bytes[at]!
    }
    this.prefetched = sum
    return from + count
  }

  /** Whether an entry of these sizes can be held at all. */
  fits(sid: string, length: number): boolean {
    return this.#limits.maxBytes === 0 || sid.length + length <= this.#limits.maxBytes
  }

  /**
   * Inserts or replaces an entry and makes it the most recently used; limits may evict others.
   * The caller has asked {@link fits}. The body is copied.
   */
  put(record: EntryRecord, body: Span): number {
    const found = this.#index.get(record.sid)
    const known = found >= 0
    const slot = known ? found : this.#rows.allocate()
    if (known) this.#replace(slot, body)
    else this.#add(slot, record.sid, body)
    this.#rows.write(slot, record)
    if (!known) this.#index.add(record.sid, slot)
    this.#lru?.use(slot)
    this.#shrink()
    return slot
  }

  /** Replaces all of an entry but its body. Recency is {@link use}'s. */
  touch(slot: number, record: EntryRecord): void {
    this.#rows.write(slot, record)
  }

  /** Gives an entry a later stamp. */
  restamp(slot: number, stamp: number): void {
    this.#rows.restamp(slot, stamp)
  }

  /** Drops the entry in `slot`. */
  remove(slot: number): void {
    this.#lru?.delete(slot)
    this.#index.delete(this.sid(slot), slot)
    this.#release(slot)
  }

  /**
   * Drops everything at once; the walk of a million is left to the garbage collector.
   *
   * @returns what was there, to be read
   */
  clear(): Table {
    const before = new Table({ max: 0, maxBytes: 0 }, this.#onEvict)
    before.#rows = this.#rows
    before.#slab = this.#slab
    this.#index = this.#makeIndex()
    this.#lru = this.#makeOrder()
    this.#rows = new Rows()
    this.#slab = new Slab()
    this.#bytes = 0
    return before
  }

  /** Lifts the limits while files are loaded, in whatever order they hold their entries. */
  beginLoad(): void {
    this.#lru = undefined
  }

  /** Restores recency from what the records said and puts the limits back in force. */
  endLoad(): void {
    const order = (this.#lru = this.#makeOrder())
    if (!order) return
    const slots = new Uint32Array(this.size)
    let count = 0
    for (let slot = 0; slot < this.slots; slot++) {
      if (this.has(slot)) slots[count++] = slot
    }
    slots.sort((a, b) => this.used(a) - this.used(b))
    for (const slot of slots) {
      if (this.fits(this.sid(slot), this.length(slot))) order.use(slot)
      else this.#evict(slot)
    }
    this.#shrink()
  }

  /** Whether `slot` holds an entry. */
  has(slot: number): boolean {
    return this.#rows.has(slot)
  }

  sid(slot: number): string {
    const packed = this.packedSid(slot)
    if (packed) return packed.bytes.toString('base64url', packed.start, packed.end)
    const { bytes, start } = this.cell(slot)
    return readSid(bytes, start)
  }

  /** The sid where it lies packed; `undefined` where it lies in the cell. Holds until the next call. */
  packedSid(slot: number): Span | undefined {
    return this.#rows.packedSid(slot)
  }

  /**
   * The sid, as sid-text.ts has it, unless it is packed, and behind it the body, where they lie. The
   * answer is one object, and holds until the next call.
   */
  cell(slot: number): Span {
    return this.#slab.at(this.#rows.places(slot), placeOf(slot))
  }

  /** The body where it lies. Holds as {@link cell} does. */
  body(slot: number): Span {
    const cell = this.cell(slot)
    if (!this.packedSid(slot)) cell.start = sidEnd(cell.bytes, cell.start)
    return cell
  }

  /** Bytes of the body. */
  length(slot: number): number {
    return lengthOf(this.body(slot))
  }

  cookie(slot: number): CookieShape | undefined {
    return this.#rows.cookie(slot)
  }

  expires(slot: number): number {
    return this.#rows.expires(slot)
  }

  stamp(slot: number): number {
    return this.#rows.stamp(slot)
  }

  used(slot: number): number {
    return this.#rows.used(slot)
  }

  /** NaN where the cookie names no moment. */
  cookieExpires(slot: number): number {
    return this.#rows.cookieExpires(slot)
  }

  /** The expiry that the files hold, in ms to the second; 0 where they hold none. */
  saved(slot: number): number {
    return this.#rows.saved(slot)
  }

  /** Notes that the files now hold, or have on the way, the expiry of this moment. */
  markSaved(slot: number): void {
    this.#rows.markSaved(slot)
  }

  /** Copies an entry, sid and body left out, into `fields`. */
  read(slot: number, fields: EntryFields): void {
    this.#rows.read(slot, fields)
  }

  #add(slot: number, sid: string, body: Span): void {
    const key = this.#index.keyOf(sid)
    this.#rows.writeSid(slot, key)
    const before = key.packed ? 0 : sidRoom(sid)
    const length = lengthOf(body)
    this.#slab.add(before + length, this.#rows.places(slot), placeOf(slot))
    const { bytes, start } = this.cell(slot)
    if (!key.packed) writeSid(bytes, start, sid)
    body.bytes.copy(bytes, start + before, body.start, body.end)
    this.#bytes += sid.length + length
  }

  #replace(slot: number, body: Span): void {
    const { start } = this.cell(slot)
    const old = this.body(slot)
    const before = old.start - start
    this.#bytes += lengthOf(body) - lengthOf(old)
    const length = before + lengthOf(body)
    this.#slab.resize(length, before, this.#rows.places(slot), placeOf(slot))
    const cell = this.cell(slot)
    body.bytes.copy(cell.bytes, cell.start + before, body.start, body.end)
  }

  #release(slot: number): void {
    this.onLeave?.(slot)
    this.#bytes -= this.#sidLength(slot) + this.length(slot)
    this.#slab.remove(this.#rows.places(slot), placeOf(slot))
    this.#rows.free(slot)
  }

  #sidLength(slot: number): number {
    if (this.packedSid(slot)) return PACKED_CHARACTERS
    const { bytes, start } = this.cell(slot)
    return sidLength(bytes, start)
  }

  /** Evicts until the limits are kept: by then the entry used last, which fits, is never the next. */
  #shrink(): void {
    const { max, maxBytes } = this.#limits
    while (this.#lru) {
      const over = (max > 0 && this.#lru.size > max) || (maxBytes > 0 && this.#bytes > maxBytes)
      const slot = over ? this.#lru.pop() : -1
      if (slot < 0) return
      this.#evict(slot)
    }
  }

  #evict(slot: number): void {
    const sid = this.sid(slot)
    this.#onEvict(slot, sid)
    this.#index.delete(sid, slot)
    this.#release(slot)
    // Last: it may run code of the app, which may do anything.
    this.onEvicted?.(sid)
  }

  #makeIndex(): SidIndex {
    return new SidIndex((slot, sid, key) => {
      if (key.packed) return this.#rows.isPacked(slot, key)
      if (this.packedSid(slot)) return false
      const { bytes, start } = this.cell(slot)
      return isSid(bytes, start, sid)
    })
  }

  #makeOrder(): LruIndex | undefined {
    const { max, maxBytes } = this.#limits
    return max > 0 || maxBytes > 0 ? new LruIndex(max) : undefined
  }
}
