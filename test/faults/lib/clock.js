/**
 * A clock that stands until it is moved, and on which timers then fall due in their order.
 */
export class TestClock {
  #now
  /** @type {Set<{ due: number, period: number, callback: () => void }>} */
  #timers = new Set()

  /** @param {number} [now] epoch milliseconds */
  constructor(now = Date.UTC(2030, 0, 1)) {
    this.#now = now
  }

  now() {
    return this.#now
  }

  after(ms, callback) {
    return this.#add(ms, 0, callback)
  }

  every(ms, callback) {
    return this.#add(ms, ms, callback)
  }

  /** Somebody waits for it, and nobody to move this clock: it takes a turn of the loop. */
  sleep() {
    return new Promise((resolve) => setImmediate(resolve))
  }

  /** Moves time on and lets timers fire. Elapsed time and what the clock shows move together. */
  advance(ms) {
    const end = this.#now + ms
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a.due - b.due)[0]
      if (!next || next.due > end) break
      this.#now = Math.max(this.#now, next.due)
      // A long way is not walked in short steps to its end.
      if (next.period > 0) next.due = Math.max(next.due + next.period, end - 8 * next.period)
      else this.#timers.delete(next)
      next.callback()
    }
    this.#now = end
  }

  /** Sets the clock to another time: timers keep the time they have left, as real ones do. */
  set(now) {
    const by = now - this.#now
    this.#now = now
    for (const timer of this.#timers) timer.due += by
  }

  #add(ms, period, callback) {
    const timer = { due: this.#now + ms, period, callback }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }
}
