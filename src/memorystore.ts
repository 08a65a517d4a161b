/**
 * The drop-in for users of memorystore: `require('persistent-memorystore/memorystore')(session)`.
 *
 * In comes express-session, or anything else with a `Store`; out goes a class that extends that
 * Store, with memorystore's options, defaults, properties and methods, and leaves the work to a
 * PersistentMemoryStore inside. Has no rule of its own about sessions.
 */
import { EventEmitter } from 'node:events'
import type { SessionData } from 'express-session'
import { LONGEST_TIMER } from './core/option-values.js'
import {
  boundOf,
  type MemoryStoreOptions,
  type MemoryStoreSerializer,
  type ShownOptions,
  shownOptions,
  translate,
} from './memorystore-options.js'
import { type Callback, quiet } from './answer.js'
import type { StoreEmitter, StoreEvents } from './events.js'
import { PersistentMemoryStore } from './store.js'

export type {
  MemoryStoreOptions,
  MemoryStoreSerializer,
  MemoryStoreTtl,
} from './memorystore-options.js'

/** What memorystore shows of itself. */
interface MemoryStoreProperties {
  /** memorystore's own options as they were given, `max` completed. */
  readonly options: ShownOptions
  /** What is in memory, at once and without waiting for files. */
  readonly store: MemoryStoreContents
  /** The serializer that was given; otherwise `JSON`, which only `dispose` goes through. */
  readonly serializer: MemoryStoreSerializer
  /** The timer of the pruning, while there is one. */
  _checkInterval: NodeJS.Timeout | undefined
}

/**
 * memorystore's methods and properties, and everything that PersistentMemoryStore has.
 *
 * As in memorystore, `length` counts expired sessions that nobody has noticed yet, and an error that
 * nobody takes, by a callback or from the promise, is ignored.
 */
// Omit: without the private fields, which TypeScript would tell from those of another class, and
// without what returns the emitter itself, which would be that class.
export type MemoryStore = Omit<PersistentMemoryStore, keyof EventEmitter> &
  StoreEmitter &
  MemoryStoreProperties

/** The class that {@link createMemoryStore} makes. */
export type MemoryStoreConstructor = new (options?: MemoryStoreOptions | null) => MemoryStore

const EVENTS: Record<keyof StoreEvents, true> = {
  ready: true,
  snapshot: true,
  expired: true,
  evicted: true,
  error: true,
  owner: true,
  follow: true,
  merge: true,
}

/**
 * Makes a store class out of express-session, or of anything else that has a `Store`.
 *
 * ```js
 * const session = require('express-session')
 * const MemoryStore = require('persistent-memorystore/memorystore')(session)
 * const store = new MemoryStore({ checkPeriod: 86_400_000, snapshotPath: './sessions.snapshot' })
 * ```
 */
export default function createMemoryStore(session: {
  readonly Store: abstract new (...args: never[]) => object
}): MemoryStoreConstructor {
  const Base = session.Store as new (options: unknown) => object

  class MemoryStore extends Base {
    readonly options: ShownOptions
    readonly store: MemoryStoreContents
    readonly serializer: MemoryStoreSerializer
    _checkInterval: NodeJS.Timeout | undefined
    readonly #inner: PersistentMemoryStore
    /** The session being set: a serializer gets it as it is, where the core takes it apart. */
    #setting: SessionData | undefined
    /** Whether the files, if there are any, have been read. */
    #restored: boolean

    constructor(given?: MemoryStoreOptions | null) {
      const options = given ?? {}
      super(options)
      const { serializer } = options
      this.options = shownOptions(options)
      this.serializer = serializer ?? JSON
      const ours = translate(options, this.options, (whole) => this.serializer.stringify(whole))
      if (serializer) {
        ours.serializer = {
          stringify: (data) => serializer.stringify(this.#setting ?? (data as SessionData)),
          parse: (text) => serializer.parse(text),
        }
      }
      this.#inner = new PersistentMemoryStore(ours)
      this.#restored = ours.snapshotPath === false
      // Not by asking for `ready`: who asks takes the error of a store that can't open.
      this.#inner.once('ready', () => (this.#restored = true))
      this.store = new MemoryStoreContents(this.#inner, boundOf(options.max))
      if (this instanceof EventEmitter) forward(this.#inner, this)
      this.startInterval()
    }

    get(sid: string, callback?: Callback) {
      return this.#ask('get', sid, callback)
    }

    set(sid: string, session: SessionData, callback?: Callback) {
      // Code of the session's own, and a `ttl` function, may set another one meanwhile.
      const outer = this.#setting
      this.#setting = session
      try {
        return this.#ask('set', sid, session, callback)
      } finally {
        this.#setting = outer
      }
    }

    touch(sid: string, session: SessionData, callback?: Callback) {
      return this.#ask('touch', sid, session, callback)
    }

    destroy(sid: string | readonly string[], callback?: Callback) {
      return this.#ask('destroy', sid, callback)
    }

    clear(callback?: Callback) {
      return this.#ask('clear', callback)
    }

    all(callback?: Callback<object>) {
      if (typeof callback !== 'function') return quiet(this.#inner.all().then(withPrototype))
      this.#inner.all((error, sessions) => callback(error, sessions && withPrototype(sessions)))
    }

    length(callback?: Callback<number>) {
      const count = () => this.store.itemCount
      const now = this.#restored ? count() : undefined
      if (typeof callback !== 'function')
        return quiet(this.#inner.ready().then(() => now ?? count()))
      this.#inner.ready((error) => (error ? callback(error) : callback(null, now ?? count())))
    }

    ids(callback?: Callback) {
      return this.#ask('ids', callback)
    }

    prune(callback?: Callback) {
      return this.#ask('prune', callback)
    }

    startInterval() {
      const { checkPeriod } = this.options
      if (!Number.isFinite(checkPeriod) || checkPeriod! <= 0) return
      clearInterval(this._checkInterval)
      const period = Math.min(Math.floor(checkPeriod!), LONGEST_TIMER)
      this._checkInterval = setInterval(() => this.prune(), period).unref()
    }

    stopInterval() {
      clearInterval(this._checkInterval)
      this._checkInterval = undefined
    }

    ready(callback?: Callback) {
      return this.#ask('ready', callback)
    }

    snapshot(callback?: Callback) {
      return this.#ask('snapshot', callback)
    }

    flush(callback?: Callback) {
      return this.#ask('flush', callback)
    }

    close(callback?: Callback) {
      this.stopInterval()
      return this.#ask('close', callback)
    }

    [Symbol.asyncDispose]() {
      return this.close()
    }

    stats() {
      return this.#inner.stats()
    }

    #ask(method: keyof PersistentMemoryStore, ...args: unknown[]): unknown {
      const inner = this.#inner as unknown as Record<typeof method, (...args: unknown[]) => unknown>
      return quiet(inner[method](...args))
    }
  }
  return MemoryStore as unknown as MemoryStoreConstructor
}

// What `require` returns.
export { createMemoryStore as 'module.exports' }

/** What stands in for memorystore's LRU cache: those of its members that need no decoding. */
class MemoryStoreContents {
  /** The most sessions to hold; `Infinity`: no limit. */
  readonly max: number
  readonly #store: PersistentMemoryStore

  constructor(store: PersistentMemoryStore, max: number) {
    this.#store = store
    this.max = max
  }

  /** Sessions in memory, expired ones that nobody has noticed yet included. */
  get itemCount(): number {
    return this.#store.stats().sessions
  }

  /** The same as {@link itemCount}. */
  get length(): number {
    return this.itemCount
  }

  /** Destroys a session. */
  del(sid: string): void {
    void quiet(this.#store.destroy(sid))
  }

  /** Destroys all sessions. */
  reset(): void {
    void quiet(this.#store.clear())
  }

  /** Drops what has expired. */
  prune(): void {
    void quiet(this.#store.prune())
  }
}

/** Emits on `outer` what the store inside emits. */
function forward(inner: PersistentMemoryStore, outer: EventEmitter): void {
  // Each session() middleware that shares a store listens to it.
  outer.setMaxListeners(0)
  for (const event of Object.keys(EVENTS).filter((name) => name !== 'error')) {
    inner.on(event, (...payload: unknown[]) => outer.emit(event, ...payload))
  }
  // Where nobody listens, the store inside turns errors into warnings: it must not be listened to.
  const passError = (error: Error) => outer.emit('error', error)
  const isFirst = (event: unknown) => event === 'error' && outer.listenerCount('error') === 0
  outer.on('newListener', (event) => isFirst(event) && inner.on('error', passError))
  outer.on('removeListener', (event) => isFirst(event) && inner.off('error', passError))
}

/** Sessions by sid as memorystore gives them, for code that calls `hasOwnProperty` on the object. */
function withPrototype<T extends object>(sessions: T): T {
  return Object.setPrototypeOf(sessions, Object.prototype) as T
}
