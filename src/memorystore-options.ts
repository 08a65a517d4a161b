/**
 * memorystore's options, translated into ours.
 *
 * In: options in memorystore's units and with its leniency. Out: options of PersistentMemoryStore.
 * What memorystore took in silence never throws here; what only this package has is checked as
 * everywhere else.
 */
import type { SessionData } from 'express-session'
import { warn, type WarningCode } from './core/errors.js'
import { ONE_DAY } from './core/lifetime.js'
import { LONGEST_TTL, wrong } from './core/option-values.js'
import { type DisposeReason, nearest, type PersistentMemoryStoreOptions } from './core/options.js'

/** Turns whole sessions, cookie included, into text and back. Synchronous. */
export interface MemoryStoreSerializer {
  /** What it throws goes to whoever called `set`. */
  stringify(session: SessionData): string
  /** Where it throws, the session is as if it couldn't be decoded: `ERR_SESSION_DECODE`. */
  parse(text: string): SessionData
}

/** The options that memorystore has, in its units. */
interface Theirs {
  /** Milliseconds between two prunes of expired sessions. Default: never. */
  checkPeriod?: number | null | undefined
  /** The most sessions to hold; the least recently used is evicted. Default: `Infinity`. */
  max?: number | null | undefined
  /**
   * **Milliseconds** that a session lives without being used, or a function that gives them; `0`: no
   * limit. The cookie's own expiry counts where it is earlier. Default: the cookie's `maxAge`, or
   * one day. Anything but a number or a function is a TypeError.
   */
  ttl?: number | MemoryStoreTtl | null | undefined
  /**
   * Called with each session that leaves the memory: its sid, its text (`serializer.stringify` of
   * what `get` would return; by default JSON, with the cookie last), and the reason. Default: none.
   */
  dispose?: ((sid: string, text: string, reason: DisposeReason) => void) | null | undefined
  /** Return an expired session once more, to the first who asks. Default: `false`. */
  stale?: boolean | null | undefined
  /** Don't call `dispose` for a session that a `set` replaces. Default: `false`. */
  noDisposeOnSet?: boolean | null | undefined
  /**
   * Turns whole sessions, cookie included, into text and back. The cookie that `get` returns is the
   * last that was set or touched, as JSON would bring it. Default: the built-in encoding, by which
   * Date, Map, Set and the like come back as themselves; `JSON` for what memorystore did.
   */
  serializer?: MemoryStoreSerializer | null | undefined
}

/** The options that memorystore has none of. They have our units. */
type Ours = Omit<PersistentMemoryStoreOptions, keyof Theirs | 'snapshotPath'>

/**
 * memorystore's options, and ours beside them. `undefined` and `null` mean the default.
 *
 * memorystore ignored names it didn't know. So does this, with a process warning, once for each.
 */
export interface MemoryStoreOptions extends Theirs, Ours {
  /** The file that sessions are kept in; missing folders are made. Default: memory only. */
  snapshotPath?: PersistentMemoryStoreOptions['snapshotPath'] | null
}

/** What a store shows as its `options`: memorystore's own as they were given, `max` completed. */
export type ShownOptions = Omit<Theirs, 'serializer' | 'max'> & { max: number }

/** The lifetime of a session in milliseconds, from the store's `options`, the session and its sid. */
export type MemoryStoreTtl = (options: ShownOptions, session: SessionData, sid: string) => number

const NAMES: Record<keyof MemoryStoreOptions, 'theirs' | 'ours'> = {
  checkPeriod: 'theirs',
  max: 'theirs',
  ttl: 'theirs',
  dispose: 'theirs',
  stale: 'theirs',
  noDisposeOnSet: 'theirs',
  serializer: 'theirs',
  snapshotPath: 'ours',
  snapshotInterval: 'ours',
  maxBytes: 'ours',
  durability: 'ours',
  flushOnExit: 'ours',
  encryptionKey: 'ours',
  onCorrupt: 'ours',
  journalMaxRatio: 'ours',
  onOwned: 'ours',
  takeoverTimeout: 'ours',
  watch: 'ours',
}
/** Those that nobody gives who doesn't want files. */
const FILE_OPTIONS = [
  'snapshotInterval',
  'durability',
  'encryptionKey',
  'onCorrupt',
  'journalMaxRatio',
  'onOwned',
  'takeoverTimeout',
] as const
const warned = new Set<string>()

/** Memorystore's six as its `options` property shows them. */
export function shownOptions(given: MemoryStoreOptions): ShownOptions {
  const { checkPeriod, max, ttl, dispose, stale, noDisposeOnSet } = given
  return { checkPeriod, max: max ?? Infinity, ttl, dispose, stale, noDisposeOnSet }
}

/**
 * Our options for memorystore's. The timer of `checkPeriod` and the serializer are the caller's.
 *
 * @param shown what the store shows as its options: `ttl` is read from there at each use
 * @param stringify the text of a session, for `dispose`
 * @throws TypeError `ERR_OPTION_VALUE` for a `ttl` that is neither a number nor a function
 */
export function translate(
  given: MemoryStoreOptions,
  shown: ShownOptions,
  stringify: (session: SessionData) => string,
): PersistentMemoryStoreOptions {
  const { ttl, dispose } = given
  if (ttl && typeof ttl !== 'number' && typeof ttl !== 'function') {
    throw wrong('ttl', 'a number of milliseconds or a function', ttl, false)
  }
  warnOfUnknown(given)
  warnOfMemoryOnly(given)
  const ours = Object.entries(given).filter(
    ([name]) => NAMES[name as keyof MemoryStoreOptions] === 'ours',
  )
  return {
    ...(Object.fromEntries(ours) as Ours),
    snapshotPath: given.snapshotPath ?? false,
    checkPeriod: false,
    ttl: (session, sid) => lifetime(shown, session, sid) / 1000,
    max: boundOf(given.max),
    stale: Boolean(given.stale),
    noDisposeOnSet: Boolean(given.noDisposeOnSet),
    dispose: dispose
      ? (sid, session, reason) => dispose(sid, stringify(session), reason)
      : undefined,
  }
}

/** The limit that lru-cache saw in a `max`; `Infinity`: none. */
export function boundOf(max: unknown): number {
  if (typeof max !== 'number' || !(max > 0) || max > Number.MAX_SAFE_INTEGER) return Infinity
  return Math.max(1, Math.floor(max))
}

/** Milliseconds; 0 or less: it is over. memorystore's `getTTL`, and what lru-cache made of it. */
function lifetime(options: ShownOptions, session: SessionData, sid: string): number {
  const { ttl } = options
  if (typeof ttl !== 'function' && typeof ttl !== 'number') {
    const maxAge = (session.cookie as { maxAge?: unknown } | undefined)?.maxAge
    return typeof maxAge === 'number' ? bounded(Math.floor(maxAge)) : ONE_DAY
  }
  const ms = typeof ttl === 'function' ? ttl(options, session, sid) : ttl
  return bounded(ms || Infinity)
}

/** From 0 to the longest there is. NaN is that too: no age was older than it. */
function bounded(ms: number): number {
  return ms <= LONGEST_TTL ? Math.max(0, ms) : LONGEST_TTL
}

function warnOfUnknown(given: object): void {
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(NAMES, name)) continue
    const hint = nearest(name.toLowerCase(), Object.keys(NAMES))
    warnOnce('PMS_OPTION_UNKNOWN', `Unknown option \`${name.slice(0, 40)}\` is ignored; ${hint}`)
  }
}

/** Who gives options about files and not where these are has most likely forgotten to. */
function warnOfMemoryOnly(given: MemoryStoreOptions): void {
  if (given.snapshotPath || given.snapshotPath === false) return
  const name = FILE_OPTIONS.find((one) => given[one] !== undefined && given[one] !== null)
  if (name === undefined) return
  const message = `\`${name}\` without \`snapshotPath\`: sessions are kept in memory only`
  warnOnce('PMS_MEMORY_ONLY', message)
}

function warnOnce(code: WarningCode, message: string): void {
  if (warned.has(message)) return
  warned.add(message)
  warn(code, message)
}
