/**
 * Makes plain objects, all with the same keys.
 *
 * An object literal with its keys in place is several times as quick as adding them one by one, or as
 * a copy of another object; where the process forbids code from text, they are added. Pure.
 */

/** How many objects are made key by key before a function is made for it. */
const MADE_BEFORE = 4
/** Functions for larger objects are not made. */
const MOST_KEYS = 64

type Literal = (next: (depth: number) => unknown, depth: number) => Record<string, unknown>

export class ObjectMaker {
  readonly #keys: readonly string[]
  #made = 0
  #literal: Literal | undefined

  /** @param keys any text but `__proto__` */
  constructor(keys: readonly string[]) {
    this.#keys = keys
  }

  /**
   * @param next called for each value, in the order of the keys
   * @param depth what `next` is called with
   */
  make(next: (depth: number) => unknown, depth: number): Record<string, unknown> {
    if (this.#literal) return this.#literal(next, depth)
    if (++this.#made === MADE_BEFORE && this.#keys.length <= MOST_KEYS) this.#compile()
    const object: Record<string, unknown> = {}
    for (const key of this.#keys) object[key] = next(depth)
    return object
  }

  #compile(): void {
    const fields = this.#keys.map((key) => `${JSON.stringify(key)}: next(depth)`)
    try {
      // eslint-disable-next-line @typescript-eslint/no-implied-eval -- keys are quoted
      this.#literal = new Function('next', 'depth', `return { ${fields.join()} }`) as Literal
    } catch {
      // Forbidden, as by --disallow-code-generation-from-strings.
    }
  }
}
