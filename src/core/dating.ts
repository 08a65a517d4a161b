/**
 * Whether a process that can't be seen from here still lives: as long as it does, it dates its notes.
 *
 * Dates are told by different clocks, so they are never compared with a time, only with what they
 * were before; how long one has stayed the same is counted here. No I/O.
 */

/** How often a note is dated, in ms. */
export const DATE_EVERY = 2000
/** A process out of sight whose note has not been dated for this long is taken for gone, in ms. */
const GONE_AFTER = 10_000

/** When notes were last seen to have been dated anew. */
export class Dates {
  #seen = new Map<string, { dated: string; since: number }>()

  /** Whether the note of this name, dated so now, has not been dated for too long. */
  stopped(name: string, dated: string): boolean {
    const now = performance.now()
    const before = this.#seen.get(name)
    if (before?.dated === dated) return now - before.since >= GONE_AFTER
    this.#seen.set(name, { dated, since: now })
    return false
  }
}
