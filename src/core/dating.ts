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
  readonly #most: number
  #seen = new Map<string, { dated: string; at: number; same: number }>()

  /** @param most so many ms count between two looks at most, however far apart they are */
  constructor(most = Infinity) {
    this.#most = most
  }

  /** Whether the note of this name, dated so now, has not been dated for too long. */
  stopped(name: string, dated: string): boolean {
    const at = performance.now()
    const before = this.#seen.get(name)
    const same = before?.dated === dated ? before.same + Math.min(at - before.at, this.#most) : 0
    this.#seen.set(name, { dated, at, same })
    return same >= GONE_AFTER
  }
}
