/**
 * Makes plain objects, all with the same keys.
 *
 * A constructor that sets its keys in place is several times as quick as adding them one by one, or as
 * a copy of another object; where the process forbids code from text, they are added. A literal
 * would be as quick, but V8 may take to making those among the old: each that is done with then keeps
 * what is in it through every collection of the young, which halves the speed of `get`. Pure.
 */

/** How many objects are made key by key before a function is made for it. */
const MADE_BEFORE = 4
/** Functions for larger objects are not made. */
const MOST_KEYS = 64
const OWN = { writable: true, enumerable: true, configurable: true }

type Constructor = new (next: (depth: number) => unknown, depth: number) => Record<string, unknown>

export class ObjectMaker {
  readonly #keys: readonly string[]
  #made = 0
  #Made: Constructor | undefined

  /** @param keys any text but `__proto__` */
  constructor(keys: readonly string[]) {
    this.#keys = keys
  }

  /**
   * @param next called for each value, in the order of the keys
   * @param depth what `next` is called with
   */
  make(next: (depth: number) => unknown, depth: number): Record<string, unknown> {
    if (this.#Made) return new this.#Made(next, depth)
    if (++this.#made === MADE_BEFORE && this.#keys.length <= MOST_KEYS) this.#compile()
    const object: Record<string, unknown> = {}
    for (const key of this.#keys) {
      const value = next(depth)
      if (key in object) Object.defineProperty(object, key, { ...OWN, value })
      else object[key] = value
    }
    return object
  }

  #compile(): void {
    // Perhaps these can't be set, as where the prototype is frozen.
    if (this.#keys.some((key) => key in Object.prototype)) return
    const fields = this.#keys.map((key) => `this[${JSON.stringify(key)}] = next(depth)`)
    const body = `'use strict'; ${fields.join('; ')}`
    try {
      // eslint-disable-next-line @typescript-eslint/no-implied-eval -- keys are quoted
      const made = new Function('next', 'depth', body) as unknown as Constructor
      made.prototype = Object.prototype
      this.#Made = made
    } catch {
      // Forbidden, as by --disallow-code-generation-from-strings.
    }
  }
}
