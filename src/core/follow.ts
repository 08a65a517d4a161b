/**
 * What another process wrote → this table.
 *
 * Reads on where it left off in each journal, begins with new ones, and reads a snapshot whole where
 * journals can't tell what happened. Files may be appended to, replaced and removed while it reads:
 * an end that is not a whole frame yet is simply read later. Never writes.
 */
import { dirname } from 'node:path'
import type { KeyRing } from './cipher.js'
import type { CookieShapes } from './cookie.js'
import type { Clock, Stamps } from './clock.js'
import { StoreError } from './errors.js'
import { type Files, isMissing } from './file.js'
import { FramedFile } from './framed-file.js'
import { FIRST_SEQUENCE, HEAD_LENGTH } from './frames.js'
import { ONE_DAY } from './lifetime.js'
import { Merge, type MergeCounts, type MergeTarget, type OwnChanges } from './merge.js'
import { journalNumbers, journalPath } from './names.js'
import { paced, SLOTS_AT_ONCE } from './pace.js'
import { type Positions, readRecords } from './reading.js'
import type { Recovery } from './recover.js'
import type { Table } from './table.js'

/** What a follower reads from and into. */
export interface FollowContext {
  files: Files
  path: string
  keys: KeyRing
  shapes: CookieShapes
  target: MergeTarget
  clock: Clock
  stamps: Pick<Stamps, 'observe'>
  removing: (slot: number) => void
  /** A merge has emptied the table at once; this is what was in it. */
  emptied: (gone: Table) => void
}

/** How long after a destroyed session's last known expiry a later one may still come to be known. */
const LATE = ONE_DAY

/** What a merge amounted to. */
export type MergeReport = Pick<MergeCounts, 'applied' | 'removed'>

export class Follower {
  readonly own: OwnChanges
  readonly #context: FollowContext
  readonly #merge: Merge
  #positions: Positions
  /** The last snapshot that was read whole. */
  #snapshotId: Buffer | undefined
  /** The last one that the owner wrote, read or not. */
  #standing: Buffer | undefined
  #store: Buffer | undefined
  /** The generation that was restored: what was written before it is known. */
  #generation: number
  /** The stamp of the last snapshot that the owner wrote: an older one is an operator's. */
  #stamp: number
  /** The highest journal number read. */
  #lastNumber: number
  /** Journals that have been read to their end. */
  #complete = new Set<string>()
  /** Something came and went unread, or can't be read: only a whole snapshot can tell what it was. */
  #missed: boolean
  #first = true
  /** Slots of sessions that the snapshot being read holds. */
  #seen: Set<number> | undefined
  #glance = ''
  #scanning: Promise<MergeReport> | undefined

  constructor(context: FollowContext, recovery: Recovery) {
    this.#context = context
    this.#positions = recovery.positions
    this.#snapshotId = this.#standing = recovery.snapshotId
    this.#store = recovery.store
    this.#generation = recovery.committed
    this.#stamp = recovery.stamp
    this.#lastNumber = recovery.journal
    this.#missed = recovery.damaged
    const { lapsed } = recovery
    this.own = { sets: new Set(), made: new Set(), removals: new Map(), lapsed, cleared: 0 }
    // One for all files and all times: it knows the structures that were told before.
    this.#merge = new Merge(context.target, {
      now: () => context.clock.now(),
      own: this.own,
      events: {
        seen: (slot) => this.#seen?.add(slot),
        removing: (slot) => context.removing(slot),
        emptied: (gone) => {
          this.#seen?.clear()
          context.emptied(gone)
        },
      },
    })
  }

  /** Whether the files look different from when they were last read. Costs a few looks at them. */
  get stale(): boolean {
    return this.#look() !== this.#glance
  }

  /** Whether the snapshot with this id is one that the owner wrote. */
  knows(id: Buffer | undefined): boolean {
    return id === undefined || this.#standing?.equals(id) === true
  }

  /** Applies what is new; a call during one waits for another, since it may have come too late. */
  async scan(): Promise<MergeReport> {
    while (this.#scanning) await this.#scanning.catch(ignore)
    this.#scanning = this.#scan().finally(() => (this.#scanning = undefined))
    return this.#scanning
  }

  async #scan(): Promise<MergeReport> {
    const { files, path, stamps } = this.#context
    const { applied, removed, undecodable } = this.#merge.counts
    const glance = this.#look()
    const numbers = journalNumbers(path, await files.siblings(path))
    const listed = new Set(numbers.map((number) => journalPath(path, number)))
    for (const known of this.#positions.keys()) if (!listed.has(known)) this.#forget(known)
    this.#missed ||= numbers.some((number) => number > this.#lastNumber + 1)
    for (const number of numbers) {
      await this.#readJournal(number)
      // Listed beside a later one, it was being appended to no more when it was read.
      const journal = journalPath(path, number)
      if (number !== numbers.at(-1) && this.#positions.has(journal)) this.#complete.add(journal)
    }
    await this.#readSnapshot()
    this.#first = false
    this.#glance = glance
    stamps.observe(this.#merge.stamp)
    const { counts } = this.#merge
    if (counts.undecodable > undecodable) this.#missed = true
    return { applied: counts.applied - applied, removed: counts.removed - removed }
  }

  /** A journal has gone; its end may not have been read, unless a later one was there already. */
  #forget(path: string): void {
    this.#positions.delete(path)
    if (!this.#complete.delete(path)) this.#missed = true
  }

  async #readJournal(number: number): Promise<void> {
    const path = journalPath(this.#context.path, number)
    const file = await this.#open(path)
    if (!file) {
      // Gone since it was listed, or not complete yet; it counts as read when it has been.
      this.#missed ||= this.#positions.has(path)
      return
    }
    try {
      const known = this.#positions.get(path)
      const same = known?.id.equals(file.header.id)
      this.#lastNumber = Math.max(this.#lastNumber, number)
      this.#store ??= file.header.store
      // Older than what was restored: the restore has made up its mind about that.
      if (!same && file.header.generation < this.#generation) return
      const { offset, sequence } = same ? known! : { offset: HEAD_LENGTH, sequence: FIRST_SEQUENCE }
      if (file.size <= offset) return
      const from = { offset, sequence, live: true }
      const scan = await readRecords(this.#context, file, this.#merge, undefined, from)
      this.#missed ||= scan.damage.length > 0
      const { id } = file.header
      this.#positions.set(path, { id, offset: scan.end, sequence: scan.sequence })
    } finally {
      await file.close()
    }
  }

  async #readSnapshot(): Promise<void> {
    const file = await this.#open(this.#context.path)
    if (!file) return
    try {
      const { header } = file
      this.#store ??= header.store
      // A file that an operator put there is the owner's to merge.
      if (!header.store.equals(this.#store) || header.stamp < this.#stamp) return
      this.#stamp = header.stamp
      if (this.#first && header.generation > this.#generation) {
        // Replaced while all was restored: journals may have gone between being listed and read.
        this.#missed = true
        this.#generation = header.generation
      }
      if (!this.#standing?.equals(header.id)) await paced(this.#forgetRemovals())
      this.#standing = header.id
      // What journals told needs no telling again.
      if (this.#snapshotId?.equals(header.id) || !(header.tail || this.#missed)) return
      await this.#readWhole(file)
      this.#snapshotId = header.id
    } finally {
      await file.close()
    }
  }

  /** With each new snapshot, as the owner does: perhaps nobody else does it here. */
  *#forgetRemovals(): Generator<void, void, void> {
    const { target, clock } = this.#context
    const now = clock.now()
    yield* target.tombstones.prune(now)
    let seen = 0
    for (const [sid, until] of this.own.removals) {
      if (until + LATE <= now) this.own.removals.delete(sid)
      if (++seen % SLOTS_AT_ONCE === 0) yield
    }
  }

  async #readWhole(file: FramedFile): Promise<void> {
    const seen = (this.#seen = new Set())
    const scan = await readRecords(this.#context, file, this.#merge)
    this.#seen = undefined
    if (scan.damage.length > 0 || scan.torn) return
    this.#missed = false
    await paced(this.#dropMissing(file, seen))
  }

  /** What a whole snapshot does not hold was gone by then. */
  *#dropMissing({ header }: FramedFile, seen: Set<number>): Generator<void, void, void> {
    const { target, removing } = this.#context
    for (let slot = 0; slot < target.table.slots; slot++) {
      if (slot % SLOTS_AT_ONCE === 0) yield
      if (!target.table.has(slot) || seen.has(slot)) continue
      if (target.table.stamp(slot) > header.stamp) continue
      if (this.own.sets.has(target.table.sid(slot))) continue
      removing(slot)
      target.table.remove(slot)
      this.#merge.counts.removed++
    }
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
    const paths = [
      path,
      journalPath(path, this.#lastNumber),
      journalPath(path, this.#lastNumber + 1),
    ]
    return [dirname(path), ...paths].map((one) => files.glanceSync(one)).join(' ')
  }
}

function ignore(): void {
  // Told to whoever asked first.
}
