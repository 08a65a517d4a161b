/**
 * Which sessions changed since the files were last written to: one note a session, however often.
 *
 * A note says what kind of record the session needs; what the record holds is read from the table
 * when it is written. No I/O.
 */
import { SidMap } from './sid-map.js'
import type { Removal } from './tombstones.js'

/** The entry with its body, or only its cookie and expiry, or that it is gone. */
export type Change = 'set' | 'touch' | Removal

export class Changes {
  /** The stamp of a clear that the files do not know of; 0: none. */
  cleared = 0
  #changes = new SidMap<Change>()

  get empty(): boolean {
    return this.#changes.size === 0 && this.cleared === 0
  }

  get size(): number {
    return this.#changes.size
  }

  set(sid: string): void {
    this.#changes.set(sid, 'set')
  }

  touch(sid: string): void {
    if (!this.#changes.has(sid)) this.#changes.set(sid, 'touch')
  }

  /** Asks for the whole entry where a touch is noted. */
  complete(sid: string): void {
    if (this.#changes.get(sid) === 'touch') this.#changes.set(sid, 'set')
  }

  remove(sid: string, removal: Removal): void {
    this.#changes.set(sid, removal)
  }

  clear(stamp: number): void {
    this.#changes = new SidMap()
    this.cleared = stamp
  }

  has(sid: string): boolean {
    return this.#changes.has(sid)
  }

  sids(): IterableIterator<string> {
    return this.#changes.keys()
  }

  entries(): IterableIterator<[string, Change]> {
    return this.#changes[Symbol.iterator]()
  }

  /** Hands over all notes and starts afresh. */
  take(): Changes {
    const taken = new Changes()
    taken.cleared = this.cleared
    taken.#changes = this.#changes
    this.cleared = 0
    this.#changes = new SidMap()
    return taken
  }

  /** Takes notes back that could not be written; newer ones stand, but never ask for less. */
  restore(taken: Changes): void {
    if (this.cleared > 0) return
    this.cleared = taken.cleared
    for (const [sid, change] of taken.#changes) {
      const newer = this.#changes.get(sid)
      if (newer === undefined || (newer === 'touch' && change === 'set')) {
        this.#changes.set(sid, change)
      }
    }
  }
}
