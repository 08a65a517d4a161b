/**
 * Numbers that look random and come back the same for the same seed. Nothing here is secret.
 */

/** A source of numbers for one seed. */
export class Random {
  #state

  /** @param {number} seed any integer */
  constructor(seed) {
    this.#state = (seed * 0x9e3779b1 + 0x85ebca6b) >>> 0
    for (let i = 0; i < 4; i++) this.next()
  }

  /** From 0 to before 1 (mulberry32). */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 0x100000000
  }

  /** A whole number from 0 to before `bound`. */
  below(bound) {
    return Math.floor(this.next() * bound)
  }

  /** A whole number from `least` to `most`, both included. */
  between(least, most) {
    return least + this.below(most - least + 1)
  }

  chance(probability) {
    return this.next() < probability
  }

  /** @template T @param {readonly T[]} list @returns {T} */
  pick(list) {
    return list[this.below(list.length)]
  }

  bytes(length) {
    const bytes = Buffer.allocUnsafe(length)
    for (let i = 0; i < length; i++) bytes[i] = this.below(256)
    return bytes
  }
}
