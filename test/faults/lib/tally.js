/**
 * What a fault did to the sessions, counted. `lost` and `wrong` beyond what is promised are failures;
 * the first few are described, without ids or contents of sessions a user would have.
 */

const DESCRIBED = 8

/** Counts for one row of the table. */
export class Tally {
  tries = 0
  survived = 0
  sessionsChecked = 0
  lost = 0
  wrong = 0
  /** Why the fault could not be caused here, if so. @type {string | undefined} */
  skipped = undefined
  /** What went wrong, the first few. @type {string[]} */
  problems = []
  /** Figures worth reading. @type {string[]} */
  notes = []
  #failed = false

  /** @param {string} fault */
  constructor(fault) {
    this.fault = fault
  }

  /** Runs one try; an error thrown counts as wrong. */
  async try(what, body) {
    this.tries++
    this.#failed = false
    try {
      await body()
    } catch (error) {
      this.fail('wrong', `${what}: ${error?.stack ?? error}`)
    }
    if (!this.#failed) this.survived++
  }

  /** @param {'lost' | 'wrong'} kind */
  fail(kind, what) {
    this[kind]++
    this.#failed = true
    if (this.problems.length < DESCRIBED) this.problems.push(`${kind}: ${what}`)
  }

  /** Something that must hold whatever is served. */
  require(condition, what) {
    if (!condition) this.fail('wrong', what)
    return condition
  }

  get passed() {
    return this.lost === 0 && this.wrong === 0
  }
}
