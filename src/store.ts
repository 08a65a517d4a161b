/**
 * PersistentMemoryStore: express-session's Store over the engine.
 *
 * In come callbacks or none, out go exactly one answer each: to the callback, later, or as a
 * promise. What a method changes is changed before it returns. Holds no logic of its own beyond that
 * and the prune timer.
 */
import type { SessionData } from 'express-session'
import { answerSoon, type Callback, fail, quiet, settle, throwLater } from './answer.js'
import { Engine, type EngineEvents, type Surroundings } from './core/engine.js'
import { type Clock, systemClock } from './core/clock.js'
import { StoreError, warn } from './core/errors.js'
import {
  type PersistentMemoryStoreOptions,
  type ResolvedOptions,
  resolveOptions,
} from './core/options.js'
import type { SnapshotReport, SnapshotStats } from './core/persistence.js'
import type { RestoreReport } from './core/recover.js'
import type { Ownership } from './core/ownership.js'
import type { Counters } from './core/sessions.js'
import { type StoreEvents, StoreWithEvents } from './events.js'
import { flushAtExit } from './exit.js'
import { Reads } from './reads.js'

/** What {@link PersistentMemoryStore.stats} returns. */
export interface StoreStats extends Counters {
  /** Sessions in memory, expired ones that nobody has noticed yet included. */
  sessions: number
  /** Bytes of encoded sessions and their ids. */
  bytes: number
  /** What the restore found; zeros before it is done. */
  restored: RestoreReport
  /** The last snapshot written, or tried. */
  snapshot: SnapshotStats | undefined
  /** Bytes in the journals since that snapshot. */
  journalBytes: number
  /** Whether anything is still to be written; with a journal also what a snapshot holds already. */
  unsaved: boolean
  /** Why the last attempt to write, or to come to that, failed, until one succeeds. */
  writeError: StoreError | undefined
  /** Who owns the files; `undefined` where there are none. */
  ownership: Ownership | undefined
}

/**
 * A session store for Express that keeps sessions in memory and still has them after a restart.
 *
 * Each method takes a callback as its last argument, or returns a promise without one. Until the
 * files have been read, calls wait. Each fails with a StoreError: `ERR_CLOSED` after {@link close}
 * (but for {@link ready} of a store that had opened), and the error of {@link ready} where the store
 * could not open; what else it fails with stands beside it.
 */
export class PersistentMemoryStore extends StoreWithEvents {
  readonly #options: ResolvedOptions
  readonly #engine: Engine
  readonly #clock: Clock
  readonly #reads: Reads
  #stopPrune: (() => void) | undefined
  #forgetExit: (() => void) | undefined
  #warned = new Set<string>()

  /**
   * @param options see {@link PersistentMemoryStoreOptions}; all are optional
   * @throws TypeError or RangeError with code `ERR_OPTION_UNKNOWN` or `ERR_OPTION_VALUE`
   */
  constructor(options?: PersistentMemoryStoreOptions | null)
  /** @internal */
  constructor(options?: PersistentMemoryStoreOptions | null, surroundings?: Partial<Surroundings>)
  constructor(
    options?: PersistentMemoryStoreOptions | null,
    surroundings: Partial<Surroundings> = {},
  ) {
    super()
    // Each session() middleware that shares a store listens to it.
    this.setMaxListeners(0)
    this.#options = resolveOptions(options)
    this.#clock = surroundings.clock ?? systemClock
    const events: EngineEvents = {
      ready: (report) => this.#emit('ready', report),
      snapshot: (report) => this.#emit('snapshot', report),
      expired: (sid) => this.#emit('expired', sid),
      evicted: (sid) => this.#emit('evicted', sid),
      owner: (ownership) => this.#emit('owner', ownership),
      follow: (ownership) => this.#emit('follow', ownership),
      merge: (report) => this.#emit('merge', report),
      error: (error) => this.#report(error),
    }
    this.#engine = new Engine(this.#options, events, surroundings)
    const { serializer, dispose, stale } = this.#options
    const callsBack = Boolean(serializer ?? dispose) || stale
    const runsCode = () => callsBack || this.listenerCount('expired') > 0
    this.#reads = new Reads(this.#engine, this.#clock, runsCode)
    this.#engine.open()
    if (this.#options.flushOnExit && this.#options.snapshotPath !== false) {
      this.#forgetExit = flushAtExit(this.#engine)
    }
    this.startInterval()
  }

  /**
   * Fetches a session: a fresh plain object, or `undefined` where there is none or it expired.
   * Fails with `ERR_SESSION_DECODE` where its bytes don't decode.
   */
  override get(sid: string, callback: Callback<SessionData | undefined>): void
  override get(sid: string): Promise<SessionData | undefined>
  override get(
    sid: string,
    callback?: Callback<SessionData | undefined>,
  ): Promise<SessionData | undefined> | void {
    if (typeof sid === 'string' && typeof callback === 'function' && this.#reads.canWait) {
      this.#reads.ask(sid, callback)
      return
    }
    return this.#read(
      () => this.#engine.sessions.get(text(sid)) as SessionData | undefined,
      callback,
    )
  }

  /**
   * Stores a session, whole. Its `cookie` and the `ttl` option say how long it lives. Fails with a
   * TypeError or RangeError `ERR_SESSION_ENCODE`, with `ERR_OPTION_VALUE` where a `ttl` function returns
   * no number, or with what the session's own code throws, which changes nothing; with durability
   * `'always'`, or while a successor follows, also with `ERR_WRITE` or `ERR_LEASE_LOST`, though memory
   * has the change.
   */
  override set(sid: string, session: SessionData, callback: Callback): void
  override set(sid: string, session: SessionData): Promise<void>
  override set(
    sid: string,
    session: SessionData,
    callback: Callback | undefined,
  ): Promise<void> | void
  override set(sid: string, session: SessionData, callback?: Callback): Promise<void> | void {
    const prepare = () =>
      this.#engine.sessions.prepareSet(text(sid), session, !this.#engine.isReady)
    return this.#change(prepare, callback, true)
  }

  /** Replaces the cookie and the expiry of a session, never its data. One that isn't there is no error. */
  override touch(sid: string, session: SessionData, callback: Callback): void
  override touch(sid: string, session: SessionData): Promise<void>
  override touch(
    sid: string,
    session: SessionData,
    callback: Callback | undefined,
  ): Promise<void> | void
  override touch(sid: string, session: SessionData, callback?: Callback): Promise<void> | void {
    const prepare = () =>
      this.#engine.sessions.prepareTouch(text(sid), session, !this.#engine.isReady)
    return this.#change(prepare, callback, false)
  }

  /**
   * Destroys one session or several. One that isn't there is no error. With durability `'always'`,
   * or while a successor follows, it may fail with `ERR_WRITE` or `ERR_LEASE_LOST`, though memory has
   * the change.
   */
  override destroy(sid: string | readonly string[], callback: Callback): void
  override destroy(sid: string | readonly string[]): Promise<void>
  override destroy(
    sid: string | readonly string[],
    callback: Callback | undefined,
  ): Promise<void> | void
  override destroy(sid: string | readonly string[], callback?: Callback): Promise<void> | void {
    const prepare = () => {
      const sids = Array.isArray(sid) ? sid.map(text) : [text(sid as string)]
      return () => sids.forEach((one) => this.#engine.sessions.destroy(one))
    }
    return this.#change(prepare, callback, true)
  }

  /** Destroys all sessions. Fails as {@link destroy} does. */
  override clear(callback: Callback): void
  override clear(): Promise<void>
  override clear(callback: Callback | undefined): Promise<void> | void
  override clear(callback?: Callback): Promise<void> | void {
    return this.#change(() => () => this.#engine.sessions.clear(), callback, true)
  }

  /**
   * All live sessions, by sid, in an object without prototype. Those that don't decode are left out,
   * and an `error` event tells of each.
   */
  override all(callback: Callback<Record<string, SessionData>>): void
  override all(): Promise<Record<string, SessionData>>
  override all(
    callback?: Callback<Record<string, SessionData>>,
  ): Promise<Record<string, SessionData>> | void {
    const all = () =>
      this.#engine.sessions.all() as Promise<unknown> as Promise<Record<string, SessionData>>
    return this.#read(all, callback)
  }

  /** How many sessions are live. */
  override length(callback: Callback<number>): void
  override length(): Promise<number>
  override length(callback?: Callback<number>): Promise<number> | void {
    return this.#read(() => this.#engine.sessions.length(), callback)
  }

  /** The sids of all live sessions; up to 10,000 of them, those used last first. */
  ids(callback: Callback<string[]>): void
  ids(): Promise<string[]>
  ids(callback?: Callback<string[]>): Promise<string[]> | void {
    return this.#read(() => this.#engine.sessions.ids(), callback)
  }

  /** Drops what has expired. */
  prune(callback: Callback): void
  prune(): Promise<void>
  prune(callback?: Callback): Promise<void> | void {
    return this.#read(() => this.#engine.sessions.prune(), callback)
  }

  /** Starts pruning every `checkPeriod` ms, anew where it has been started. */
  startInterval(): void {
    this.stopInterval()
    const { checkPeriod } = this.#options
    if (checkPeriod === 0) return
    this.#stopPrune = this.#clock.every(checkPeriod, () => {
      Promise.resolve(this.prune()).catch(ignore)
    })
  }

  /** Stops the timed pruning. */
  stopInterval(): void {
    this.#stopPrune?.()
    this.#stopPrune = undefined
  }

  /**
   * Resolves when the sessions have been restored, with the report of it.
   *
   * Rejects with a StoreError where the store can't open; every operation fails with it then.
   */
  ready(callback: Callback<RestoreReport>): void
  ready(): Promise<RestoreReport>
  ready(callback?: Callback<RestoreReport>): Promise<RestoreReport> | void {
    return settle(this.#engine.ready(), callback)
  }

  /**
   * Writes a snapshot now; a call during one waits for the next. With memory only nothing is written.
   * Fails with `ERR_WRITE`, with `ERR_OWNED` in a process that waits for another, with `ERR_LEASE_LOST`.
   */
  snapshot(callback: Callback<SnapshotReport>): void
  snapshot(): Promise<SnapshotReport>
  snapshot(callback?: Callback<SnapshotReport>): Promise<SnapshotReport> | void {
    return settle(this.#engine.snapshot(), callback)
  }

  /** Makes everything so far durable. Fails as {@link snapshot} does. */
  flush(callback: Callback): void
  flush(): Promise<void>
  flush(callback?: Callback): Promise<void> | void {
    return settle(this.#engine.flush(), callback)
  }

  /** Flushes, stops the timers and lets go of the files. Idempotent. Fails where the flush did. */
  close(callback: Callback): void
  close(): Promise<void>
  close(callback?: Callback): Promise<void> | void {
    this.stopInterval()
    // However closing went, the engine writes nothing after it, not at the exit either.
    const closed = this.#engine.close().finally(() => this.#forgetExit?.())
    return settle(closed, callback)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Figures of this moment. */
  stats(): StoreStats {
    this.#reads.settle()
    const { figures, restored, persistence, ownership } = this.#engine
    const { counters, size, bytes } = figures
    return {
      sessions: size,
      bytes,
      ...counters,
      restored,
      snapshot: persistence?.lastSnapshot,
      journalBytes: persistence?.journalBytes ?? 0,
      unsaved: this.#engine.unsaved,
      writeError: this.#engine.writeError,
      ownership,
    }
  }

  /**
   * Prepares a change now, makes it at once or when the files are read, and answers. Express drops the
   * promise of a `destroy`: where the store fails, which is told by events too, that ends no process.
   */
  #change(prepare: () => () => void, callback: Callback | undefined, durable: boolean) {
    let change: () => void
    this.#reads.settle()
    try {
      this.#engine.requireOpen()
      change = this.#reads.amid(prepare)
    } catch (error) {
      const failed = fail(error, callback)
      return error instanceof StoreError ? quiet(failed) : failed
    }
    const operation = () => {
      this.#reads.amid(change)
      return durable ? quiet(this.#engine.acknowledged()) : undefined
    }
    return this.#answer(operation, callback, true)
  }

  /** Reads now, or when what another process has written has been read. */
  #read<T>(operation: () => T | Promise<T>, callback?: Callback<T>): Promise<T> | void {
    try {
      this.#engine.requireOpen()
    } catch (error) {
      return fail(error, callback)
    }
    this.#reads.settle()
    const news = this.#engine.isReady ? this.#engine.catchUp() : undefined
    if (news) return settle(news.then(operation), callback)
    return this.#answer(operation, callback, false)
  }

  /** Runs an operation now, or when the files are read, and answers once. */
  #answer<T>(
    operation: () => T | Promise<T>,
    callback: Callback<T> | undefined,
    change: boolean,
  ): Promise<T> | void {
    if (!this.#engine.isReady) {
      const later = new Promise<T>((resolve, reject) => {
        this.#engine.whenReady(() => {
          try {
            this.#engine.requireWorking()
            resolve(operation())
          } catch (error) {
            reject(error)
          }
        }, change)
      })
      return settle(change ? quiet(later) : later, callback)
    }
    let value
    try {
      value = operation()
    } catch (error) {
      return fail(error, callback)
    }
    if (value instanceof Promise) return settle(value, callback)
    if (typeof callback !== 'function') return Promise.resolve(value)
    answerSoon(callback, value)
  }

  #report(error: StoreError): void {
    if (this.listenerCount('error') > 0) {
      this.#emit('error', error)
      return
    }
    if (this.#warned.has(error.code)) return
    this.#warned.add(error.code)
    warn(error.code, error.message)
  }

  #emit<K extends keyof StoreEvents>(event: K, ...payload: StoreEvents[K]): void {
    try {
      if (this.listenerCount(event) > 0) this.emit(event, ...payload)
    } catch (error) {
      throwLater(error)
    }
  }
}

function ignore(): void {
  // A store that could not open has said so.
}

function text(sid: string): string {
  return typeof sid === 'string' ? sid : String(sid)
}
