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

type Make = (
  next: (depth: number) => unknown,
  depth: number,
  last: unknown,
) => Record<string, unknown>

export class ObjectMaker {
  readonly #keys: readonly string[]
  readonly #last: string | undefined
  #made = 0
  #make: Make | undefined

  /**
   * @param keys any text but `__proto__`
   * @param last one more key, whose value is known before the others are
   */
  constructor(keys: readonly string[], last?: string) {
    this.#keys = keys
    this.#last = last
  }

  /**
   * @param next called for each value, in the order of the keys
   * @param depth what `next` is called with
   * @param last the value of the last key, where there is one
   */
  make(next: (depth: number) => unknown, depth: number, last?: unknown): Record<string, unknown> {
    if (this.#make) return this.#make(next, depth, last)
    if (++this.#made === MADE_BEFORE && this.#keys.length <= MOST_KEYS) this.#compile()
    const object: Record<string, unknown> = {}
    for (const key of this.#keys) set(object, key, next(depth))
    if (this.#last !== undefined) set(object, this.#last, last)
    return object
  }

  /** The values come first, the object after them: V8 makes it in one go, not key by key. */
  #compile(): void {
    const keys = this.#last === undefined ? this.#keys : [...this.#keys, this.#last]
    // Perhaps these can't be set, as where the prototype is frozen.
    if (keys.some((key) => key in Object.prototype)) return
    const names = keys.map((_, i) => `v${i}`)
    const stores = keys.map((key, i) => `this[${JSON.stringify(key)}] = v${i}`)
    const values = keys.map((_, i) => (i < this.#keys.length ? 'next(depth)' : 'last'))
    const code = `'use strict'
      function Made(${names.join()}) { ${stores.join('; ')} }
      Made.prototype = Object.prototype
      return (next, depth, last) => new Made(${values.join()})`
    try {
      // eslint-disable-next-line @typescript-eslint/no-implied-eval -- keys are quoted
      this.#make = (new Function(code) as () => Make)()
    } catch {
      // Forbidden, as by --disallow-code-generation-from-strings.
    }
  }
}

function set(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key in object) define(object, key, value)
  else object[key] = value
}

/** Gives an object a key of its own, whatever it inherits. */
export function define(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { ...OWN, value })
}
