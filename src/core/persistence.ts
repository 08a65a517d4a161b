/**
 * What keeps the files in step with the table.
 *
 * Told of each change; notes it as pending and leaves it to journaling.ts and snapshotting.ts when
 * it is written. Knows how the two go together: what a flush, a close and the end of the process
 * ask of each, and that none writes any more once the files are another process's.
 */
import type { StoreError } from './errors.js'
import { Generations, type GenerationsContext } from './generations.js'
import { Health } from './health.js'
import type { Journal } from './journal.js'
import { Journaling, type JournalingContext, JOURNALS_MOST } from './journaling.js'
import { Turns } from './pace.js'
import { Pending } from './pending.js'
import type { Recovery } from './recover.js'
import {
  Snapshotting,
  type SnapshotReport,
  type SnapshotStats,
  type SnapshottingContext,
} from './snapshotting.js'
import type { Removal } from './tombstones.js'

export type { SnapshotReport, SnapshotStats } from './snapshotting.js'

export interface PersistenceContext
  extends GenerationsContext, JournalingContext, SnapshottingContext {
  onError: (error: StoreError) => void
  /** Another process has taken the files over; nothing more is written. */
  onLost: (error: StoreError) => void
}

/** Keeps the files in step with the table. One for each open store that owns its files. */
export class Persistence {
  readonly #context: PersistenceContext
  readonly #generations: Generations
  readonly #turns = new Turns()
  readonly #pending: Pending
  readonly #health: Health
  readonly #journaling: Journaling
  readonly #snapshots: Snapshotting

  constructor(context: PersistenceContext, recovery: Recovery) {
    this.#context = context
    this.#generations = new Generations(context, recovery)
    this.#pending = new Pending(context.target.table)
    const onLost = (error: StoreError) => {
      this.#snapshots.stop()
      this.#journaling.abandon()
      // What nobody writes would pile up.
      this.#pending.end()
      context.onLost(error)
    }
    this.#health = new Health({ path: context.path, onError: context.onError, onLost })
    const shared = {
      generations: this.#generations,
      turns: this.#turns,
      pending: this.#pending,
      health: this.#health,
    }
    this.#journaling = new Journaling(context, {
      ...shared,
      snapshot: () => this.snapshot(),
      snapshotSoon: () => this.snapshotSoon(),
    })
    const onWritten = () => {
      // It has become so while that one was written.
      if (this.#health.broken) this.snapshotSoon()
      this.#journaling.hurry()
      this.#journaling.schedule()
    }
    this.#snapshots = new Snapshotting(context, { ...shared, onWritten })
    // What was left out when files were read, for its expiry or a limit, they may hold.
    this.#pending.expired = recovery.store ? 1 : 0
    const many = recovery.journals.length > (context.journaling ? JOURNALS_MOST : 0)
    if (recovery.damaged || recovery.unsynced || recovery.rekey || many) {
      this.#snapshots.unsaved = true
      this.snapshotSoon()
    }
  }

  /** Whether anything is still to be written; with a journal also what a snapshot holds already. */
  get unsaved(): boolean {
    const { unsaved, carrying } = this.#snapshots
    return unsaved || carrying || !this.#pending.none || this.#health.broken
  }

  get lastSnapshot(): SnapshotStats | undefined {
    return this.#snapshots.last
  }

  /** Why the last attempt to write failed, until one succeeds. */
  get failure(): StoreError | undefined {
    return this.#health.failure
  }

  /** Bytes of the journals written since the snapshot. */
  get journalBytes(): number {
    return this.#generations.sinceSnapshot.bytes
  }

  /** Notes that the entry in `slot` was put. */
  set(slot: number): void {
    if (this.#tracking) this.#pending.set(slot)
    this.#noted()
  }

  /** Notes a touch; a small one waits until there is more to write. */
  touch(slot: number, small: boolean, now: number): void {
    if (small && this.#context.journaling) {
      // Where others wait already, it is settled when that ends.
      if (this.#pending.touchSlightly(slot, now)) this.#noted()
      return
    }
    if (this.#tracking) this.#pending.touch(slot)
    this.#noted()
  }

  /** Notes that `sid` is gone; it is about to leave the table, if it is there. */
  remove(sid: string, removal: Removal): void {
    if (this.#tracking) this.#pending.remove(sid, removal)
    this.#noted()
  }

  /** Notes that a session was destroyed that memory does not have. */
  removeUnseen(sid: string, stamp: number): void {
    // The files hold no other than those that have expired, or were left out, since.
    if (this.#pending.expired === this.#snapshots.expiredBefore) return
    this.remove(sid, { stamp, until: 0 })
  }

  /** Notes that the entry in `slot`, of this stamp, is about to go because it has expired. */
  expire(slot: number, stamp: number): void {
    this.#pending.expire(slot, { stamp, until: 0 })
  }

  /** Notes that the table has been emptied: whatever else is noted, no note of a slot holds. */
  clear(stamp: number): void {
    this.#pending.clear(stamp)
    this.#noted()
  }

  /** Resolves when everything noted so far is on disk; rejects with `ERR_WRITE` if that fails. */
  durable(): Promise<void> {
    return this.#journaling.durable()
  }

  /** Writes a snapshot; a call during one waits for the next. */
  snapshot(): Promise<SnapshotReport> {
    return this.#snapshots.take()
  }

  /** Writes a snapshot that nobody waits for, and tries again where that fails. */
  snapshotSoon(): void {
    this.#snapshots.soon()
  }

  /** Makes everything so far durable, small touches included. */
  async flush(): Promise<void> {
    const { abandoned, refusal } = this.#health
    if (abandoned) throw refusal!
    this.#lookForDamage()
    if (this.#context.journaling) {
      this.#pending.settle()
      if (!this.unsaved && !this.#generations.journals.unsynced) return
      this.#journaling.hurry()
      await this.durable()
    } else await this.#snapshots.settle()
  }

  /** Flushes and closes the files. What fails is the error of the result; all is closed anyway. */
  async close(): Promise<void> {
    this.#health.closing = true
    this.#snapshots.stop()
    try {
      await this.flush()
    } catch (error) {
      this.#appendAtLast()
      throw error
    } finally {
      this.#journaling.stop()
      await this.#snapshots.finish()
      await this.release()
    }
  }

  /** Writes no more: another process owns the files. */
  abandon(error: StoreError): void {
    this.#health.abandon(error)
  }

  /** Begins a new generation where the files have been taken away from under this process. */
  lookAfter(): void {
    const { abandoned, broken } = this.#health
    // Broken: a whole generation is on its way, with pauses where that fails.
    if (abandoned || broken || !this.#generations.orphaned) return
    this.distrust()
    void this.#turns.run(() => this.#generations.journals.abandon(false)).then(() => this.renew())
  }

  /** The files may hold less than was written to them. */
  distrust(): void {
    this.#health.faults++
  }

  /** Writes a whole generation in the place of files that can't be trusted, however often it takes. */
  async renew(): Promise<void> {
    this.distrust()
    await this.snapshot().catch(() => this.snapshotSoon())
  }

  /** Closes the files without another write. */
  async release(): Promise<void> {
    await this.#turns.run(() => this.#generations.journals.close())
  }

  /**
   * Writes what is unsaved while the process exits, in one go. Throws where it can't.
   *
   * @param lives the process may go on: then a whole generation follows, before which nothing more is
   * acknowledged, since what was under way may land before or after this
   */
  flushSync(lives: boolean): void {
    if (this.#health.abandoned) return
    try {
      this.#flushSync()
    } finally {
      if (lives) {
        this.distrust()
        this.snapshotSoon()
      }
    }
  }

  #flushSync(): void {
    this.#lookForDamage()
    const { journaling } = this.#context
    this.#pending.settle()
    const underWay = !journaling && this.#snapshots.running !== undefined
    if (!this.unsaved && !this.#generations.journals.unsynced && !underWay) return
    if (!journaling || this.#health.broken) {
      try {
        this.#generations.writeSync()
        return
      } catch (error) {
        this.#appendAtLast()
        throw error
      }
    }
    this.#appendSync(!this.#journaling.running)
  }

  /** Where not everything fits, what changed may, and most of the rest may be in the files before. */
  #appendAtLast(): void {
    if (!this.#context.journaling || this.#health.abandoned) return
    try {
      // The current one may have been taken away.
      this.#appendSync(false)
    } catch {
      // What led here tells more.
    }
  }

  /** @param idle to the current journal, which has no append under way; otherwise to a new one */
  #appendSync(idle: boolean): void {
    this.#pending.tellAll((changes) => {
      const frames = (journal: Journal) => journal.frames(this.#context.target, changes)
      this.#generations.journals.appendSync(idle, frames)
    })
  }

  /** Whether files have been taken away or written over, before nobody looks any more. */
  #lookForDamage(): void {
    const { known } = this.#context
    const foreign = known.distrusted || known.disturbed().length > 0
    if (foreign || this.#generations.orphaned) this.distrust()
  }

  /** Whether it must be known which sessions changed, not only that some did. */
  get #tracking(): boolean {
    return this.#context.journaling || this.#snapshots.running !== undefined
  }

  #noted(): void {
    if (this.#context.journaling) this.#journaling.schedule()
    else this.#snapshots.unsaved = true
  }
}
