/**
 * From the first look at the files to the last: who owns them, and what follows from that.
 *
 * Whoever gets the lease restores and writes. Whoever doesn't restores too, follows what the owner
 * writes and keeps its own changes in memory until the lease is free; then it reads the last of
 * what the owner wrote and writes one merged generation. An owner that finds its lease taken writes
 * no more. What becomes of sessions in memory is the engine's to say.
 */
import cluster from 'node:cluster'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CookieShapes } from './cookie.js'
import { KeyRing } from './cipher.js'
import type { Clock, Stamps } from './clock.js'
import { StoreError } from './errors.js'
import type { Files } from './file.js'
import { Follower, type MergeReport } from './follow.js'
import type { FileHeader } from './header.js'
import { Intake } from './intake.js'
import { corruptPath, isLeftover } from './inventory.js'
import { LeaseHolder, type Owner } from './lease.js'
import type { MergeTarget } from './merge.js'
import type { Notes } from './notes.js'
import type { ResolvedOptions } from './options.js'
import { Persistence, type SnapshotReport } from './persistence.js'
import {
  recover,
  type RecoverContext,
  type Recovery,
  type RestoreReport,
  survey,
} from './recover.js'
import { SUCCESSOR, Successors } from './successors.js'
import { watch } from './watch.js'

/** `owner` writes; `successor` follows the owner; `none`: memory only, or not open. */
export type Role = 'owner' | 'successor' | 'none'

/** Who owns the files, as `stats()` and events tell it. */
export interface Ownership {
  role: Role
  /** The process that owns the files; 0: nobody known. */
  ownerPid: number
  /** Since when, if anybody does. */
  since: Date | undefined
  /** Whether a successor has waited for longer than `takeoverTimeout`. */
  waited: boolean
}

/** What a tenure is made of. */
export interface TenureContext {
  path: string
  options: ResolvedOptions
  files: Files
  notes: Notes
  clock: Clock
  stamps: Stamps
  shapes: CookieShapes
  target: MergeTarget & { codec: { frozen: boolean } }
  onSnapshot: (report: SnapshotReport) => void
  onOwner: (ownership: Ownership) => void
  onFollow: (ownership: Ownership) => void
  onMerge: (report: MergeReport) => void
  onError: (error: StoreError) => void
  /** Told the highest stamp read from a file. */
  observe: (stamp: number) => void
  /** A merge is about to drop the entry in `slot`. */
  removing: (slot: number) => void
}

/** How often a successor looks whether the owner still lives, in ms. */
const LOOK_EVERY = 1000
/** How long a successor gives the owner to notice it before it starts serving, in ms. */
const NOTICE = 1500
const NOTICE_EVERY = 25

export class Tenure {
  readonly #context: TenureContext
  readonly #keys: KeyRing
  readonly #lease: LeaseHolder
  readonly #successors: Successors
  #persistence: Persistence | undefined
  #follower: Follower | undefined
  #owner: Owner | undefined
  #lost: StoreError | undefined
  #followed = false
  #catching: Promise<void> | undefined
  #waited = false
  #closing = false
  #closed = false
  #stops: (() => unknown)[] = []

  constructor(context: TenureContext) {
    this.#context = context
    this.#keys = new KeyRing(context.options.encryptionKeys)
    this.#lease = new LeaseHolder(context.notes, context.path, context.clock)
    this.#successors = new Successors(context.notes, context.path, context.clock)
  }

  /** Where changes are noted; `undefined` while another process owns the files. */
  get persistence(): Persistence | undefined {
    return this.#persistence
  }

  /** What to note of changes made while another process owns the files. */
  get own(): Follower['own'] | undefined {
    return this.#follower?.own
  }

  /** Whether each change is on disk before it is answered. */
  get prompt(): boolean {
    const { durability } = this.#context.options
    return durability === 'always' || (this.#followed && durability === 'everysec')
  }

  /** Whether memory holds anything that the files don't. */
  get unsaved(): boolean {
    const own = this.#follower?.own
    return own ? own.sets.size + own.removals.size > 0 : (this.#persistence?.unsaved ?? false)
  }

  /** What an answer has to wait for; rejects where nothing can be written and nobody else does. */
  acknowledged(): Promise<void> | undefined {
    if (this.#persistence) return this.prompt ? this.#persistence.durable() : undefined
    if (this.#context.options.durability !== 'always' || this.#owner?.pid !== 0) return undefined
    return this.writer().then((persistence) => persistence.durable())
  }

  /** Where to write, if need be by taking the lease now. Rejects where another process has it. */
  async writer(): Promise<Persistence> {
    if (!this.#persistence) await this.#look()
    if (this.#persistence) return this.#persistence
    throw this.#unwritten()
  }

  /** The error with which this process stopped writing for good, if it did. */
  get lost(): StoreError | undefined {
    return this.#lost
  }

  get ownership(): Ownership {
    if (this.#persistence && !this.#lost && !this.#closed) {
      const since = new Date(this.#lease.since)
      return { role: 'owner', ownerPid: process.pid, since, waited: false }
    }
    const owner = this.#closed ? undefined : this.#owner
    return {
      role: this.#follower && !this.#closed ? 'successor' : 'none',
      ownerPid: owner?.pid ?? 0,
      since: owner && new Date(owner.since),
      waited: this.#waited,
    }
  }

  /** Reads the files. @throws StoreError where they can't be read, or `ERR_OWNED` */
  async open(): Promise<RestoreReport> {
    const started = performance.now()
    const { options, stamps, target } = this.#context
    target.codec.frozen = true
    await this.#makeFolder()
    this.#owner = await this.#acquire()
    if (this.#owner && this.#owner.pid > 0 && options.onOwned === 'throw')
      throw this.#owned(this.#owner)
    if (cluster.isWorker) warnOfCluster()
    try {
      const recovery = await recover(this.#recoverContext(this.#owner !== undefined))
      await this.#keys.prepare(recovery.salt)
      stamps.observe(recovery.stamp)
      if (this.#owner) await this.#follow(recovery)
      else {
        await this.#cleanUp()
        this.#own(recovery)
      }
      return { ...recovery.report, durationMs: performance.now() - started }
    } catch (error) {
      this.#lease.release()
      throw error
    }
  }

  async #makeFolder(): Promise<void> {
    const { files, path } = this.#context
    try {
      await files.makeFolder(path)
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      const message = `Expected a folder for ${path}, found ${code}`
      throw new StoreError('ERR_OPEN', message, { path, cause })
    }
  }

  /** The lease, or who has it. With a disk that takes no lease, nobody known has it. */
  async #acquire(): Promise<Owner | undefined> {
    const { path, clock, onError } = this.#context
    try {
      return await this.#lease.acquire()
    } catch (cause) {
      const { code = 'an error' } = cause as NodeJS.ErrnoException
      if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR') {
        const message = `Expected a folder to write ${path} in, found ${code}. Give this process the rights`
        throw new StoreError('ERR_OPEN', message, { path, cause })
      }
      const message = `Expected to write beside ${path}, found ${code}. Sessions are served from memory; writing is tried again`
      onError(new StoreError('ERR_WRITE', message, { path, cause }))
      return { pid: 0, since: clock.now(), successors: [] }
    }
  }

  /** What a read has to wait for, so that it sees what the owner has written by now. */
  catchUp(): Promise<void> | undefined {
    if (!this.#follower) return undefined
    // A look under way may have read before the owner wrote.
    const look = () => (this.#follower?.stale ? this.#look() : undefined)
    return this.#catching ? this.#catching.then(look) : look()
  }

  /** Flushes, gives the lease up and stops looking. Rejects where the flush failed. */
  async close(): Promise<void> {
    // The owner may be gone by now, and what was changed here can be written after all.
    if (this.#follower) await this.#look()
    this.#closing = true
    await this.#catching
    await this.#stop()
    const unwritten = this.#follower && this.unsaved ? this.#unwritten() : undefined
    // Another process goes on with what it has; with nobody there, what was asked for has failed.
    if (unwritten?.code === 'ERR_OWNED') this.#context.onError(unwritten)
    try {
      await (this.#lost ? this.#persistence?.release() : this.#persistence?.close())
      if (unwritten?.code === 'ERR_WRITE') throw unwritten
    } finally {
      this.#closed = true
      this.#lease.release()
    }
  }

  /**
   * Writes what is unsaved while the process exits, and gives the lease up.
   *
   * @param lives the process may go on all the same, and keeps the lease
   */
  flushSync(lives: boolean): void {
    if (this.#closed) return
    if (lives) {
      if (!this.#lost) this.#persistence?.flushSync()
      return
    }
    this.#closed = true
    const unwritten = this.#follower && this.unsaved ? this.#unwritten() : undefined
    try {
      if (unwritten) throw unwritten
      if (!this.#lost) this.#persistence?.flushSync()
    } finally {
      this.#lease.release()
    }
  }

  /** Removes what a process that was killed while writing left behind. */
  async #cleanUp(): Promise<void> {
    const { files, path } = this.#context
    const names = await files.siblings(path).catch(() => [])
    for (const name of names.filter((one) => isLeftover(path, one))) {
      await files.remove(join(dirname(path), name)).catch(ignore)
    }
  }

  /** The lease is ours. */
  #own(recovery: Recovery): Persistence {
    const { options, target, path } = this.#context
    target.codec.frozen = false
    const persistence = new Persistence(
      {
        ...this.#context,
        ...options,
        keys: this.#keys,
        encoding: this.#encoding,
        journaling: options.durability !== 'snapshot',
        lease: this.#lease,
        onForeign: () => intake.take(),
        onLost: (error) => this.#lose(error),
      },
      recovery,
    )
    const intakeContext = { ...this.#context, keys: this.#keys, encoding: this.#encoding }
    const intake: Intake = new Intake(intakeContext, persistence)
    this.#persistence = persistence
    this.#owner = undefined
    this.#lease.keep(
      (error) => persistence.abandon(error),
      () => {
        persistence.lookAfter()
        // Notice may have come too early, or not at all.
        if (options.watch && !persistence.generations.undisturbed) intake.notice()
        void this.#greet()
      },
    )
    if (!options.watch) return persistence
    const stopWatching = watch(path, ownerCares, (suffix) => {
      if (suffix === '') intake.notice()
      else void this.#greet()
    })
    this.#stops.push(() => intake.stop(), stopWatching)
    void this.#greet()
    return persistence
  }

  /** While a successor is there, each change is on disk before it is answered. */
  async #greet(): Promise<void> {
    const present = await this.#successors.present().catch(() => [])
    this.#followed = present.length > 0
    this.#lease.announce(present)
  }

  #lose(error: StoreError): void {
    this.#lost = error
    void this.#stop()
    this.#context.onError(error)
  }

  /** Another process owns the files. */
  async #follow(recovery: Recovery): Promise<void> {
    const { options, clock, path, onFollow } = this.#context
    this.#follower = new Follower({ ...this.#context, keys: this.#keys }, recovery)
    const announced = await this.#successors.announce()
    const stopLooking = clock.every(LOOK_EVERY, () => void this.#look())
    const stopWarning = clock.after(options.takeoverTimeout, () => this.#warn())
    this.#stops.push(stopLooking, stopWarning, announced.withdraw)
    if (options.watch) this.#stops.push(watch(path, successorCares, () => void this.#look()))
    await this.#awaitNotice(announced.name)
    onFollow(this.ownership)
  }

  /** Waits a moment for the owner to know of us; without that, what it writes comes within a second. */
  async #awaitNotice(name: string): Promise<void> {
    const until = performance.now() + NOTICE
    while (this.#owner && performance.now() < until) {
      if (this.#owner.pid === 0 || this.#owner.successors.includes(name)) return
      // Somebody waits for this, so it keeps the process alive.
      await sleep(NOTICE_EVERY)
      await this.#look()
    }
  }

  /** Applies what is new, and takes the lease if it is free. Calls during one share it. */
  #look(): Promise<void> {
    this.#catching ??= this.#lookOnce()
      .catch((cause: unknown) => this.#context.onError(this.#wrap(cause)))
      .finally(() => (this.#catching = undefined))
    return this.#catching
  }

  async #lookOnce(): Promise<void> {
    const follower = this.#follower
    if (!follower || this.#closing) return
    this.#tellMerge(await follower.scan())
    this.#owner = await this.#lease.acquire()
    if (this.#owner) return
    // What the owner wrote last, before it let go.
    this.#tellMerge(await follower.scan())
    const recovery = await this.#surveyOrSetAside()
    await this.#keys.prepare(recovery.salt)
    await this.#stop()
    this.#follower = undefined
    const persistence = this.#own(recovery)
    this.#noteOwn(persistence, follower)
    persistence.snapshotSoon()
    this.#context.onOwner(this.ownership)
  }

  /** Notes what was changed here, with stamps higher than any that the owner can have given. */
  #noteOwn(persistence: Persistence, { own }: Follower): void {
    const { target, stamps, clock } = this.#context
    const { table, tombstones } = target
    for (const sid of own.removals) {
      const slot = table.find(sid)
      if (slot >= 0) table.restamp(slot, stamps.next(clock.now()))
      const removal = tombstones.get(sid)
      const until = removal?.until ?? 0
      if (slot >= 0) persistence.set(sid)
      else persistence.remove(sid, tombstones.add(sid, stamps.next(clock.now()), until))
    }
    for (const sid of own.sets) persistence.set(sid)
  }

  /** What files there are; one that is not ours is copied aside, since memory has everything. */
  async #surveyOrSetAside(): Promise<Recovery> {
    const { files, path, clock, onError } = this.#context
    try {
      return await survey(this.#recoverContext(true))
    } catch (error) {
      if (!(error instanceof StoreError) || error.code === 'ERR_OPEN') throw error
      const at = error.path ?? path
      await files.copy(at, corruptPath(at, clock.now()))
      await files.remove(at)
      onError(error)
      return survey(this.#recoverContext(true))
    }
  }

  #tellMerge(report: MergeReport): void {
    if (report.applied > 0 || report.removed > 0) this.#context.onMerge(report)
  }

  /** What closing loses, where this process never owned the files. */
  #unwritten(): StoreError {
    const { path } = this.#context
    const { sets, removals } = this.own ?? { sets: new Set(), removals: new Set() }
    const changed = `${sets.size + removals.size} sessions changed here have not been written`
    const pid = this.#owner?.pid ?? 0
    return pid > 0
      ? new StoreError(
          'ERR_OWNED',
          `Expected to own ${path}, found that process ${pid} still does: ${changed}`,
          { path },
        )
      : new StoreError(
          'ERR_WRITE',
          `Expected to write ${path}, found that it can't be: ${changed}`,
          {
            path,
          },
        )
  }

  #warn(): void {
    this.#waited = true
    const { path, options, onFollow } = this.#context
    process.emitWarning(
      `Process ${this.#owner?.pid ?? 0} has owned ${path} for ${options.takeoverTimeout} ms since ` +
        'this one started, and is not letting go. If both are meant to stay, each will see its own ' +
        'sessions only: see "More than one process" in the README',
      { type: 'PersistentMemoryStoreWarning', code: 'PMS_WAITING' },
    )
    onFollow(this.ownership)
  }

  async #stop(): Promise<void> {
    const stops = this.#stops
    this.#stops = []
    await Promise.all(stops.map((stop) => stop()))
  }

  #recoverContext(readOnly: boolean): RecoverContext {
    const { clock, options } = this.#context
    return {
      ...this.#context,
      keys: this.#keys,
      encoding: this.#encoding,
      onCorrupt: options.onCorrupt,
      now: clock.now(),
      readOnly,
    }
  }

  get #encoding(): FileHeader['encoding'] {
    return this.#context.options.serializer ? 'serializer' : 'msgpack'
  }

  #owned({ pid, since }: Owner): StoreError {
    const { path } = this.#context
    return new StoreError(
      'ERR_OWNED',
      `Expected ${path} to be free, found that process ${pid} has owned it since ` +
        `${new Date(since).toISOString()}. Stop that process, give this one another ` +
        "`snapshotPath`, or set `onOwned` to 'follow' to let it take over when the other stops",
      { path },
    )
  }

  #wrap(cause: unknown): StoreError {
    if (cause instanceof StoreError) return cause
    const { path } = this.#context
    const { code } = cause as NodeJS.ErrnoException
    const message = `Expected to look after ${path}, found ${code ?? 'an error'}`
    return new StoreError('ERR_OPEN', message, { path, cause })
  }
}

function ownerCares(suffix: string): boolean {
  return suffix === '' || suffix.startsWith(SUCCESSOR)
}

function successorCares(suffix: string): boolean {
  return suffix === '' || suffix.startsWith('.journal-') || suffix.startsWith('.lease-')
}

function warnOfCluster(): void {
  process.emitWarning(
    'A store in a cluster worker shares no sessions with the other workers: see "More than one ' +
      'process" in the README',
    { type: 'PersistentMemoryStoreWarning', code: 'PMS_CLUSTER' },
  )
}

function ignore(): void {
  // Nothing that a session depends on.
}
