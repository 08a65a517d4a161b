/**
 * What a successor does: follows what the owner writes, remembers what was changed here meanwhile,
 * and takes the lease as soon as it is free. Then it reads the last of what the owner wrote and
 * hands over. Reads the files and leaves a note that it is there; never writes sessions.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { KeyRing } from './cipher.js'
import type { Clock } from './clock.js'
import { StoreError } from './errors.js'
import { type FollowContext, Follower, type MergeReport } from './follow.js'
import type { LeaseHolder } from './lease.js'
import type { OwnChanges } from './merge.js'
import { corruptPath, roleOf } from './names.js'
import { isKnown, lookError, type Owner, warnOfWaiting } from './ownership.js'
import { type RecoverContext, type Recovery, survey } from './recover.js'
import type { Successors } from './successors.js'
import { watch } from './watch.js'

export interface WaitingContext extends FollowContext {
  keys: KeyRing
  clock: Clock
  options: { watch: boolean; takeoverTimeout: number }
  lease: LeaseHolder
  successors: Successors
  recoverContext: () => RecoverContext
  /** Removes what an owner that was killed while writing has left behind. */
  cleanUp: () => Promise<void>
  /** It waits, or has waited for too long. */
  onWaiting: () => void
  onMerge: (report: MergeReport) => void
  onError: (error: StoreError) => void
  /** The lease is ours, all that was written has been read, and nothing is looked at any more. */
  onTurn: (recovery: Recovery, own: OwnChanges) => void
}

/** How often a successor looks whether the owner still lives, in ms. */
const LOOK_EVERY = 1000
/** How long a successor gives the owner to notice it before it starts serving, in ms. */
const NOTICE = 1500
const NOTICE_EVERY = 25

/** One for each process that found its files owned. */
export class Waiting {
  readonly #context: WaitingContext
  readonly #follower: Follower
  readonly #restored: Recovery
  #owner: Owner | undefined
  /** Whether it has handed over. */
  #done = false
  #looking: Promise<void> | undefined
  #failure: StoreError | undefined
  #waited = false
  #closing = false
  #stops: (() => unknown)[] = []

  /** @param failure why the lease could not be asked for, if so */
  constructor(
    context: WaitingContext,
    recovery: Recovery,
    owner: Owner,
    failure: StoreError | undefined,
  ) {
    this.#failure = failure
    this.#context = context
    this.#follower = new Follower(context, recovery)
    this.#restored = recovery
    this.#owner = owner
  }

  /** Who owns the files, a pid of 0: nobody known; `undefined` when the lease is ours. */
  get owner(): Owner | undefined {
    return this.#owner
  }

  /** What was changed here meanwhile. */
  get own(): OwnChanges {
    return this.#follower.own
  }

  /** Whether it has taken longer than `takeoverTimeout`. */
  get waited(): boolean {
    return this.#waited
  }

  /** Begins to follow; resolves when the owner knows of it, or can't be expected to. */
  async begin(): Promise<void> {
    const { options, clock, path, successors, onWaiting } = this.#context
    const announced = await successors.announce()
    const stopLooking = clock.every(LOOK_EVERY, () => void this.look())
    const stopWarning = clock.after(options.takeoverTimeout, () => this.#warn())
    this.#stops.push(stopLooking, stopWarning, announced.withdraw)
    if (options.watch) this.#stops.push(watch(path, cares, () => void this.look()))
    await this.#awaitNotice(announced.name)
    onWaiting()
  }

  /** Why the last look failed, or why there was none: told once. */
  get failure(): StoreError | undefined {
    return this.#failure
  }

  /** Applies what is new, and takes the lease if it is free. Calls during one share it. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .then(
        () => (this.#failure = undefined),
        (cause: unknown) => this.#failed(cause),
      )
      .then(() => (this.#looking = undefined))
    return this.#looking
  }

  #failed(cause: unknown): void {
    const { path, onError } = this.#context
    const error = lookError(path, cause)
    if (this.#failure?.message === error.message) return
    this.#failure = error
    onError(error)
  }

  /** Whether a read has to wait for {@link catchUp}. */
  get isBehind(): boolean {
    return this.#looking !== undefined || this.#isStale
  }

  /** What a read has to wait for, so that it sees what the owner has written by now. */
  catchUp(): Promise<void> | undefined {
    // A look under way may have read before the owner wrote.
    const look = () => (this.#isStale ? this.look() : undefined)
    return this.#looking ? this.#looking.then(look) : look()
  }

  /** A last look, which may hand over; then no more. */
  async close(): Promise<void> {
    // The owner may be gone by now, and what was changed here can be written after all.
    await this.look()
    this.#closing = true
    await this.#looking
    await this.#stop()
  }

  /** Waits a moment for the owner to know of us; without that, what it writes comes within a second. */
  async #awaitNotice(name: string): Promise<void> {
    const until = performance.now() + NOTICE
    while (this.#owner && performance.now() < until) {
      if (!isKnown(this.#owner) || this.#owner.successors.includes(name)) return
      // Somebody waits for this, so it keeps the process alive.
      await sleep(NOTICE_EVERY)
      await this.look()
    }
  }

  get #isStale(): boolean {
    return !this.#done && this.#follower.stale
  }

  async #look(): Promise<void> {
    if (this.#done || this.#closing) return
    const { lease, keys, cleanUp, onTurn } = this.#context
    await this.#scan()
    this.#owner = await lease.acquire()
    if (this.#owner) return
    // What the owner wrote last, before it let go.
    await this.#scan()
    const recovery = await this.#surveyOrSetAside()
    if (!this.#follower.knows(recovery.snapshotId)) {
      // Somebody put it there; whoever owns the files merges it.
      recovery.snapshotId = undefined
      recovery.glance = ''
    }
    await keys.prepare(recovery.salt)
    await cleanUp()
    await this.#stop()
    this.#done = true
    onTurn(recovery, this.own)
  }

  async #scan(): Promise<void> {
    const report = await this.#follower.scan()
    if (report.applied > 0 || report.removed > 0) this.#context.onMerge(report)
  }

  /** What files there are; one that is not ours is copied aside, since memory has everything. */
  async #surveyOrSetAside(): Promise<Recovery> {
    const { files, path, clock, onError, recoverContext } = this.#context
    try {
      return await survey(recoverContext(), this.#restored)
    } catch (error) {
      if (!(error instanceof StoreError) || error.code === 'ERR_OPEN') throw error
      const at = error.path ?? path
      await files.copy(at, corruptPath(at, clock.now()))
      await files.remove(at)
      onError(error)
      return survey(recoverContext(), this.#restored)
    }
  }

  #warn(): void {
    this.#waited = true
    const { path, options, onWaiting } = this.#context
    const owner = this.#owner
    // Nobody is waited for but the disk, and of that an error has told.
    if (isKnown(owner) && !owner.here) warnOfWaiting(path, owner, options.takeoverTimeout)
    onWaiting()
  }

  async #stop(): Promise<void> {
    const stops = this.#stops
    this.#stops = []
    await Promise.all(stops.map((stop) => stop()))
  }
}

function cares(suffix: string): boolean {
  const role = roleOf(suffix)
  return role === 'snapshot' || role === 'journal' || role === 'lease'
}
