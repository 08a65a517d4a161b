/**
 * When the table's changes go to its files.
 *
 * Told of each change; appends them to the journal, once a second or before each acknowledgement,
 * takes snapshots, tries again after errors with a growing pause, and writes what is unsaved when
 * the process ends. One journal write and one snapshot are under way at most. After a failed sync
 * nothing is acknowledged until a whole new generation stands.
 */
import { setImmediate as immediate } from 'node:timers/promises'
import { StoreError } from './errors.js'
import { AbortedError, Generations, type GenerationsContext } from './generations.js'
import { HEAD_LENGTH } from './frames.js'
import { BackOff, Turns } from './pace.js'
import { Pending } from './pending.js'
import type { Recovery } from './recover.js'
import type { Removal } from './tombstones.js'

/** What a snapshot that was written amounts to. */
export interface SnapshotReport {
  sessions: number
  bytes: number
  durationMs: number
}

/** The last snapshot, as `stats()` shows it. */
export interface SnapshotStats extends Partial<SnapshotReport> {
  /** When it was finished, or failed. */
  at: Date
  /** Why it failed, if it did. */
  error?: StoreError
}

export interface PersistenceContext extends GenerationsContext {
  durability: 'snapshot' | 'everysec' | 'always'
  /** Milliseconds; 0: never. */
  snapshotInterval: number
  journalMaxRatio: number
  onSnapshot: (report: SnapshotReport) => void
  onError: (error: StoreError) => void
  /** Another process has taken the files over; nothing more is written. */
  onLost: (error: StoreError) => void
}

/** With `everysec`, appends and syncs begin at least this far apart, in ms. */
const APPEND_SPACING = 250
const SYNC_SPACING = 1000
/** How long a touch that needs no record of its own waits for one, in ms. */
const SETTLE = 60_000
/** A smaller journal never asks for a snapshot, in bytes. */
const JOURNAL_LEAST = 16 * 1024 * 1024
/** A smaller snapshot costs less than what putting it off would save, in bytes. */
const SNAPSHOT_SMALL = 1024 * 1024
/** Restarts leave a journal each; so many are read without anybody noticing. */
const JOURNALS_MOST = 16

interface Waiter {
  resolve: () => void
  reject: (error: StoreError) => void
}

/** Keeps the files in step with the table. One for each open store that owns its files. */
export class Persistence {
  readonly #context: PersistenceContext
  readonly #generations: Generations
  readonly #turns = new Turns()
  readonly #pending = new Pending()
  /** How many had expired when the snapshot was begun: it holds none of them. */
  #expiredBefore = 0
  #unsaved = false
  #broken = false
  #waiters: Waiter[] = []
  #flushing: Promise<void> | undefined
  #flushTimer: (() => void) | undefined
  /** Whether the timer is for more than small touches. */
  #flushUrgent = false
  #lastFlush = -Infinity
  #lastSync = -Infinity
  #snapshotting: Promise<SnapshotReport> | undefined
  #queued: Promise<SnapshotReport> | undefined
  #lastSnapshot: SnapshotStats | undefined
  readonly #flushRetry: BackOff
  readonly #snapshotRetry: BackOff
  #failure: StoreError | undefined
  /** What those are told who ask for a write while there is none. */
  #refusal: StoreError | undefined
  #stopInterval: () => void = ignore
  #closing = false
  #abandoned = false

  constructor(context: PersistenceContext, recovery: Recovery) {
    this.#context = context
    this.#generations = new Generations(context, recovery)
    this.#flushRetry = new BackOff(context.clock)
    this.#snapshotRetry = new BackOff(context.clock)
    if (context.snapshotInterval > 0) {
      this.#stopInterval = context.clock.every(context.snapshotInterval, () => this.#tick())
    }
    this.#pending.expired = recovery.report.expired
    const many = recovery.journals.length > (context.journaling ? JOURNALS_MOST : 0)
    if (recovery.damaged || recovery.rekey || many) {
      this.#unsaved = true
      this.snapshotSoon()
    }
  }

  /** Whether memory holds anything that the files don't. */
  get unsaved(): boolean {
    return this.#unsaved || !this.#pending.none
  }

  get lastSnapshot(): SnapshotStats | undefined {
    return this.#lastSnapshot
  }

  /** Why the last attempt to write failed, until one succeeds. */
  get failure(): StoreError | undefined {
    return this.#failure
  }

  /** Bytes of the journals written since the snapshot. */
  get journalBytes(): number {
    return this.#generations.journals.bytes
  }

  /** The files, for those who watch over them. */
  get generations(): Generations {
    return this.#generations
  }

  /** Notes that the entry of `sid` was put. */
  set(sid: string): void {
    if (this.#tracking) this.#pending.set(sid)
    this.#noted()
  }

  /** Notes a touch; a small one waits until there is more to write. */
  touch(sid: string, small: boolean): void {
    if (small && this.#context.journaling) {
      this.#pending.touchSlightly(sid, this.#context.clock.now())
      this.#schedule()
      return
    }
    if (this.#tracking) this.#pending.touch(sid)
    this.#noted()
  }

  remove(sid: string, removal: Removal): void {
    if (this.#tracking) this.#pending.remove(sid, removal)
    this.#noted()
  }

  /** Notes that a session was destroyed that memory does not have; no hurry. */
  removeUnseen(sid: string, stamp: number): void {
    // The files hold no other than those that have expired since.
    if (this.#pending.expired === this.#expiredBefore) return
    const { journaling, clock } = this.#context
    if (journaling) this.#pending.removeUnseen(sid, { stamp, until: 0 }, clock.now())
    this.#noted()
  }

  /** Notes that the entry of `sid`, of this stamp, is gone because it has expired. */
  expire(sid: string, stamp: number): void {
    this.#pending.expire(sid, { stamp, until: 0 })
  }

  clear(stamp: number): void {
    if (this.#tracking) this.#pending.clear(stamp)
    this.#noted()
  }

  /** Resolves when everything noted so far is on disk; rejects with `ERR_WRITE` if that fails. */
  durable(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
      this.#schedule()
    })
  }

  /** Writes a snapshot; a call during one waits for the next. */
  snapshot(): Promise<SnapshotReport> {
    if (!this.#snapshotting) return this.#startSnapshot()
    this.#queued ??= this.#snapshotting.then(ignore, ignore).then(() => {
      this.#queued = undefined
      return this.#startSnapshot()
    })
    return this.#queued
  }

  /** Makes everything so far durable, small touches included. */
  async flush(): Promise<void> {
    if (this.#abandoned) throw this.#refusal!
    if (this.#context.journaling) {
      this.#pending.settle()
      if (!this.unsaved && !this.#generations.unsynced && !this.#broken) return
      this.#flushRetry.reset()
      await this.durable()
    } else if (this.#unsaved || this.#snapshotting) {
      // What changed while one was written may have come too late for it.
      await this.#snapshotting?.catch(ignore)
      // One that has begun since covers everything too.
      await (this.#snapshotting ?? (this.#unsaved ? this.#startSnapshot() : undefined))
    }
  }

  /** Flushes and closes the files. What fails is the error of the result; all is closed anyway. */
  async close(): Promise<void> {
    this.#closing = true
    this.#stopInterval()
    this.#snapshotRetry.reset()
    try {
      await this.flush()
    } finally {
      this.#flushTimer?.()
      await this.#snapshotting?.then(ignore, ignore)
      await this.#turns.run(() => this.#generations.close())
    }
  }

  /** Writes no more: another process owns the files. */
  abandon(error: StoreError): void {
    if (this.#abandoned) return
    this.#closing = this.#abandoned = true
    this.#failure = this.#refusal = error
    this.#stopInterval()
    this.#snapshotRetry.reset()
    this.#flushRetry.reset()
    this.#flushTimer?.()
    this.#refuse()
    this.#context.onLost(error)
  }

  /** Begins a new generation where the files have been taken away from under this process. */
  lookAfter(): void {
    if (!this.#generations.orphaned || this.#abandoned) return
    void this.#turns.run(() => this.#generations.abandon(false)).then(() => this.snapshotSoon())
  }

  /** Closes the files without another write. */
  async release(): Promise<void> {
    await this.#turns.run(() => this.#generations.close())
  }

  /** Writes what is unsaved while the process exits, in one go. Throws where it can't. */
  flushSync(): void {
    if (this.#abandoned) return
    const { journaling } = this.#context
    this.#pending.settle()
    const underWay = !journaling && this.#snapshotting !== undefined
    if (!this.unsaved && !this.#generations.unsynced && !this.#broken && !underWay) return
    if (!journaling || this.#broken) {
      this.#generations.writeSync()
      return
    }
    // An append under way may land before or after ours: it gets no company in its file.
    const journal = this.#generations.journalSync(!this.#flushing)
    for (const frame of journal.frames(this.#context.target, this.#pending.takeAll())) {
      journal.appendSync(frame)
    }
    journal.syncSync()
  }

  /** Whether it must be known which sessions changed, not only that some did. */
  get #tracking(): boolean {
    return this.#context.journaling || this.#snapshotting !== undefined
  }

  #noted(): void {
    if (this.#context.journaling) this.#schedule()
    else this.#unsaved = true
  }

  #schedule(): void {
    if (this.#abandoned) this.#refuse()
    if (this.#flushing || this.#abandoned) return
    if (this.#flushRetry.waiting) {
      this.#refuse()
      return
    }
    if (this.#waiters.length > 0) {
      this.#flushTimer?.()
      this.#flushTimer = undefined
      // A turn of the loop, so that all who ask in this one share a sync.
      this.#flushing = immediate().then(() => this.#flushOnce())
      return
    }
    const { urgent: noted, waiting, waitingSince } = this.#pending
    const urgent = noted || this.#generations.unsynced
    if (!urgent && !waiting) return
    if (this.#flushTimer && (this.#flushUrgent || !urgent)) return
    this.#flushTimer?.()
    this.#flushUrgent = urgent
    const now = this.#context.clock.now()
    // A clock set back must not put the next write off.
    const due = noted
      ? Math.min(this.#lastFlush, now) + APPEND_SPACING
      : urgent
        ? Math.min(this.#lastSync, now) + SYNC_SPACING
        : waitingSince + SETTLE
    this.#flushTimer = this.#context.clock.after(Math.min(Math.max(0, due - now), SETTLE), () => {
      this.#flushTimer = undefined
      this.#flushing ??= this.#flushOnce()
    })
  }

  async #flushOnce(): Promise<void> {
    const waiters = this.#waiters
    this.#waiters = []
    const now = this.#context.clock.now()
    this.#lastFlush = now
    const sync = waiters.length > 0 || Math.abs(now - this.#lastSync) >= SYNC_SPACING
    try {
      if (this.#broken) await this.snapshot()
      await this.#turns.run(() => this.#append(sync))
      this.#flushRetry.reset()
      this.#failure = undefined
      for (const { resolve } of waiters) resolve()
    } catch (cause) {
      const error = this.#failed(cause)
      this.#refusal = error
      if (!this.#closing)
        this.#flushRetry.wait(() => {
          this.#flushing ??= this.#flushOnce()
        })
      for (const { reject } of waiters) reject(error)
    } finally {
      this.#flushing = undefined
      this.#schedule()
    }
    const { count, bytes } = this.#generations.journals
    const most = Math.max(
      JOURNAL_LEAST,
      this.#context.journalMaxRatio * this.#generations.snapshotBytes,
    )
    if (bytes >= most || count > JOURNALS_MOST) this.snapshotSoon()
  }

  async #append(sync: boolean): Promise<void> {
    const pending = this.#pending
    if (this.#context.clock.now() - pending.waitingSince >= SETTLE) pending.settle()
    if (!pending.urgent && !(sync && this.#generations.unsynced)) return
    let syncing = false
    const changes = pending.begin()
    try {
      const journal = await this.#generations.journal()
      for (const frame of journal.frames(this.#context.target, changes)) {
        await journal.append(frame)
      }
      if (!sync) return
      syncing = true
      this.#lastSync = this.#context.clock.now()
      await journal.sync()
      // Whoever takes a lease reads the journals after that: what this still allows, it has read.
      await this.#context.lease.confirm()
    } catch (error) {
      pending.failed()
      // After a failed sync the kernel may have dropped what it could not write, and may say so once.
      const { unsynced } = this.#generations
      const kept = await this.#generations.abandon(!syncing)
      this.#broken ||= unsynced && !kept
      throw error
    } finally {
      pending.written()
    }
  }

  #startSnapshot(): Promise<SnapshotReport> {
    if (this.#abandoned) return Promise.reject(this.#refusal!)
    const started = performance.now()
    const wasBroken = this.#broken
    this.#snapshotting = this.#writeSnapshot().then(
      ({ sessions, bytes }) => {
        const report = { sessions, bytes, durationMs: performance.now() - started }
        this.#snapshotting = undefined
        this.#lastSnapshot = { ...report, at: new Date(this.#context.clock.now()) }
        if (wasBroken) this.#broken = false
        this.#snapshotRetry.reset()
        this.#flushRetry.reset()
        this.#failure = undefined
        this.#schedule()
        this.#context.onSnapshot(report)
        return report
      },
      (cause: unknown) => {
        this.#snapshotting = undefined
        const error = this.#wrap(cause)
        if (error.code === 'ERR_LEASE_LOST') this.abandon(error)
        if (!(cause instanceof AbortedError)) {
          this.#lastSnapshot = { at: new Date(this.#context.clock.now()), error }
        }
        throw error
      },
    )
    return this.#snapshotting
  }

  async #writeSnapshot(): Promise<{ sessions: number; bytes: number }> {
    const { journaling } = this.#context
    this.#unsaved = false
    try {
      const onBroken = () => (this.#broken = true)
      await this.#turns.run(() => this.#generations.begin(onBroken))
      const { expired } = this.#pending
      const changes = journaling ? undefined : () => this.#pending.take().sids()
      const abort = () => this.#closing && journaling && !this.#broken
      const { footer, bytes } = await this.#generations.write(changes, abort)
      this.#expiredBefore = expired
      // What came after the last chunk waits for the next snapshot.
      if (!journaling) this.#unsaved = !this.#pending.take().empty
      return { sessions: footer.sessions, bytes }
    } catch (error) {
      if (!journaling) {
        this.#pending.take()
        this.#unsaved = true
      }
      throw error
    }
  }

  /** Writes a snapshot that nobody waits for, and tries again where that fails. */
  snapshotSoon(): void {
    if (this.#snapshotting || this.#snapshotRetry.waiting || this.#closing) return
    this.#startSnapshot().catch((error: unknown) => {
      if (this.#closing) return
      this.#failed(error)
      this.#snapshotRetry.wait(() => this.snapshotSoon())
    })
  }

  #tick(): void {
    if (!this.#context.journaling) {
      if (this.#unsaved) this.snapshotSoon()
      return
    }
    // With a journal, nothing is gained by writing everything for a few changes.
    const { count, bytes } = this.#generations.journals
    const { snapshotBytes } = this.#generations
    const worth = snapshotBytes < SNAPSHOT_SMALL || bytes * 2 >= snapshotBytes
    if (count > 0 && bytes > count * HEAD_LENGTH && worth) this.snapshotSoon()
  }

  #failed(cause: unknown): StoreError {
    const error = this.#wrap(cause)
    if (error.code === 'ERR_LEASE_LOST') this.abandon(error)
    else {
      this.#failure = error
      this.#context.onError(error)
    }
    return error
  }

  /** While a pause lasts, nobody is kept waiting for it. */
  #refuse(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const { reject } of waiters) reject(this.#refusal!)
  }

  #wrap(cause: unknown): StoreError {
    if (cause instanceof StoreError) return cause
    const { path } = this.#context
    const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message
    return new StoreError(
      'ERR_WRITE',
      `Expected to write ${path}, found ${reason}. Sessions are served from memory meanwhile; ` +
        'writing is tried again',
      { path, cause },
    )
  }
}

function ignore(): void {
  // Told where it happened.
}
