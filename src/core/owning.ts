/**
 * What an owner does: keeps the files in step with memory, dates its lease, takes in what an
 * operator puts at the path, and looks for successors, for whom each change is on disk before it is
 * answered. Once it finds its lease taken it writes no more. When to begin and to end is tenure.ts's
 * to say.
 */
import type { KeyRing } from './cipher.js'
import type { Clock, Stamps } from './clock.js'
import type { CookieShapes } from './cookie.js'
import type { StoreError } from './errors.js'
import type { Files } from './file.js'
import type { MergeReport } from './follow.js'
import type { FileHeader } from './header.js'
import { Intake } from './intake.js'
import { KnownFiles } from './known-files.js'
import type { LeaseHolder } from './lease.js'
import type { MergeTarget, OwnChanges } from './merge.js'
import { roleOf } from './names.js'
import type { ResolvedOptions } from './options.js'
import { Persistence, type SnapshotReport } from './persistence.js'
import type { Recovery } from './recover.js'
import type { Successors } from './successors.js'
import { watch } from './watch.js'

export interface OwningContext {
  path: string
  options: ResolvedOptions
  files: Files
  clock: Clock
  stamps: Stamps
  shapes: CookieShapes
  target: MergeTarget
  keys: KeyRing
  encoding: FileHeader['encoding']
  /** Held. */
  lease: LeaseHolder
  successors: Successors
  onSnapshot: (report: SnapshotReport) => void
  onMerge: (report: MergeReport) => void
  onError: (error: StoreError) => void
  /** A merge is about to drop the entry in `slot`. */
  removing: (slot: number) => void
}

/** One for each time that a process owns its files. */
export class Owning {
  readonly persistence: Persistence
  readonly #context: OwningContext
  readonly #known: KnownFiles
  #followed = false
  #lost: StoreError | undefined
  #stops: (() => unknown)[] = []

  constructor(context: OwningContext, recovery: Recovery) {
    this.#context = context
    const { files, path, options, lease } = context
    this.#known = new KnownFiles(files, path, recovery)
    this.persistence = new Persistence(
      {
        ...context,
        ...options,
        known: this.#known,
        journaling: options.durability !== 'snapshot',
        onForeign: (at) => intake.take(at),
        onLost: (error) => this.#lose(error),
      },
      recovery,
    )
    const intake: Intake = new Intake(context, this.persistence, this.#known)
    lease.keep({
      onLost: (error) => this.persistence.abandon(error),
      onKept: () => this.#onKept(intake),
    })
    if (!options.watch) return
    const stopWatching = watch(path, cares, (suffix) => {
      if (isSnapshot(suffix)) intake.notice()
      else void this.#greet()
    })
    this.#stops.push(() => intake.stop(), stopWatching)
    void this.#greet()
  }

  /** Whether a successor is there, for whom each change is on disk before it is answered. */
  get followed(): boolean {
    return this.#followed
  }

  /** The error with which this process stopped writing for good, if it did. */
  get lost(): StoreError | undefined {
    return this.#lost
  }

  /** Notes what was changed here before, with stamps higher than any that the last owner gave. */
  adopt(own: OwnChanges): void {
    const { target, stamps, clock } = this.#context
    const { table, tombstones } = target
    // First, since no note of a slot outlasts it. It covers what this process never came to know.
    if (own.cleared > 0) this.persistence.clear(own.cleared)
    for (const [sid, expires] of own.removals) {
      const slot = table.find(sid)
      const stamp = stamps.next(clock.now())
      if (slot >= 0) {
        table.restamp(slot, stamp)
        this.persistence.set(slot)
      } else this.persistence.remove(sid, tombstones.add(sid, stamp, expires))
    }
    for (const sid of own.sets) {
      const slot = table.find(sid)
      if (slot >= 0) this.persistence.set(slot)
    }
  }

  /** Looks no more; what is unsaved stays so. */
  async stop(): Promise<void> {
    const stops = this.#stops
    this.#stops = []
    await Promise.all(stops.map((stop) => stop()))
  }

  /** The lease is still ours. */
  #onKept(intake: Intake): void {
    this.persistence.lookAfter()
    // Notice may have come too early, or not at all.
    if (this.#context.options.watch && this.#known.disturbed().length > 0) intake.notice()
    void this.#greet()
  }

  async #greet(): Promise<void> {
    const present = await this.#context.successors.present().catch(() => undefined)
    // What can't be looked at has not gone.
    if (!present) return
    this.#followed = present.length > 0
    this.#context.lease.announce(present)
  }

  #lose(error: StoreError): void {
    this.#lost = error
    void this.stop()
    this.#context.onError(error)
  }
}

function cares(suffix: string): boolean {
  return isSnapshot(suffix) || roleOf(suffix) === 'successor'
}

/** Whether it is the snapshot's name, or that of the one before. */
function isSnapshot(suffix: string): boolean {
  const role = roleOf(suffix)
  return role === 'snapshot' || role === 'previous'
}
