/**
 * The tokens of a body, one after the other, from the bytes that msgpackr packed them to.
 *
 * Unpacked as an array first, they would make more work for the garbage collector than the session
 * does. Reads an array of numbers, booleans and nil, and nothing else; believes nothing of what it
 * reads, and reads nothing outside of what it is given.
 */
import type { Span } from './span.js'
import type { Token } from './tokens.js'

/** Buffer's own way of reading numbers of eight bytes takes several times as long. */
const eight = new DataView(new ArrayBuffer(8))

/** What is no array of tokens. */
export class NoTokensError extends Error {}

export class TokenReader {
  /** How many tokens are left, by what the array says. */
  left = 0
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #end = 0

  /** Whether everything has been read. */
  get done(): boolean {
    return this.left === 0 && this.#at === this.#end
  }

  /** Begins with an array. @throws NoTokensError */
  begin({ bytes, start, end }: Span): void {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    const first = bytes[this.#take(1)]!
    if (first >>> 4 === 9) this.left = first & 0xf
    else if (first === 0xdc) this.left = bytes.readUInt16BE(this.#take(2))
    else if (first === 0xdd) this.left = bytes.readUInt32BE(this.#take(4))
    else throw new NoTokensError()
    // Each takes a byte at least.
    if (this.left > end - this.#at) throw new NoTokensError()
  }

  /** The next token. @throws NoTokensError where there is none */
  next(): Token {
    const first = this.first()
    if (first <= 0x7f) return first
    return first >= 0xe0 ? first - 0x100 : this.rest(first)
  }

  /**
   * The first byte of the next token, which is all of most: up to 0x7f it is the token, from 0xe0 on it
   * is so much less than 0x100; else {@link rest} must follow. @throws NoTokensError where there is none
   */
  first(): number {
    if (this.left-- <= 0 || this.#at >= this.#end) throw new NoTokensError()
    return this.#bytes[this.#at++]!
  }

  /** The token that begins with this byte. @throws NoTokensError where there is none */
  rest(first: number): Token {
    const bytes = this.#bytes
    switch (first) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xcc:
        return bytes[this.#take(1)]!
      case 0xcd:
        return bytes.readUInt16BE(this.#take(2))
      case 0xce:
        return bytes.readUInt32BE(this.#take(4))
      case 0xd0:
        return bytes.readInt8(this.#take(1))
      case 0xd1:
        return bytes.readInt16BE(this.#take(2))
      case 0xd2:
        return bytes.readInt32BE(this.#take(4))
      case 0xca:
        return bytes.readFloatBE(this.#take(4))
      case 0xcb:
        return doubleAt(bytes, this.#take(8))
      default:
        throw new NoTokensError()
    }
  }

  /** Moves past so many bytes, which must be there. @returns where they start */
  #take(length: number): number {
    const at = this.#at
    if (length > this.#end - at) throw new NoTokensError()
    this.#at = at + length
    return at
  }
}

function doubleAt(bytes: Buffer, at: number): number {
  eight.setInt32(0, wordAt(bytes, at))
  eight.setInt32(4, wordAt(bytes, at + 4))
  return eight.getFloat64(0)
}

function wordAt(bytes: Buffer, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}
