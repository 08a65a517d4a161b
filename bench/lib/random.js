/**
 * A seeded generator (sfc32): the same seed gives the same ids and values in every process, so that
 * all systems are asked to keep the same sessions. Strings come out flat and share nothing with one
 * another, so that no store can save memory that a real one could not.
 * Never use it for anything secret.
 */

const numbers = new Int32Array(1024)
const scratch = Buffer.from(numbers.buffer)

export class Random {
  #a = 0
  #b = 0
  #c = 0
  #counter = 1

  /** @param {number} seed @param {number} [stream] */
  constructor(seed = 1, stream = 0) {
    this.reseed(seed, stream)
  }

  /** @param {number} seed @param {number} [stream] */
  reseed(seed, stream = 0) {
    this.#a = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 0
    this.#b = Math.imul(stream ^ 0x243f6a88, 0xc2b2ae35) | 0
    this.#c = seed | 0
    this.#counter = 1
    for (let i = 0; i < 8; i++) this.next()
  }

  /** @returns {number} 32 random bits, signed */
  next() {
    const t = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0
    return t
  }

  /** @param {number} limit @returns {number} an integer in [0, limit) */
  below(limit) {
    return limit <= 0x1_0000_0000
      ? Math.floor(((this.next() >>> 0) / 0x1_0000_0000) * limit)
      : Math.floor(((this.next() >>> 0) / 0x1_0000_0000 + (this.next() >>> 0)) % limit)
  }

  /** @template T @param {readonly T[]} list @returns {T} */
  pick(list) {
    return /** @type {T} */ (list[this.below(list.length)])
  }

  /** @param {number} digits @returns {number} an integer of exactly that many digits */
  integer(digits) {
    const low = digits === 1 ? 0 : 10 ** (digits - 1)
    return low + this.below(10 ** digits - low)
  }

  /** @param {number} length @returns {string} base64url */
  token(length) {
    const bytes = Math.ceil((length * 3) / 4)
    const text = this.#fill(bytes).toString('base64url', 0, bytes)
    return text.length === length ? text : Buffer.from(text, 'latin1').toString('latin1', 0, length)
  }

  /** @param {number} length @returns {string} */
  hex(length) {
    return this.#fill(length >> 1).toString('hex', 0, length >> 1)
  }

  /** @param {number} bytes */
  #fill(bytes) {
    for (let i = 0; i * 4 < bytes; i++) numbers[i] = this.next()
    return scratch
  }
}
