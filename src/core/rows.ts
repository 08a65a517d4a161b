/**
 * What an entry consists of, in rows by slot, and which slots are free.
 *
 * A number in a typed array costs eight bytes where an object a session costs a hundred, and the
 * garbage collector has nothing to visit. A sid that can be packed stands there too, and where the
 * rest lies; what that is is table.ts's to say.
 */
import { type CookieShape, impliedExpiry } from './cookie.js'
import type { EntryFields } from './format.js'
import { PACKED_BYTES, PACKED_WORDS, type SidKey } from './sid-key.js'
import { PLACE } from './slab.js'
import type { Span } from './span.js'

const CHUNK_BITS = 13
const CHUNK = 1 << CHUNK_BITS
const MASK = CHUNK - 1
/** No slot. */
const NONE = 0xffffffff
/** The last second that a saved expiry can say, in 2106; a later one is capped. */
const LATEST = 0xffffffff

/** Bytes of an entry's row: its numbers lie side by side, so that a read at random waits for memory once. */
const ROW = 72
// A row begins with a packed sid; what else a read needs comes next. Places in a row are counted from
// its beginning: in doubles,
const DOUBLES = ROW / Float64Array.BYTES_PER_ELEMENT
const EXPIRES = PACKED_BYTES / Float64Array.BYTES_PER_ELEMENT
const STAMP = 7
const USED = 8
// in words of 32 bits,
const WORDS = ROW / Uint32Array.BYTES_PER_ELEMENT
/** Where the cell lies. */
const PLACED = 8
/** The expiry that the files hold, in seconds. */
const SAVED = PLACED + PLACE
// and in bytes.
/** Which cookie of the palette. */
const COOKIE = (SAVED + 1) * Uint32Array.BYTES_PER_ELEMENT
/** Of what kind the entry is: one of the three that follow. */
const KIND = COOKIE + 1
/** There is no entry. */
const FREE = 0
/** Its sid lies in the cell. */
const PLAIN = 1
/** Its sid lies in the row. */
const PACKED = 2
/** So many cookies can a byte tell from each other. */
const PALETTE_MOST = 256

/** Rows are added by chunks: nothing is ever copied, so no `set` pays for a million others. */
class Chunk {
  /** The cookies that its entries have, or had; the row says which of them. */
  readonly palette: (CookieShape | undefined)[] = [undefined]
  /** The cookie of each; not there while the palette does for them. */
  cookies: (CookieShape | undefined)[] | undefined
  /** When cookies expire; not there while each does when {@link impliedExpiry} says. */
  cookieExpires: Float64Array | undefined
  readonly doubles = new Float64Array(CHUNK * DOUBLES)
  readonly words = new Uint32Array(this.doubles.buffer)
  readonly bytes = Buffer.from(this.doubles.buffer)
}

/** Where in its chunk's words the place of a slot begins. */
export function placeOf(slot: number): number {
  return (slot & MASK) * WORDS + PLACED
}

export class Rows {
  #chunks: Chunk[] = []
  /** The free slot that is taken next, which says in its place which comes after it. */
  #free = NONE
  #slots = 0
  readonly #span: Span = { bytes: Buffer.alloc(0), start: 0, end: 0 }

  /** One past the highest slot in use: where a walk ends. */
  get slots(): number {
    return this.#slots
  }

  /** Whether `slot` holds an entry. */
  has(slot: number): boolean {
    const chunk = this.#chunks[slot >>> CHUNK_BITS]
    return chunk !== undefined && chunk.bytes[(slot & MASK) * ROW + KIND] !== FREE
  }

  /** The packed sid of `slot`; `undefined` where it has another. The answer is one object. */
  packedSid(slot: number): Span | undefined {
    const { bytes } = this.#chunk(slot)
    const start = (slot & MASK) * ROW
    if (bytes[start + KIND] !== PACKED) return undefined
    const span = this.#span
    span.bytes = bytes
    span.start = start
    span.end = start + PACKED_BYTES
    return span
  }

  /** Whether the packed sid of `slot` is this one. */
  isPacked(slot: number, { words }: SidKey): boolean {
    const chunk = this.#chunk(slot)
    const at = (slot & MASK) * WORDS
    for (let i = 0; i < PACKED_WORDS; i++) if (chunk.words[at + i] !== words[i]) return false
    return chunk.bytes[(slot & MASK) * ROW + KIND] === PACKED
  }

  /** Begins a new entry, with its sid if it is one that can be packed. */
  writeSid(slot: number, { words, packed }: SidKey): void {
    const chunk = this.#chunk(slot)
    chunk.bytes[(slot & MASK) * ROW + KIND] = packed ? PACKED : PLAIN
    if (packed) chunk.words.set(words, (slot & MASK) * WORDS)
  }

  cookie(slot: number): CookieShape | undefined {
    return cookieAt(this.#chunk(slot), slot & MASK)
  }

  expires(slot: number): number {
    return this.#chunk(slot).doubles[(slot & MASK) * DOUBLES + EXPIRES]!
  }

  stamp(slot: number): number {
    return this.#chunk(slot).doubles[(slot & MASK) * DOUBLES + STAMP]!
  }

  used(slot: number): number {
    return this.#chunk(slot).doubles[(slot & MASK) * DOUBLES + USED]!
  }

  /** NaN where the cookie names no moment. */
  cookieExpires(slot: number): number {
    const chunk = this.#chunk(slot)
    if (chunk.cookieExpires) return chunk.cookieExpires[slot & MASK]!
    return impliedExpiry(cookieAt(chunk, slot & MASK), this.expires(slot))
  }

  /** The expiry that the files hold, in ms to the second; 0 where they hold none. */
  saved(slot: number): number {
    return this.#chunk(slot).words[(slot & MASK) * WORDS + SAVED]! * 1000
  }

  /** Notes that the files now hold, or have on the way, the expiry of this moment. */
  markSaved(slot: number): void {
    const chunk = this.#chunk(slot)
    const seconds = Math.floor(this.expires(slot) / 1000)
    chunk.words[(slot & MASK) * WORDS + SAVED] = Math.min(seconds, LATEST)
  }

  /** Copies an entry's row into `fields`. */
  read(slot: number, record: EntryFields): void {
    const chunk = this.#chunk(slot)
    const i = slot & MASK
    record.cookie = cookieAt(chunk, i)
    const { doubles } = chunk
    const at = i * DOUBLES
    record.expires = doubles[at + EXPIRES]!
    record.stamp = doubles[at + STAMP]!
    record.used = doubles[at + USED]!
    record.cookieExpires = this.cookieExpires(slot)
  }

  /** Reads its row at both ends, between which two cache lines meet at most. */
  prefetch(slot: number): number {
    const { words } = this.#chunk(slot)
    const at = (slot & MASK) * WORDS
    return words[at]! + words[at + WORDS - 1]!
  }

  /** Replaces all of an entry's row but its sid and its place. */
  write(slot: number, record: EntryFields): void {
    const chunk = this.#chunk(slot)
    const i = slot & MASK
    writeCookie(chunk, i, record.cookie)
    const { doubles } = chunk
    const at = i * DOUBLES
    doubles[at + EXPIRES] = record.expires
    doubles[at + STAMP] = record.stamp
    doubles[at + USED] = record.used
    this.#writeCookieExpires(chunk, i, record)
  }

  markUsed(slot: number, used: number): void {
    this.#chunk(slot).doubles[(slot & MASK) * DOUBLES + USED] = used
  }

  /** Gives an entry a later stamp. */
  restamp(slot: number, stamp: number): void {
    this.#chunk(slot).doubles[(slot & MASK) * DOUBLES + STAMP] = stamp
  }

  /** The numbers that say where the cell of `slot` lies, from {@link placeOf} on. */
  places(slot: number): Uint32Array {
    return this.#chunk(slot).words
  }

  /** A slot for an entry that is new. */
  allocate(): number {
    const free = this.#free
    const slot = free === NONE ? this.#slots++ : free
    if (slot >>> CHUNK_BITS === this.#chunks.length) this.#chunks.push(new Chunk())
    if (slot === free) this.#free = this.places(slot)[placeOf(slot)]!
    this.#chunk(slot).words[(slot & MASK) * WORDS + SAVED] = 0
    return slot
  }

  /** Gives a slot back whose cell has been given back. */
  free(slot: number): void {
    const chunk = this.#chunk(slot)
    writeCookie(chunk, slot & MASK, undefined)
    chunk.bytes[(slot & MASK) * ROW + KIND] = FREE
    // A list in an array would be copied when it grows, for tens of milliseconds.
    this.places(slot)[placeOf(slot)] = this.#free
    this.#free = slot
  }

  #writeCookieExpires(chunk: Chunk, i: number, record: EntryFields): void {
    const { cookieExpires } = record
    if (!chunk.cookieExpires) {
      const implied = impliedExpiry(record.cookie, record.expires)
      if (Object.is(cookieExpires, implied)) return
      chunk.cookieExpires = Float64Array.from({ length: CHUNK }, (_, other) =>
        impliedExpiry(cookieAt(chunk, other), chunk.doubles[other * DOUBLES + EXPIRES]!),
      )
    }
    chunk.cookieExpires[i] = cookieExpires
  }

  #chunk(slot: number): Chunk {
    return this.#chunks[slot >>> CHUNK_BITS]!
  }
}

function cookieAt(chunk: Chunk, i: number): CookieShape | undefined {
  return chunk.cookies ? chunk.cookies[i] : chunk.palette[chunk.bytes[i * ROW + COOKIE]!]
}

function writeCookie(chunk: Chunk, i: number, cookie: CookieShape | undefined): void {
  const { palette, bytes } = chunk
  if (!chunk.cookies) {
    const at = i * ROW + COOKIE
    if (palette[bytes[at]!] === cookie) return
    let id = palette.indexOf(cookie)
    if (id < 0 && palette.length < PALETTE_MOST) id = palette.push(cookie) - 1
    if (id >= 0) {
      bytes[at] = id
      return
    }
    chunk.cookies = Array.from({ length: CHUNK }, (_, other) => cookieAt(chunk, other))
  }
  chunk.cookies[i] = cookie
}
