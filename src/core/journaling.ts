/**
 * When changes go to the journal.
 *
 * Appends what is pending, a few times a second at most or before each acknowledgement, so that all
 * who wait share a sync; tries again after errors with a growing pause, and asks for a snapshot
 * where the journal has outgrown the last one. One append is under way at most.
 */
import { setImmediate as immediate } from 'node:timers/promises'
import type { Clock } from './clock.js'
import { isFull } from './file.js'
import type { Generations } from './generations.js'
import type { Health } from './health.js'
import type { Journal } from './journal.js'
import type { Lease } from './lease.js'
import type { MergeTarget } from './merge.js'
import { BackOff, Gathering, joined, type Turns } from './pace.js'
import type { Pending } from './pending.js'
import { Waiters } from './waiters.js'

export interface JournalingContext {
  clock: Clock
  target: MergeTarget
  /** The right to write. Its checks throw where it has been lost. */
  lease: Lease
  /** The journal may be so many times the snapshot. */
  journalMaxRatio: number
}

/** What it shares with the writer of snapshots. */
export interface JournalingParts {
  generations: Generations
  turns: Turns
  pending: Pending
  health: Health
  snapshot: () => Promise<unknown>
  snapshotSoon: () => void
}

/** With `everysec`, appends and syncs begin at least this far apart, in ms. */
const APPEND_SPACING = 250
const SYNC_SPACING = 1000
/** Appends that take longer than a tenth of that come more rarely, but so often still. */
const APPEND_SPACING_MOST = 750
/** How long changes that can wait may wait for others to be written with, in ms. */
const SETTLE = 60_000
/** A smaller journal never asks for a snapshot, in bytes: Redis's `auto-aof-rewrite-min-size`. */
const JOURNAL_LEAST = 64 * 1024 * 1024
/** How many more sessions may be noted as gone than there are, while nothing can be written. */
const GONE_MOST = 16_384
/** With fewer waiters, two writes cost more than they save. */
const WORTH_HALVING = 16
/** Restarts leave a journal each; so many are read without anybody noticing. */
export const JOURNALS_MOST = 16

export class Journaling {
  readonly #context: JournalingContext
  readonly #parts: JournalingParts
  readonly #retry: BackOff
  readonly #gathering = new Gathering()
  #waiters = new Waiters()
  #flushing: Promise<void> | undefined
  #timer: (() => void) | undefined
  /** Whether the timer is for more than what waits for company. */
  #urgent = false
  #lastFlush = -Infinity
  #appendSpacing = APPEND_SPACING
  #lastSync = -Infinity

  constructor(context: JournalingContext, parts: JournalingParts) {
    this.#context = context
    this.#parts = parts
    this.#retry = new BackOff(context.clock)
  }

  /** Whether an append may be under way. */
  get running(): boolean {
    return this.#flushing !== undefined
  }

  /** Resolves when everything noted so far is on disk; rejects with `ERR_WRITE` if that fails. */
  durable(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.add({ resolve, reject })
      this.schedule()
    })
  }

  /** Ends a pause after a failure. */
  hurry(): void {
    this.#retry.reset()
  }

  /** Appends no more by itself. */
  stop(): void {
    this.#timer?.()
  }

  /** Appends no more at all. */
  abandon(): void {
    this.hurry()
    this.stop()
    this.#refuse()
  }

  /** Sees to it that what is pending is written when it is due. */
  schedule(): void {
    // Nothing is due before what is due already.
    if (this.#timer && this.#urgent && this.#waiters.size === 0) return
    const { generations, pending, health } = this.#parts
    if (health.abandoned) this.#refuse()
    if (this.#flushing || health.abandoned) return
    if (this.#retry.waiting) {
      this.#refuse()
      return
    }
    if (this.#waiters.size > 0) {
      this.#timer?.()
      this.#timer = undefined
      // A turn of the loop, so that all who ask in this one share a sync.
      this.#flushing = immediate().then(() => this.#flush())
      return
    }
    const urgent = pending.urgent || generations.journals.unsynced
    if (!urgent && !pending.waiting) return
    if (this.#timer && !urgent) return
    this.#timer?.()
    this.#urgent = urgent
    const now = this.#context.clock.now()
    // A clock set back must not put the next write off.
    const due = pending.urgent
      ? Math.min(this.#lastFlush, now) + this.#appendSpacing
      : urgent
        ? Math.min(this.#lastSync, now) + SYNC_SPACING
        : pending.waitingSince + SETTLE
    this.#timer = this.#context.clock.after(Math.min(Math.max(0, due - now), SETTLE), () => {
      this.#timer = undefined
      this.#flushing ??= this.#flush()
    })
  }

  /** @param before whom the write before was for: told while this one is under way */
  async #flush(before?: Waiters): Promise<void> {
    const { generations, turns, health, snapshot, snapshotSoon } = this.#parts
    const waiters = this.#waiters
    this.#waiters = new Waiters()
    // Callbacks run when the loop goes on, by when the write has begun.
    before?.resolve()
    let next: Promise<void> | undefined
    const began = performance.now()
    const now = this.#context.clock.now()
    this.#lastFlush = now
    const sync = waiters.size > 0 || Math.abs(now - this.#lastSync) >= SYNC_SPACING
    try {
      do {
        if (health.broken) await snapshot()
        await turns.run(() => this.#append(sync))
        // It may have turned out while others had their turns, or by what was merged into a snapshot.
      } while (health.broken)
      // Where so much changes, many are changes of the same sessions, and are one record then.
      const spacing = (this.#context.clock.now() - now) * 10
      this.#appendSpacing = Math.min(Math.max(spacing, APPEND_SPACING), APPEND_SPACING_MOST)
      this.#retry.reset()
      health.failure = undefined
      next = this.#goOn(waiters, performance.now() - began)
    } catch (cause) {
      const error = health.failed(cause)
      health.refusal = error
      this.#boundGone()
      if (!health.closing)
        this.#retry.wait(() => {
          this.#flushing ??= this.#flush()
        })
      waiters.reject(error)
    } finally {
      this.#flushing = next
      this.schedule()
    }
    const { count, bytes } = generations.sinceSnapshot
    const most = Math.max(JOURNAL_LEAST, this.#context.journalMaxRatio * generations.snapshotBytes)
    if (bytes >= most || count > JOURNALS_MOST) snapshotSoon()
  }

  /**
   * Tells those who waited for a write that it is done. Where asking takes longer than writing, the
   * next write begins first, so that the disk is at work while the app is; where it doesn't, all
   * who ask as soon as they are told share the next.
   */
  #goOn(waiters: Waiters, took: number): Promise<void> | undefined {
    const quick = took < waiters.span + this.#waiters.span
    if (quick && this.#waiters.size > 0) return this.#flush(waiters)
    const rest = quick && waiters.size >= WORTH_HALVING ? waiters.halve() : undefined
    waiters.resolve()
    return rest && immediate().then(() => this.#flush(rest))
  }

  async #append(sync: boolean): Promise<void> {
    const { generations, pending, health } = this.#parts
    if (health.abandoned) throw health.refusal!
    const waited = this.#context.clock.now() - pending.waitingSince
    // Less than nothing where the clock was set back, perhaps by hours.
    if (waited >= SETTLE || waited < 0) pending.settle()
    if (!pending.urgent && !(sync && generations.journals.unsynced)) return
    let journal: Journal | undefined
    let appended = false
    const changes = pending.begin()
    try {
      journal = await generations.journals.current()
      const frames = journal.frames(this.#context.target, changes)
      for (const some of joined(frames, this.#gathering)) {
        await journal.append(some)
      }
      appended = true
      if (!sync) return
      this.#lastSync = this.#context.clock.now()
      await journal.sync()
      // Whoever takes a lease reads the journals after that: what this still allows, it has read.
      await this.#context.lease.confirm()
    } catch (error) {
      pending.failed()
      // After a failed sync the kernel may have dropped what it could not write, and may say so once:
      // to whoever writes next, too.
      const syncing = appended || (journal !== undefined && !isFull(error))
      const { unsynced } = generations.journals
      const kept = await generations.journals.abandon(!syncing)
      if ((unsynced && !kept) || generations.orphaned) health.faults++
      throw error
    } finally {
      pending.written()
    }
  }

  /**
   * Of sessions that came and went while nothing could be written no file has heard. A whole
   * generation, before which nothing is acknowledged, has none of them, in less room.
   */
  #boundGone(): void {
    const { generations, pending, health } = this.#parts
    if (pending.gone <= this.#context.target.table.size + GONE_MOST) return
    // In one step, or what is forgotten could be taken for written.
    pending.dropGone()
    generations.forget()
    health.faults++
  }

  /** While a pause lasts, nobody is kept waiting for it. */
  #refuse(): void {
    const waiters = this.#waiters
    this.#waiters = new Waiters()
    waiters.reject(this.#parts.health.refusal!)
  }
}
