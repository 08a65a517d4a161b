/**
 * What happened to a session → a note for the files.
 *
 * The process that owns the files notes what is to be written; one that waits for them notes what it
 * has changed itself, for the time when they are its own; without files nothing is noted. Removals
 * are remembered here too, so that no file brings a session back. Changes no session.
 */
import type { Clock, Stamps } from './clock.js'
import { ONE_DAY } from './lifetime.js'
import type { Table } from './table.js'
import type { Tenure } from './tenure.js'
import { type Removal, Tombstones } from './tombstones.js'

export class Recorder {
  /** Where changes are noted; `undefined` where there are no files. */
  tenure: Pick<Tenure, 'own' | 'persistence' | 'lost'> | undefined
  readonly tombstones = new Tombstones()
  readonly #table: Table
  readonly #stamps: Stamps
  readonly #clock: Clock

  constructor(table: Table, stamps: Stamps, clock: Clock) {
    this.#table = table
    this.#stamps = stamps
    this.#clock = clock
  }

  /** The session was put in `slot`; `known`: in the place of what it was before. */
  put(sid: string, slot: number, known: boolean): void {
    const own = this.tenure?.own
    // A hook that was told of an eviction may have destroyed what made room for itself.
    if (own && this.#table.find(sid) === slot) {
      if (!known) own.made.add(sid)
      own.sets.add(sid)
    }
    this.tenure?.persistence?.set(slot)
  }

  /** The session in `slot` was touched; a small touch is in no hurry. */
  touched(sid: string, slot: number, small: boolean, now: number): void {
    this.tenure?.own?.sets.add(sid)
    this.tenure?.persistence?.touch(slot, small, now)
  }

  /** The expiry of a session is about to move. */
  moved(sid: string, before: number, after: number): void {
    if (after < before && this.#remembers) this.tombstones.shortened(sid, before)
  }

  /** The session, which was to expire at `expires`, was destroyed and is about to leave the table. */
  removed(sid: string, expires: number): void {
    if (!this.tenure) return
    const stamp = this.#stamps.next(this.#clock.now())
    const removal = this.#remembers
      ? this.tombstones.add(sid, stamp, expires)
      : { stamp, until: expires }
    this.tenure.own?.removals.set(sid, removal.until)
    this.#forget(sid)
    this.tenure.persistence?.remove(sid, removal)
  }

  /** A session was destroyed that memory does not have. */
  unseen(sid: string): void {
    // No session is called so; the bytes in a file would be another session's name.
    if (!sid.isWellFormed()) return
    // Made in the process that owns the files, and not read yet: it must not be read later.
    if (this.tenure?.own) this.removed(sid, this.#clock.now() + ONE_DAY)
    // Expired by a clock that may be set back: a file may hold it, and it must not live again.
    else this.tenure?.persistence?.removeUnseen(sid, this.#stamps.next(this.#clock.now()))
  }

  /** The session in `slot` has expired and is about to leave the table. */
  expired(sid: string, slot: number): void {
    const now = this.#clock.now()
    const expires = this.#table.expires(slot)
    const own = this.tenure?.own
    const changed = own?.sets.has(sid) === true
    const outlived = this.tombstones.outlives(sid, now)
    // Ended before its time; or by what was changed here, of which the files of the owner know nothing.
    if (this.tenure && (expires > now || (outlived && changed))) {
      this.removed(sid, expires)
      return
    }
    // Once meant to live longer, or older in the files of the owner: they must not bring that back. It
    // is no destruction, since another process may have given it a later end meanwhile.
    if (this.#remembers && (outlived || changed)) {
      this.tombstones.add(sid, this.#table.stamp(slot), changed ? now + ONE_DAY : expires)
    }
    if (!changed) own?.lapsed.add(this.#table, slot, now)
    this.#forget(sid)
    this.tenure?.persistence?.expire(slot, this.#table.stamp(slot))
  }

  /** The session was set to end at once: no touch of another process brings it back. */
  ended(sid: string): void {
    this.tenure?.own?.lapsed.delete(sid)
  }

  /** The session was evicted. */
  evicted(sid: string): void {
    this.#forget(sid)
    // If a file brings an older copy back, no harm is done: it was not destroyed, and it is evicted
    // first.
    const removal: Removal = { stamp: this.#stamps.next(this.#clock.now()), until: 0 }
    this.tenure?.persistence?.remove(sid, removal)
  }

  /**
   * The table is about to be emptied.
   *
   * @returns the stamp of it, for {@link cleared}
   */
  clearing(): number {
    const own = this.tenure?.own
    if (own) {
      // While another process owns the files, all are destroyed one by one for it.
      for (let slot = 0; slot < this.#table.slots; slot++) {
        if (this.#table.has(slot))
          own.removals.set(this.#table.sid(slot), this.#table.expires(slot))
      }
      own.sets.clear()
      own.made.clear()
      own.lapsed.clear()
    }
    return this.#stamps.next(this.#clock.now())
  }

  /** The table was emptied. */
  cleared(stamp: number): void {
    if (!this.tenure) return
    this.tombstones.clear(stamp)
    if (this.tenure.own) this.tenure.own.cleared = stamp
    this.tenure.persistence?.clear(stamp)
  }

  /** Whether a file may be read or written here that holds what has gone. */
  get #remembers(): boolean {
    return this.tenure !== undefined && !this.tenure.lost
  }

  /** Nothing of the session that was changed here is left to write. */
  #forget(sid: string): void {
    this.tenure?.own?.sets.delete(sid)
    this.tenure?.own?.made.delete(sid)
  }
}
