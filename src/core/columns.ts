/**
 * What an entry consists of, in columns by slot, and which slots are free.
 *
 * A number in a typed array costs eight bytes where an object a session costs a hundred, and the
 * garbage collector has nothing to visit. Where the sid and the body lie is a column too; what is
 * there is table.ts's to say.
 */
import { type CookieShape, impliedExpiry } from './cookie.js'
import type { EntryRecord } from './format.js'
import { lengthAt, PLACE } from './slab.js'

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

/** Where in its chunk's places a slot's begins. */
export function placeOf(slot: number): number {
  return (slot & MASK) * PLACE
}

export class Columns {
  #chunks: Chunk[] = []
  /** The free slot that is taken next, which says in its place which comes after it. */
  #free = NONE
  #slots = 0

  /** One past the highest slot in use: where a walk ends. */
  get slots(): number {
    return this.#slots
  }

  /** Whether `slot` holds an entry. */
  has(slot: number): boolean {
    const chunk = this.#chunks[slot >>> CHUNK_BITS]
    return chunk !== undefined && lengthAt(chunk.places, placeOf(slot)) > 0
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

  /** Copies an entry's columns into `record`, its sid left out. */
  read(slot: number, record: EntryRecord): void {
    const chunk = this.#chunk(slot)
    const i = slot & MASK
    record.cookie = chunk.cookies[i]
    const { numbers } = chunk
    const at = i * NUMBERS
    record.expires = numbers[at + EXPIRES]!
    record.stamp = numbers[at + STAMP]!
    record.used = numbers[at + USED]!
    record.cookieExpires = this.cookieExpires(slot)
  }

  /** Replaces all columns of an entry but its place. */
  write(slot: number, record: EntryRecord): void {
    const chunk = this.#chunk(slot)
    const i = slot & MASK
    chunk.cookies[i] = record.cookie
    const { numbers } = chunk
    const at = i * NUMBERS
    numbers[at + EXPIRES] = record.expires
    numbers[at + STAMP] = record.stamp
    numbers[at + USED] = record.used
    this.#writeCookieExpires(chunk, i, record)
  }

  markUsed(slot: number, used: number): void {
    this.#chunk(slot).numbers[(slot & MASK) * NUMBERS + USED] = used
  }

  /** Gives an entry a later stamp. */
  restamp(slot: number, stamp: number): void {
    this.#chunk(slot).numbers[(slot & MASK) * NUMBERS + STAMP] = stamp
  }

  /** The column that says where the cell of `slot` lies, at {@link placeOf}. */
  places(slot: number): Uint32Array {
    return this.#chunk(slot).places
  }

  /** A slot for an entry that is new. */
  allocate(): number {
    const free = this.#free
    const slot = free === NONE ? this.#slots++ : free
    if (slot >>> CHUNK_BITS === this.#chunks.length) this.#chunks.push(new Chunk())
    if (slot === free) this.#free = this.places(slot)[placeOf(slot)]!
    this.#chunk(slot).saved[slot & MASK] = 0
    return slot
  }

  /** Gives a slot back whose cell has been given back. */
  free(slot: number): void {
    this.#chunk(slot).cookies[slot & MASK] = undefined
    // A list in an array would be copied when it grows, for tens of milliseconds.
    this.places(slot)[placeOf(slot)] = this.#free
    this.#free = slot
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
}
