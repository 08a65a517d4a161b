/**
 * Those who wait for the same write, in the order they came, and the time from the first to the last.
 *
 * Answers each once, all or a half at a time. Knows nothing of what is written.
 */

export interface Waiter {
  resolve: () => void
  reject: (error: Error) => void
}

export class Waiters {
  #list: Waiter[] = []
  #first = 0
  #last = 0

  get size(): number {
    return this.#list.length
  }

  /** From when the first came to when the last did, in ms. */
  get span(): number {
    return this.#last - this.#first
  }

  add(waiter: Waiter): void {
    this.#last = performance.now()
    if (this.#list.length === 0) this.#first = this.#last
    this.#list.push(waiter)
  }

  /** Takes the later half of them away. */
  halve(): Waiters {
    const later = new Waiters()
    later.#list = this.#list.splice(this.#list.length >>> 1)
    return later
  }

  resolve(): void {
    for (const { resolve } of this.#list) resolve()
  }

  reject(error: Error): void {
    for (const { reject } of this.#list) reject(error)
  }
}
