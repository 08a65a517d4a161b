/**
 * From the first look at the files to the last: who owns them, and what follows from that.
 *
 * Whoever gets the lease restores and writes (owning.ts). Whoever doesn't restores too, and waits
 * for its turn (waiting.ts). Here it is decided which of the two a process is, when it becomes the
 * other, and how either ends. What becomes of sessions in memory is the engine's to say.
 */
import cluster from 'node:cluster'
import { KeyRing } from './cipher.js'
import type { Clock, Stamps } from './clock.js'
import type { CookieShapes } from './cookie.js'
import { remedyOf, StoreError } from './errors.js'
import { type Files, siblingPath } from './file.js'
import type { MergeReport } from './follow.js'
import type { FileHeader } from './header.js'
import { requireFile } from './inventory.js'
import { LeaseHolder } from './lease.js'
import type { MergeTarget, OwnChanges } from './merge.js'
import { isLeftover } from './names.js'
import type { Notes } from './notes.js'
import type { ResolvedOptions } from './options.js'
import { Owning } from './owning.js'
import {
  isKnown,
  type Owner,
  type Ownership,
  ownedError,
  unwrittenError,
  warnOfCluster,
  warnOfTwins,
} from './ownership.js'
import type { Persistence, SnapshotReport } from './persistence.js'
import { recover, type RecoverContext, type Recovery, type RestoreReport } from './recover.js'
import { Successors } from './successors.js'
import type { Table } from './table.js'
import { Waiting } from './waiting.js'

/** What a tenure is made of. */
export interface TenureContext {
  path: string
  options: ResolvedOptions
  files: Files
  notes: Notes
  clock: Clock
  stamps: Stamps
  shapes: CookieShapes
  target: MergeTarget
  onSnapshot: (report: SnapshotReport) => void
  onOwner: (ownership: Ownership) => void
  onFollow: (ownership: Ownership) => void
  onMerge: (report: MergeReport) => void
  onError: (error: StoreError) => void
  /** A merge is about to drop the entry in `slot`. */
  removing: (slot: number) => void
  /** A merge has emptied the table at once; this is what was in it. */
  emptied: (gone: Table) => void
}

export class Tenure {
  readonly #context: TenureContext
  readonly #keys: KeyRing
  readonly #lease: LeaseHolder
  readonly #successors: Successors
  #owning: Owning | undefined
  #waiting: Waiting | undefined
  /** Who owned the files when this process came. */
  #found: Owner | undefined
  /** Why the disk took no lease then. */
  #refused: StoreError | undefined
  #closed = false

  constructor(context: TenureContext) {
    this.#context = context
    this.#keys = new KeyRing(context.options.encryptionKey)
    this.#lease = new LeaseHolder(context.notes, context.path, context.clock)
    this.#successors = new Successors(context.notes, context.path, context.clock)
  }

  /** Where changes are noted; `undefined` while another process owns the files. */
  get persistence(): Persistence | undefined {
    return this.#owning?.persistence
  }

  /** What to note of changes made while another process owns the files. */
  get own(): OwnChanges | undefined {
    return this.#waiting?.own
  }

  /** Whether another process has taken the files from this one, for good. */
  get lost(): boolean {
    return this.#owning?.lost !== undefined
  }

  /** Whether each change is on disk before it is answered. */
  get prompt(): boolean {
    const { durability } = this.#context.options
    return durability === 'always' || (this.#owning?.followed === true && durability === 'everysec')
  }

  /** Whether anything is still to be written; with a journal also what a snapshot holds already. */
  get unsaved(): boolean {
    const { own } = this
    return own ? own.sets.size + own.removals.size > 0 : (this.persistence?.unsaved ?? false)
  }

  /** Why the last attempt to write, or to come to that, failed, until one succeeds. */
  get failure(): StoreError | undefined {
    return this.#owning ? this.#owning.persistence.failure : this.#waiting?.failure
  }

  /** What an answer has to wait for; rejects where nothing can be written and nobody else does. */
  acknowledged(): Promise<void> | undefined {
    if (this.persistence) return this.prompt ? this.persistence.durable() : undefined
    const owned = !this.#waiting || isKnown(this.#waiting.owner)
    if (this.#context.options.durability !== 'always' || owned) return undefined
    return this.writer().then((persistence) => persistence.durable())
  }

  /** Where to write, if need be by taking the lease now. Rejects where another process has it. */
  async writer(): Promise<Persistence> {
    if (!this.persistence) await this.#waiting?.look()
    if (this.persistence) return this.persistence
    throw this.#unwritten()
  }

  get ownership(): Ownership {
    if (this.#owning && !this.lost && !this.#closed) {
      const since = new Date(this.#lease.since)
      return { role: 'owner', ownerPid: process.pid, since, waited: false }
    }
    const owner = this.#closed ? undefined : this.#waiting ? this.#waiting.owner : this.#found
    return {
      role: this.#waiting && !this.#closed ? 'successor' : 'none',
      ownerPid: owner?.pid ?? 0,
      since: owner && new Date(owner.since),
      waited: this.#waiting?.waited ?? false,
    }
  }

  /** Reads the files. @throws StoreError where they can't be read, or `ERR_OWNED` */
  async open(): Promise<RestoreReport> {
    const started = performance.now()
    const { path, options, stamps, target } = this.#context
    target.codec.frozen = true
    await this.#makeFolder()
    // Before anything is written beside it.
    await requireFile(this.#context)
    const owner = (this.#found = await this.#acquire())
    if (isKnown(owner) && options.onOwned === 'throw') throw ownedError(path, owner)
    if (cluster.isWorker) warnOfCluster()
    if (owner?.here) warnOfTwins(path)
    try {
      const recovery = await recover(this.#recoverContext(owner !== undefined))
      await this.#keys.prepare(recovery.salt)
      stamps.observe(recovery.stamp)
      if (owner) await this.#wait(recovery, owner)
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

  /** Whether a read has to wait for {@link catchUp}. */
  get isBehind(): boolean {
    return this.#waiting?.isBehind ?? false
  }

  /** What a read has to wait for, so that it sees what the owner has written by now. */
  catchUp(): Promise<void> | undefined {
    return this.#waiting?.catchUp()
  }

  /** Flushes, gives the lease up and stops looking. Rejects where the flush failed. */
  async close(): Promise<void> {
    await this.#waiting?.close()
    await this.#owning?.stop()
    const unwritten = this.#waiting && this.unsaved ? this.#unwritten() : undefined
    // Another process goes on with what it has; with nobody there, what was asked for has failed.
    if (unwritten?.code === 'ERR_OWNED') this.#context.onError(unwritten)
    try {
      await (this.lost ? this.persistence?.release() : this.persistence?.close())
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
    const writing = this.lost ? undefined : this.persistence
    if (lives) {
      writing?.flushSync(true)
      return
    }
    this.#closed = true
    try {
      if (this.#waiting && this.unsaved) throw this.#unwritten()
      writing?.flushSync(false)
    } finally {
      this.#lease.release()
    }
  }

  async #makeFolder(): Promise<void> {
    const { files, path } = this.#context
    try {
      await files.makeFolder(path)
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      const message = `Expected a folder for ${path}, found ${code}${remedyOf(code)}`
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
        const message = `Expected a folder to write ${path} in, found ${code}${remedyOf(code)}`
        throw new StoreError('ERR_OPEN', message, { path, cause })
      }
      const message = `Expected to write beside ${path}, found ${code}. Sessions are served from memory; writing is tried again`
      this.#refused = new StoreError('ERR_WRITE', message, { path, cause })
      onError(this.#refused)
      return { pid: 0, here: false, since: clock.now(), successors: [] }
    }
  }

  /** Removes what a process that was killed while writing left behind. */
  async #cleanUp(): Promise<void> {
    const { files, path } = this.#context
    const names = await files.siblings(path).catch(() => [])
    for (const name of names.filter((one) => isLeftover(path, one))) {
      await files.remove(siblingPath(path, name)).catch(ignore)
    }
  }

  /** The lease is ours. */
  #own(recovery: Recovery): Owning {
    this.#context.target.codec.frozen = false
    const tools = { keys: this.#keys, lease: this.#lease, successors: this.#successors }
    const encoding = this.#encoding
    this.#found = undefined
    this.#owning = new Owning({ ...this.#context, ...tools, encoding }, recovery)
    return this.#owning
  }

  /** Another process owns the files. */
  #wait(recovery: Recovery, owner: Owner): Promise<void> {
    const context = this.#context
    const tools = { keys: this.#keys, lease: this.#lease, successors: this.#successors }
    this.#waiting = new Waiting(
      {
        ...context,
        ...tools,
        recoverContext: () => this.#recoverContext(true),
        cleanUp: () => this.#cleanUp(),
        onWaiting: () => context.onFollow(this.ownership),
        onTurn: (...turn) => this.#takeOver(...turn),
      },
      recovery,
      owner,
      this.#refused,
    )
    return this.#waiting.begin()
  }

  /** It is our turn. */
  #takeOver(recovery: Recovery, own: OwnChanges): void {
    this.#waiting = undefined
    this.#context.stamps.observe(recovery.stamp)
    const owning = this.#own(recovery)
    owning.adopt(own)
    owning.persistence.snapshotSoon()
    this.#context.onOwner(this.ownership)
  }

  /** What closing loses, where this process never owned the files. */
  #unwritten(): StoreError {
    const { own } = this
    const sessions = own ? own.sets.size + own.removals.size : 0
    const owner = this.#waiting?.owner
    return unwrittenError(this.#context.path, isKnown(owner) ? owner : undefined, sessions)
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
}

function ignore(): void {
  // Nothing that a session depends on.
}
