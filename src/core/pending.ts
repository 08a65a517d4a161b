/**
 * What the files don't have yet: what is noted, what is on its way to them, and what can wait.
 *
 * Notes of one session add up to one, the last thing said of it being told. What is on its way and
 * fails comes back; what can wait, such as small touches, goes along with whatever goes next. Says
 * nothing of when that is, and knows neither files nor clocks.
 */
import { type Change, Changes } from './changes.js'
import { SidMap } from './sid-map.js'
import type { Removal } from './tombstones.js'

export class Pending {
  /** Since when something has been waiting for company, epoch ms. */
  waitingSince = 0
  /** How many sessions have gone by their expiry, of which files need not have heard. */
  expired = 0
  #changes = new Changes()
  /** Notes being written, put back where that fails. */
  #writing: Changes | undefined
  #waiting = new SidMap<Exclude<Change, 'set'>>()

  /** Whether the files have everything. */
  get none(): boolean {
    return !this.urgent && this.#writing === undefined && !this.waiting
  }

  /** Whether there is anything that should not wait for company. */
  get urgent(): boolean {
    return !this.#changes.empty
  }

  /** Whether anything waits for company. */
  get waiting(): boolean {
    return this.#waiting.size > 0
  }

  set(sid: string): void {
    this.#waiting.delete(sid)
    this.#changes.set(sid)
    // A touch on its way would tell the new cookie and expiry and leave the old body with them.
    this.#writing?.complete(sid)
  }

  touch(sid: string): void {
    this.#changes.touch(sid)
  }

  remove(sid: string, removal: Removal): void {
    this.#waiting.delete(sid)
    this.#changes.remove(sid, removal)
  }

  /** Notes a touch that needs no record of its own. */
  touchSlightly(sid: string, now: number): void {
    this.#wait(sid, 'touch', now)
  }

  /** Notes that what files may hold of a session unknown here is gone. */
  removeUnseen(sid: string, removal: Removal, now: number): void {
    this.#wait(sid, removal, now)
  }

  /**
   * Notes that a session is gone by its expiry. Files say so themselves of what they hold, but for
   * a set that was not told them: what that replaced may have longer to live once the clock is set.
   */
  expire(sid: string, removal: Removal): void {
    this.expired++
    if (this.#changes.has(sid) || this.#writing?.has(sid)) this.#changes.remove(sid, removal)
  }

  clear(stamp: number): void {
    this.#waiting.clear()
    this.#changes.clear(stamp)
  }

  /** Moves what has been waiting in with the other notes. */
  settle(): void {
    for (const [sid, change] of this.#waiting) {
      if (change === 'touch') this.#changes.touch(sid)
      else if (!this.#changes.has(sid)) this.#changes.remove(sid, change)
    }
    this.#waiting.clear()
  }

  /** The notes, to be written: {@link written} or {@link failed} must follow. */
  begin(): Changes {
    this.#writing = this.#changes.take()
    return this.#writing
  }

  written(): void {
    this.#writing = undefined
  }

  /** What was being written is noted again. */
  failed(): void {
    if (this.#writing) this.#changes.restore(this.#writing)
    this.#writing = undefined
  }

  /** The notes, whose telling is the caller's from now on. */
  take(): Changes {
    return this.#changes.take()
  }

  /** All there is, also what is on its way, whose arrival nobody will learn of. */
  takeAll(): Changes {
    this.settle()
    if (this.#writing) this.#changes.restore(this.#writing)
    return this.#changes.take()
  }

  #wait(sid: string, change: Exclude<Change, 'set'>, now: number): void {
    if (!this.waiting) this.waitingSince = now
    this.#waiting.set(sid, change)
  }
}
