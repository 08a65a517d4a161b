/**
 * When snapshots are taken.
 *
 * On demand, every `snapshotInterval` where that gains anything, and soon where something else asks
 * for one, then again after errors with a growing pause. One is under way at most; who asks during
 * one gets the next, because the one under way may have passed what the asker has changed.
 */
import type { Clock } from './clock.js'
import type { StoreError } from './errors.js'
import type { Generations } from './generations.js'
import { HEAD_LENGTH } from './frames.js'
import type { Health } from './health.js'
import { AbortedError, BackOff, type Turns } from './pace.js'
import type { Pending } from './pending.js'

/** What a snapshot that was written amounts to. */
export interface SnapshotReport {
  /** Entries in it: a session that changed while it was written may be told twice (`'snapshot'`). */
  sessions: number
  /** Of the file. */
  bytes: number
  /** Milliseconds from its beginning until it had its name. */
  durationMs: number
}

/** The last snapshot, as `stats()` shows it. */
export interface SnapshotStats extends Partial<SnapshotReport> {
  /** When it was finished, or failed. */
  at: Date
  /** Why it failed, if it did. */
  error?: StoreError
}

export interface SnapshottingContext {
  clock: Clock
  /** Whether journals are written beside the snapshots. */
  journaling: boolean
  /** Milliseconds; 0: never. */
  snapshotInterval: number
  onSnapshot: (report: SnapshotReport) => void
}

/** What it shares with the writer of journals. */
export interface SnapshottingParts {
  generations: Generations
  turns: Turns
  pending: Pending
  health: Health
  /** One stands, before anybody is told. */
  onWritten: () => void
}

/** A smaller snapshot costs less than what putting it off would save, in bytes. */
const SNAPSHOT_SMALL = 1024 * 1024

export class Snapshotting {
  /** Whether memory holds anything that only a snapshot can take to disk. */
  unsaved = false
  /** Whether the one under way takes anything that was so when it was begun. */
  carrying = false
  /** How many sessions had expired when the last snapshot was begun: it holds none of them. */
  expiredBefore = 0
  last: SnapshotStats | undefined
  readonly #context: SnapshottingContext
  readonly #parts: SnapshottingParts
  readonly #retry: BackOff
  #running: Promise<SnapshotReport> | undefined
  #queued: Promise<SnapshotReport> | undefined
  /** Whether somebody waits for the one under way. */
  #wanted = false
  #stopInterval: () => void = ignore

  constructor(context: SnapshottingContext, parts: SnapshottingParts) {
    this.#context = context
    this.#parts = parts
    this.#retry = new BackOff(context.clock)
    if (context.snapshotInterval > 0) {
      this.#stopInterval = context.clock.every(context.snapshotInterval, () => this.#tick())
    }
  }

  /** The one under way. */
  get running(): Promise<SnapshotReport> | undefined {
    return this.#running
  }

  /** Takes a snapshot; a call during one waits for the next. */
  take(): Promise<SnapshotReport> {
    if (!this.#running) return this.#next()
    this.#queued ??= this.#running.then(ignore, ignore).then(() => {
      this.#queued = undefined
      return this.#next()
    })
    return this.#queued
  }

  /** Resolves when those that have been asked for are done, however that went. */
  async finish(): Promise<void> {
    for (let next; (next = this.#queued ?? this.#running);) await next.catch(ignore)
  }

  /** Takes one that nobody waits for, and tries again where that fails. */
  soon(): void {
    const { health } = this.#parts
    if (this.#running || this.#retry.waiting || health.closing) return
    this.#start().catch((error: unknown) => {
      if (health.closing) return
      health.failed(error)
      this.#retry.wait(() => this.soon())
    })
  }

  /** Resolves when everything so far is in a snapshot, where there is no journal. */
  async settle(): Promise<void> {
    // What changed while one was written may have come too late for it.
    await this.#running?.catch(ignore)
    // One that has begun since covers everything too.
    const { broken } = this.#parts.health
    await (this.#running ?? (this.unsaved || broken ? this.#start() : undefined))
    // What was merged meanwhile came too late for it as well.
    if (this.#parts.health.broken) await this.#start()
  }

  /** Takes no more by itself. */
  stop(): void {
    this.#stopInterval()
    this.#retry.reset()
  }

  /** The one that has begun since, which covers everything too, or one begun now. */
  #next(): Promise<SnapshotReport> {
    const next = this.#running ?? this.#start()
    this.#wanted = true
    return next
  }

  #start(): Promise<SnapshotReport> {
    const { health, onWritten } = this.#parts
    const { clock, onSnapshot } = this.#context
    if (health.abandoned) return Promise.reject(health.refusal!)
    const started = performance.now()
    const { faults } = health
    this.#wanted = false
    this.#running = this.#write().then(
      ({ sessions, bytes }) => {
        const report = { sessions, bytes, durationMs: performance.now() - started }
        this.#running = undefined
        this.last = { ...report, at: new Date(clock.now()) }
        health.mend(faults)
        health.failure = undefined
        this.#retry.reset()
        onWritten()
        onSnapshot(report)
        return report
      },
      (cause: unknown) => {
        this.#running = undefined
        const error = health.wrap(cause)
        health.noteLost(error)
        if (!(cause instanceof AbortedError)) this.last = { at: new Date(clock.now()), error }
        throw error
      },
    )
    return this.#running
  }

  async #write(): Promise<{ sessions: number; bytes: number }> {
    const { generations, turns, pending, health } = this.#parts
    const { journaling } = this.#context
    this.carrying = this.unsaved
    this.unsaved = false
    try {
      const onBroken = () => health.faults++
      await turns.run(() => generations.begin(onBroken))
      const { expired } = pending
      const changes = journaling ? undefined : () => pending.take()
      const abort = () => health.closing && journaling && !health.broken && !this.#wanted
      const { footer, bytes } = await generations.write(changes, abort, health.broken)
      this.expiredBefore = expired
      // What came after the last chunk waits for the next snapshot.
      if (!journaling) {
        this.unsaved = pending.urgent
        pending.take()
      }
      return { sessions: footer.sessions, bytes }
    } catch (error) {
      if (!journaling) {
        pending.take()
        this.unsaved = true
      }
      throw error
    } finally {
      this.carrying = false
    }
  }

  #tick(): void {
    if (!this.#context.journaling) {
      if (this.unsaved || this.#parts.health.broken) this.soon()
      return
    }
    const { sinceSnapshot, snapshotBytes } = this.#parts.generations
    // With a journal, nothing is gained by writing everything for a few changes.
    const { count, bytes } = sinceSnapshot
    const worth = snapshotBytes < SNAPSHOT_SMALL || bytes * 2 >= snapshotBytes
    if (count > 0 && bytes > count * HEAD_LENGTH && worth) this.soon()
  }
}

function ignore(): void {
  // Told where it happened.
}
