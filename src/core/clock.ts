/**
 * Time, as everything in the core sees it: handed in, so that tests can move it.
 *
 * Stamps order changes; they start from the clock but only ever go up, so that a clock set back
 * changes no order, here or across a restart.
 */

/** The time and the timers. Timers never keep the process alive; a sleep does. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number
  /** Calls back once after `ms`; the result cancels it. */
  after(ms: number, callback: () => void): () => void
  /** Calls back every `ms`; the result cancels it. */
  every(ms: number, callback: () => void): () => void
  /** Resolves after `ms`, for work that somebody waits for. */
  sleep(ms: number): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms).unref()
    return () => clearTimeout(timer)
  },
  every(ms, callback) {
    const timer = setInterval(callback, ms).unref()
    return () => clearInterval(timer)
  },
  sleep: (ms) => new Promise((resolve) => void setTimeout(resolve, ms)),
}

/** The last moment a Date can hold (ECMAScript, time values and time range). */
export const LATEST_DATE = 8.64e15
/** Stamps that clocks can lead to are lower, in this century and the next; a higher one is not ours. */
export const LATEST_STAMP = 2 ** 52

/** Where a clock that is set further ahead stops to count. */
const CLOCK_STAMP = LATEST_STAMP - 2 ** 41
/** What is read beyond it, months of changes later, would leave no room for those to come. */
const OBSERVED_STAMP = LATEST_STAMP - 2 ** 40

/** Stamps to a millisecond: how many changes fit into one before stamps run ahead of the clock. */
const PER_MILLISECOND = 1024

/** Gives out stamps, each higher than all before it and than all observed. */
export class Stamps {
  #last = 0

  get last(): number {
    return this.#last
  }

  /** The next stamp. */
  next(now: number): number {
    this.#last = Math.max(this.#last + 1, Math.min(now * PER_MILLISECOND, CLOCK_STAMP))
    return this.#last
  }

  /** The next stamp for a mere use: goes up by one, without asking what time it is. */
  use(): number {
    return ++this.#last
  }

  /** What comes next is higher than `stamp`. */
  observe(stamp: number): void {
    if (stamp > this.#last && stamp <= OBSERVED_STAMP) this.#last = stamp
  }
}
