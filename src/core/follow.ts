/**
 * What another process wrote → this table.
 *
 * Reads on where it left off in each journal, begins with new ones, and reads a snapshot whole where
 * journals can't tell what happened. Files may be appended to, replaced and removed while it reads:
 * an end that is not a whole frame yet is simply read later. Never writes.
 */
import type { KeyRing } from './cipher.js'
import type { CookieShapes } from './cookie.js'
import type { Clock } from './clock.js'
import { StoreError } from './errors.js'
import { type Files, isMissing } from './file.js'
import { FIRST_SEQUENCE, FramedFile, HEAD_LENGTH } from './frames.js'
import { dirname } from 'node:path'
import { Merge, type MergeCounts, type MergeEvents, type MergeTarget } from './merge.js'
import { journalNumber, journalPath } from './inventory.js'
import { type Positions, readRecords, type Recovery } from './recover.js'

/** What a follower reads from and into. */
export interface FollowContext {
  files: Files
  path: string
  keys: KeyRing
  shapes: CookieShapes
  target: MergeTarget
  clock: Clock
  /** Told the highest stamp read, so that changes made here come after it. */
  observe(stamp: number): void
  removing(slot: number): void
}

/** What this process changed while another one owned the files. */
export interface OwnChanges {
  sets: Set<string>
  removals: Set<string>
}

/** What a merge amounted to. */
export type MergeReport = Pick<MergeCounts, 'applied' | 'removed'>

export class Follower {
  readonly own: OwnChanges = { sets: new Set(), removals: new Set() }
  readonly #context: FollowContext
  readonly #positions: Positions
  #snapshotId: Buffer | undefined
  /** The last journal read: a gap behind it means that one came and went unseen. */
  #lastNumber: number
  #glance = ''
  #scanning: Promise<MergeReport> | undefined

  constructor(context: FollowContext, recovery: Recovery) {
    this.#context = context
    this.#positions = recovery.positions
    this.#snapshotId = recovery.snapshotId
    this.#lastNumber = recovery.journal
  }

  /** Whether the files look different from when they were last read. Costs two looks at them. */
  get stale(): boolean {
    return this.#look() !== this.#glance
  }

  /** Applies what is new; a call during one waits for another, since it may have come too late. */
  async scan(): Promise<MergeReport> {
    while (this.#scanning) await this.#scanning.catch(ignore)
    this.#scanning = this.#scan().finally(() => (this.#scanning = undefined))
    return this.#scanning
  }

  async #scan(): Promise<MergeReport> {
    const { files, path } = this.#context
    const glance = this.#look()
    const total = { applied: 0, removed: 0 }
    const numbers = (await files.siblings(path))
      .map((name) => journalNumber(path, name))
      .filter((number) => number >= 0)
      .sort((a, b) => a - b)
    const missed = numbers.some((number) => number > this.#lastNumber + 1)
    for (const number of numbers) {
      if (await this.#readJournal(journalPath(path, number), total)) {
        this.#lastNumber = Math.max(this.#lastNumber, number)
      }
    }
    await this.#readSnapshot(missed, total)
    this.#glance = glance
    return total
  }

  /** @returns whether the journal could be read at all */
  async #readJournal(path: string, total: MergeReport): Promise<boolean> {
    const file = await this.#open(path)
    if (!file) return false
    try {
      const known = this.#positions.get(path)
      const from = known?.id.equals(file.header.id)
        ? known
        : { offset: HEAD_LENGTH, sequence: FIRST_SEQUENCE }
      if (file.size <= from.offset) return true
      const merge = this.#merge()
      const scan = await readRecords(this.#context, file, merge, undefined, {
        offset: from.offset,
        sequence: from.sequence,
        live: true,
      })
      this.#positions.set(path, {
        id: file.header.id,
        offset: scan.end,
        sequence: scan.sequence,
      })
      this.#done(merge, total)
      return true
    } finally {
      await file.close()
    }
  }

  async #readSnapshot(missed: boolean, total: MergeReport): Promise<void> {
    const { path, target } = this.#context
    const file = await this.#open(path)
    if (!file) return
    try {
      const { header } = file
      if (this.#snapshotId?.equals(header.id)) return
      this.#snapshotId = header.id
      // What journals told needs no telling again.
      if (!header.tail && !missed) return
      const seen = new Set<number>()
      const merge = this.#merge({ seen: (slot) => seen.add(slot) })
      const scan = await readRecords(this.#context, file, merge)
      this.#done(merge, total)
      if (scan.damage.length > 0 || scan.torn) return
      // What a whole snapshot does not hold was gone by then.
      for (let slot = 0; slot < target.table.slots; slot++) {
        if (!target.table.has(slot) || seen.has(slot)) continue
        if (target.table.stamp(slot) > header.stamp) continue
        if (this.own.sets.has(target.table.sid(slot))) continue
        this.#context.removing(slot)
        target.table.remove(slot)
        total.removed++
      }
    } finally {
      await file.close()
    }
  }

  #merge(events: MergeEvents = {}): Merge {
    const { target, clock, removing } = this.#context
    return new Merge(target, {
      now: clock.now(),
      ownRemovals: this.own.removals,
      events: { ...events, removing },
    })
  }

  #done(merge: Merge, total: MergeReport): void {
    this.#context.observe(merge.stamp)
    total.applied += merge.counts.applied
    total.removed += merge.counts.removed
  }

  /** A file that may be gone, or not be complete yet, at any moment. */
  async #open(path: string): Promise<FramedFile | undefined> {
    try {
      return await FramedFile.open(this.#context.files, path, this.#context.keys)
    } catch (error) {
      if (isMissing(error)) return undefined
      if (error instanceof StoreError && error.code !== 'ERR_KEY') return undefined
      throw error
    }
  }

  #look(): string {
    const { files, path } = this.#context
    const journal = files.glanceSync(journalPath(path, this.#lastNumber))
    return `${files.glanceSync(dirname(path))} ${files.glanceSync(path)} ${journal}`
  }
}

function ignore(): void {
  // Told to whoever asked first.
}
