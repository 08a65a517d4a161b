/**
 * What the files don't have yet: what is noted, what is on its way to them, and what can wait.
 *
 * Notes of one session add up to one, the last thing said of it being told. What is on its way and
 * fails comes back; what can wait, such as small touches, goes along with whatever goes next. Says
 * nothing of when that is, and knows neither files nor clocks.
 */
import { type Changed, Changes, type NotedTable } from './changes.js'
import type { Removal } from './tombstones.js'

export class Pending {
  /** Since when something has been waiting for company, epoch ms. */
  waitingSince = 0
  /** How many sessions have gone by their expiry, of which files need not have heard. */
  expired = 0
  readonly #table: NotedTable
  #changes: Changes
  /** Notes being written, put back where that fails; empty at other times. */
  #writing: Changes
  /** Between {@link begin} and what must follow. */
  #underWay = false
  readonly #waiting: Changes
  #ended = false
  /** Whether there was anything to note that was not written and will not be. */
  #lost = false

  constructor(table: NotedTable) {
    this.#table = table
    this.#changes = new Changes(table)
    this.#writing = new Changes(table)
    this.#waiting = new Changes(table)
    table.onLeave = (slot) => {
      this.#waiting.drop(slot)
      this.#changes.leave(slot)
      // Whoever waits for this one must not be left with what it replaced.
      this.#writing.leave(slot)
    }
  }

  /** Whether the files have everything. */
  get none(): boolean {
    return !this.#lost && !this.urgent && !this.#underWay && !this.waiting
  }

  /** Whether there is anything that should not wait for company. */
  get urgent(): boolean {
    return !this.#changes.empty
  }

  /** Whether anything waits for company. */
  get waiting(): boolean {
    return !this.#waiting.empty
  }

  set(slot: number): void {
    // A hook that was told of an eviction may have destroyed what made room for itself.
    if (!this.#table.has(slot) || !this.#takes()) return
    this.#waiting.drop(slot)
    this.#changes.set(slot)
    // A touch on its way would tell the new cookie and expiry and leave the old body with them.
    this.#writing.complete(slot)
  }

  touch(slot: number): void {
    if (this.#takes()) this.#changes.touch(slot)
  }

  /** Notes that `sid` is gone; it is about to leave the table, if it is there. */
  remove(sid: string, removal: Removal): void {
    if (!this.#takes()) return
    this.#changes.remove(sid, removal)
  }

  /** Notes a touch that needs no record of its own. @returns whether nothing has been waiting before */
  touchSlightly(slot: number, now: number): boolean {
    if (!this.#takes()) return false
    const first = !this.waiting
    if (first) this.waitingSince = now
    this.#waiting.touch(slot)
    return first
  }

  /**
   * Notes that a session is about to go by its expiry. Files say so themselves of what they hold,
   * but for a set that was not told them: what that replaced may have longer to live once the clock
   * is set.
   */
  expire(slot: number, removal: Removal): void {
    this.expired++
    if (!this.#changes.has(slot) && !this.#writing.has(slot)) return
    this.#changes.remove(this.#table.sid(slot), removal)
  }

  /** The table has been emptied. */
  clear(stamp: number): void {
    this.#waiting.reset()
    this.#changes.clear(stamp)
    this.#writing.sweep()
  }

  /** Moves what has been waiting in with the other notes. */
  settle(): void {
    this.#changes.add(this.#waiting)
    this.#waiting.reset()
  }

  /** The notes, to be written: {@link written} or {@link failed} must follow. */
  begin(): Changes {
    const writing = this.#changes
    this.#changes = this.#writing
    this.#writing = writing
    this.#underWay = true
    return writing
  }

  written(): void {
    this.#writing.reset()
    this.#underWay = false
  }

  /** What was being written is noted again. */
  failed(): void {
    this.#changes.restore(this.#writing)
    this.written()
  }

  /** Which sessions are noted, whose telling is the caller's from now on. */
  take(): Changed {
    return this.#changes.take()
  }

  /**
   * Has all there is told at once, also what is on its way, whose arrival nobody will learn of. Where
   * `tell` throws, all stays noted.
   */
  tellAll(tell: (changes: Changes) => void): void {
    this.settle()
    this.#changes.restore(this.#writing, true)
    tell(this.#changes)
    this.#changes.reset()
  }

  /** How many sessions are noted by their sids, since they are gone. */
  get gone(): number {
    return this.#changes.goneCount
  }

  /** Forgets those; not while any are on their way. */
  dropGone(): void {
    this.#changes.dropGone()
  }

  /** Forgets what is noted and notes no more, only whether anything has been lost by that. */
  end(): void {
    this.#lost = !this.none
    this.#ended = true
    for (const changes of [this.#changes, this.#writing, this.#waiting]) changes.reset()
  }

  /** Whether notes are taken. Where they are not, what was to be noted is lost. */
  #takes(): boolean {
    this.#lost ||= this.#ended
    return !this.#ended
  }
}
