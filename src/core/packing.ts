/**
 * Text of base64url characters ⇄ three quarters of its bytes.
 *
 * Tokens of OpenID Connect, signed values and random ids are most of what large sessions hold, and
 * each character of them is worth six bits. They are packed by fours; what is left over, and what
 * any doubt is about, stays text. Pure.
 */
import type { Span } from './span.js'

/** Text that takes more than a byte a character. V8 knows without looking where there can be none. */
export const WIDE = /[^\0-\xff]/
/** Shorter text gains too little. */
export const PACKED_LEAST = 40
/** So many characters are looked at before the whole text is tried. */
const LOOKED_AT = 16
const FIRST_ROOM = 4096
const KEPT_MOST = 64 * 1024

/** What a character that is none of base64url counts as: more than any that is. */
const FOREIGN = 64
/** The six bits of each character. */
const BITS = new Uint8Array(256).fill(FOREIGN)
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
for (let bits = 0; bits < FOREIGN; bits++) BITS[ALPHABET.charCodeAt(bits)] = bits

/** Bytes of so many characters, which are packed by fours. */
export function packedBytes(characters: number): number {
  return (characters >>> 2) * 3
}

/** The packed characters of a session, one text behind the other. */
export class Packing {
  bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_ROOM)
  length = 0

  /** All of it, until more is added. */
  get packed(): Span {
    return { bytes: this.bytes, start: 0, end: this.length }
  }

  /** Forgets what was packed. */
  reset(): void {
    this.length = 0
    // One huge session must not pin its buffer for good.
    if (this.bytes.length > KEPT_MOST) this.bytes = Buffer.allocUnsafeSlow(FIRST_ROOM)
  }

  /** Packs the beginning of a text. @returns how many characters; 0: it is not worth it, or not of the kind */
  add(text: string): number {
    const characters = text.length - (text.length & 3)
    if (characters < PACKED_LEAST || !isBase64url(text, LOOKED_AT)) return 0
    const whole = characters === text.length ? text : text.slice(0, characters)
    const room = packedBytes(characters)
    this.#grow(this.length + room)
    const end = this.length + room
    // Characters of other kinds are passed over or end the text: what comes back is not what went in.
    this.bytes.write(whole, this.length, room, 'base64url')
    if (this.bytes.toString('base64url', this.length, end) !== whole) return 0
    this.length = end
    return characters
  }

  #grow(room: number): void {
    if (room <= this.bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(room, this.bytes.length * 2))
    this.bytes.copy(larger, 0, 0, this.length)
    this.bytes = larger
  }
}

/** Whether so many characters of a text, from its beginning, are of base64url. */
export function isBase64url(text: string, characters: number): boolean {
  for (let i = 0; i < characters; i++) if (!(BITS[text.charCodeAt(i)]! < FOREIGN)) return false
  return true
}

/**
 * Packs a text by fours of characters: a short one, for which a call of Node's would cost more.
 *
 * @returns whether all of them are of base64url; what is written is worth nothing otherwise
 */
export function packShort(text: string, target: Uint8Array): boolean {
  const { length } = text
  let all = 0
  for (let from = 0, at = 0; from < length; from += 4) {
    const a = sixBits(text, from)
    const b = sixBits(text, from + 1)
    const c = sixBits(text, from + 2)
    const d = sixBits(text, from + 3)
    all |= a | b | c | d
    target[at++] = (a << 2) | (b >>> 4)
    target[at++] = (b << 4) | (c >>> 2)
    target[at++] = (c << 6) | d
  }
  return all < FOREIGN
}

function sixBits(text: string, at: number): number {
  const code = text.charCodeAt(at)
  return code <= 0xff ? BITS[code]! : FOREIGN
}
