/**
 * Whether a process lives that has left a note: by what the system tells of it, or by the dates.
 */
import { DATE_EVERY, Dates } from './dating.js'
import { isAlive, isSame, ownIdentity, type ProcessIdentity } from './process-identity.js'

export class Liveness {
  /** This process, as its notes name it. */
  readonly own = ownIdentity()
  readonly #dates = new Dates()
  // Stopped as a whole, a process must not take a store of its own for gone.
  readonly #ownDates = new Dates(DATE_EVERY)

  /**
   * Whether whoever has left a note may still live.
   *
   * @param name by which the note is told from others
   * @param other who has; `undefined` where the note makes no sense
   * @param dated when the note was, as it says now
   */
  of(name: string, other: ProcessIdentity | undefined, dated: string): boolean {
    // This process lives, but the thread that left it may have been ended.
    if (other && isSame(other, this.own)) return !this.#ownDates.stopped(name, dated)
    const alive = other ? isAlive(other, this.own) : 'unknown'
    // Without start times a pid may be another process by now.
    if (alive === false || (alive === true && other?.started !== '')) return alive
    return !this.#dates.stopped(name, dated)
  }
}
