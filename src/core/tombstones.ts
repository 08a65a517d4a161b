/**
 * Which sessions are known destroyed, for as long as a file somewhere may still hold them.
 *
 * A removal is remembered until the removed session would have expired: from then on its own expiry
 * keeps it out. A clear is one stamp, before which everything is gone. No I/O, no clock.
 */
import { SidMap } from './sid-map.js'

export interface Removal {
  readonly stamp: number
  /** Epoch ms from which no copy of the session can be alive. */
  readonly until: number
}

export class Tombstones {
  /** Everything with a stamp up to this one has been cleared; 0: nothing has. */
  cleared = 0
  #removals = new SidMap<Removal>()
  /** The highest stamp of a removal. */
  #highest = 0
  /** The latest expiry a file may hold of sessions whose expiry was brought forward. */
  #longest = new SidMap<number>()

  get size(): number {
    return this.#removals.size
  }

  get(sid: string): Removal | undefined {
    return this.#removals.get(sid)
  }

  /** Whether a change of `sid` with this stamp was undone by a removal or a clear. */
  covers(sid: string, stamp: number): boolean {
    if (stamp <= this.cleared) return true
    const removal = this.#removals.get(sid)
    return removal !== undefined && stamp <= removal.stamp
  }

  /** Remembers that `sid` is gone; `expires` is what its entry last said. */
  add(sid: string, stamp: number, expires: number): Removal {
    const before = this.#removals.get(sid)?.until ?? 0
    const until = Math.max(expires, before, this.#longest.get(sid) ?? 0)
    this.#longest.delete(sid)
    this.#highest = Math.max(this.#highest, stamp)
    const removal = { stamp, until }
    this.#removals.set(sid, removal)
    return removal
  }

  /** Notes that an expiry was brought forward from `expires`, which files may still hold. */
  shortened(sid: string, expires: number): void {
    this.#longest.set(sid, Math.max(expires, this.#longest.get(sid) ?? 0))
  }

  /** Whether a file may hold an expiry of `sid` that is still to come. */
  outlives(sid: string, now: number): boolean {
    return (this.#longest.get(sid) ?? 0) > now
  }

  clear(stamp: number): void {
    this.cleared = stamp
    this.#longest.clear()
    if (this.#highest <= stamp) {
      // A walk of a million would hold the loop.
      this.#removals.clear()
      return
    }
    for (const [sid, removal] of this.#removals) {
      if (removal.stamp <= stamp) this.#removals.delete(sid)
    }
  }

  entries(): IterableIterator<[string, Removal]> {
    return this.#removals[Symbol.iterator]()
  }

  /** Forgets what can matter no more; yields now and then so that the caller may pause. */
  *prune(now: number): Generator<void, void, void> {
    let seen = 0
    for (const [sid, removal] of this.#removals) {
      // There may have been a clear since, and another removal.
      if (removal.until <= now && this.#removals.get(sid) === removal) this.#removals.delete(sid)
      if (++seen % 64 === 0) yield
    }
    for (const [sid, expires] of this.#longest) {
      if (expires <= now && this.#longest.get(sid) === expires) this.#longest.delete(sid)
      if (++seen % 64 === 0) yield
    }
  }
}
