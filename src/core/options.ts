/**
 * Every option with its unit, its default and its check.
 *
 * In: what a user handed to `new PersistentMemoryStore(…)`, of any type. Out: complete, parsed
 * options, times in milliseconds and sizes in bytes. A misspelled name and an impossible value throw
 * before anything else happens. How a value of each kind is read stands in option-values.ts.
 */
import { resolve } from 'node:path'
import type { SessionData } from 'express-session'
import { warn, withCode } from './errors.js'
import * as read from './option-values.js'

/** What a crash may lose: all since the last snapshot, the last second, or nothing acknowledged. */
export type Durability = 'snapshot' | 'everysec' | 'always'

/** Why `dispose` is called. */
export type DisposeReason = 'expired' | 'evicted' | 'destroyed' | 'replaced'

/** The lifetime of one session in seconds; 0 or less: it is over already. Fractions count. */
export type TtlFunction = (session: SessionData, sid: string) => number

/**
 * Told of each session that leaves the memory, after it has left. What it returns is ignored and not
 * waited for; an error that it throws, or rejects with, is emitted as a StoreError `ERR_HOOK`.
 */
export type Dispose = (sid: string, session: SessionData, reason: DisposeReason) => void

/** Turns sessions into text and back, in place of the built-in encoding. Synchronous. */
export interface Serializer {
  /** Is given a session without its cookie, `id` and `req`. What it throws goes to whoever called `set`. */
  stringify(session: Partial<SessionData>): string
  /** Where it throws, the session is as if it couldn't be decoded: `ERR_SESSION_DECODE`. */
  parse(text: string): Partial<SessionData>
}

/**
 * The options of the store, each with its unit and default. `undefined` and `null` mean the default.
 *
 * A name that is none of these and a value of a wrong type throw a TypeError, a value out of range a
 * RangeError, with code `ERR_OPTION_UNKNOWN` or `ERR_OPTION_VALUE`.
 */
export interface PersistentMemoryStoreOptions {
  /**
   * Milliseconds between two prunes of expired sessions; `0` or `false`: never.
   * At most 2 147 483 647 (24.8 days), the longest a timer can wait. Default: 600 000, ten minutes.
   */
  checkPeriod?: number | false | null | undefined
  /**
   * The file that sessions are kept in, as a path or a `file:` URL; missing folders are made.
   * `false`: memory only. Default: `./sessions.snapshot`, in the folder the process was started in.
   */
  snapshotPath?: string | URL | false | null | undefined
  /**
   * Milliseconds between two snapshots, taken only if something changed and, beside a journal, if it
   * is worth it; `0` or `false`: no timed ones. At most 2 147 483 647. Default: 60 000, one minute.
   */
  snapshotInterval?: number | false | null | undefined
  /**
   * How long a session lives without being used: **seconds**, or a string with a unit (`'1500ms'`,
   * `'90s'`, `'30m'`, `'12h'`, `'14 days'`, `'2w'`), or a function. The cookie's own expiry counts
   * where it is earlier. A number beyond a year is warned about once, since milliseconds are then the
   * likelier meaning. Default: the cookie's expiry; one day where it has none.
   */
  ttl?: number | string | TtlFunction | null | undefined
  /**
   * The most sessions to hold, a whole number; the least recently used is evicted. `0` or
   * `Infinity`: no limit. Default: no limit.
   */
  max?: number | null | undefined
  /**
   * The most bytes of encoded sessions and their ids to hold, least recently used evicted first: a
   * number, or a string with a unit, of 1024 (`'512kb'`, `'256mb'`, `'1.5gb'`). `0` or `Infinity`:
   * no limit. Default: no limit.
   */
  maxBytes?: number | string | null | undefined
  /** What a crash may lose. Default: `'everysec'`, the last second. */
  durability?: Durability | null | undefined
  /** An encoding of your own, both ways. Default: the built-in one, MessagePack. */
  serializer?: Serializer | null | undefined
  /** Called with each session that leaves the memory, and why. Default: none. */
  dispose?: Dispose | null | undefined
  /** Don't call `dispose` for a session that a `set` replaces. Default: `false`. */
  noDisposeOnSet?: boolean | null | undefined
  /** Return an expired session once more, to the first who asks. Default: `false`. */
  stale?: boolean | null | undefined
  /** Write what is unsaved when the process ends, however it does short of a kill. Default: `true`. */
  flushOnExit?: boolean | null | undefined
  /**
   * Encrypts the files with AES-256-GCM: a secret text of any length, or several, of which the first
   * encrypts and all decrypt, so that keys can be rotated. `null` before the others switches encryption
   * off: new files are plain. Default: no encryption, also where the variable it comes from is
   * `undefined`.
   */
  encryptionKey?: string | readonly (string | null)[] | null | undefined
  /** A damaged file: serve what is whole, or refuse to start. Default: `'salvage'`. */
  onCorrupt?: 'salvage' | 'throw' | null | undefined
  /** How large the journal may grow, as a multiple of the snapshot (64 MiB at least). Default: 1. */
  journalMaxRatio?: number | null | undefined
  /** Another process owns the file: follow what it writes and take over, or throw. Default: `'follow'`. */
  onOwned?: 'follow' | 'throw' | null | undefined
  /**
   * Milliseconds that a successor waits for its turn before it warns. From 1 to 2 147 483 647.
   * Default: 60 000, one minute.
   */
  takeoverTimeout?: number | null | undefined
  /**
   * Look at the folder four times a second. `false`: a successor looks every second, and a file that
   * somebody puts at the path is not merged until a snapshot takes its place. Default: `true`.
   */
  watch?: boolean | null | undefined
}

/** The options, complete and parsed. */
export interface ResolvedOptions {
  /** Milliseconds; 0: never. */
  checkPeriod: number
  /** An absolute path. */
  snapshotPath: string | false
  /** Milliseconds; 0: never. */
  snapshotInterval: number
  /** Milliseconds, or a function that gives them, already checked; `null`: not given. */
  ttl: number | TtlFunction | null
  /** Sessions; 0: no limit. */
  max: number
  /** Whole bytes; 0: no limit. */
  maxBytes: number
  durability: Durability
  serializer: Serializer | null
  dispose: Dispose | null
  noDisposeOnSet: boolean
  stale: boolean
  flushOnExit: boolean
  /** The first encrypts, all decrypt; empty: no encryption. */
  encryptionKey: readonly (string | null)[]
  onCorrupt: 'salvage' | 'throw'
  journalMaxRatio: number
  onOwned: 'follow' | 'throw'
  /** Milliseconds. */
  takeoverTimeout: number
  watch: boolean
}

type OptionName = keyof PersistentMemoryStoreOptions
type Row<T> = { fallback: () => T; parse: read.Parse<T> }

/** One row per option: where its value comes from if it isn't given, and how it is read if it is. */
const TABLE: { readonly [K in OptionName]: Row<ResolvedOptions[K]> } = {
  checkPeriod: { fallback: () => 600_000, parse: read.periodOrNever },
  snapshotPath: { fallback: () => resolve('sessions.snapshot'), parse: read.filePath },
  snapshotInterval: { fallback: () => 60_000, parse: read.periodOrNever },
  ttl: { fallback: () => null, parse: lifetime },
  max: { fallback: () => 0, parse: read.count },
  maxBytes: { fallback: () => 0, parse: read.size },
  durability: { fallback: () => 'everysec', parse: read.oneOf('snapshot', 'everysec', 'always') },
  serializer: { fallback: () => null, parse: serializer },
  dispose: { fallback: () => null, parse: dispose },
  noDisposeOnSet: { fallback: () => false, parse: read.flag },
  stale: { fallback: () => false, parse: read.flag },
  flushOnExit: { fallback: () => true, parse: read.flag },
  encryptionKey: { fallback: () => [], parse: read.secrets },
  onCorrupt: { fallback: () => 'salvage', parse: read.oneOf('salvage', 'throw') },
  journalMaxRatio: { fallback: () => 1, parse: read.ratio },
  onOwned: { fallback: () => 'follow', parse: read.oneOf('follow', 'throw') },
  takeoverTimeout: { fallback: () => 60_000, parse: read.period },
  watch: { fallback: () => true, parse: read.flag },
}
const NAMES = Object.keys(TABLE) as OptionName[]

/** What other stores call it. */
const FOREIGN: Readonly<Record<string, string>> = {
  path: 'did you mean `snapshotPath`?',
  file: 'did you mean `snapshotPath`?',
  filename: 'did you mean `snapshotPath`?',
  reapinterval: 'did you mean `checkPeriod`, in milliseconds?',
  maxage: 'did you mean `ttl`, in seconds?',
  maxsize: 'did you mean `maxBytes`?',
  secret: 'did you mean `encryptionKey`?',
  fsync: 'did you mean `durability`?',
  prefix: 'ids need no prefix here, leave it out',
  touchafter: 'a touch is cheap here, leave it out',
}
const YEAR_SECONDS = 365 * 86_400

/**
 * Checks and completes what a user gave. Throws a TypeError or RangeError with code
 * `ERR_OPTION_UNKNOWN` or `ERR_OPTION_VALUE`.
 */
export function resolveOptions(options: unknown): ResolvedOptions {
  const given: unknown = options ?? {}
  if (typeof given !== 'object' || Array.isArray(given)) {
    throw read.wrong('options', 'an object', given, false)
  }
  // Inherited ones are read as well.
  for (const name in given) {
    if (!Object.hasOwn(TABLE, name)) {
      const message = `Unknown option \`${name.slice(0, 40)}\`; ${hint(name.toLowerCase())}`
      throw withCode(new TypeError(message), 'ERR_OPTION_UNKNOWN')
    }
  }
  return Object.fromEntries(
    NAMES.map((name) => {
      const value = (given as Record<string, unknown>)[name] ?? null
      const { fallback, parse } = TABLE[name]
      return [name, value === null ? fallback() : parse(value, name)]
    }),
  ) as unknown as ResolvedOptions
}

/**
 * The milliseconds of what a `ttl` function gave in seconds; 0 where the session's time is over.
 * Throws a TypeError or RangeError with code `ERR_OPTION_VALUE` where that is no such number.
 */
export function checkTtl(seconds: unknown): number {
  if (typeof seconds === 'number' && Math.abs(seconds) * 1000 <= read.LONGEST_TTL) {
    return seconds > 0 ? read.wholeMs(seconds * 1000) : 0
  }
  // What came back may be a piece of a session, so only its type is named.
  const got = typeof seconds === 'number' ? read.show(seconds) : read.typeName(seconds)
  const expected = 'a function that returns a number of seconds'
  throw read.wrong('ttl', expected, seconds, typeof seconds === 'number', got)
}

function lifetime(value: unknown, name: string): number | TtlFunction {
  if (typeof value === 'function') {
    return (session, sid) => checkTtl((value as TtlFunction)(session, sid))
  }
  const ms = read.lifetimeMs(value, name)
  if (typeof value === 'number' && value > YEAR_SECONDS) warnOfUnit(value)
  return ms
}

let unitWarned = false

function warnOfUnit(seconds: number): void {
  if (unitWarned) return
  unitWarned = true
  warn(
    'PMS_TTL_UNIT',
    `\`ttl\` is in seconds, and ${seconds} of them are more than a year. memorystore counts in ` +
      "milliseconds. A string with a unit, like '14d', leaves no doubt.",
  )
}

function serializer(value: unknown, name: string): Serializer {
  const { stringify, parse } = value as Partial<Record<keyof Serializer, unknown>>
  if (typeof stringify === 'function' && typeof parse === 'function') return value as Serializer
  throw read.wrong(name, 'an object with functions `stringify` and `parse`', value, false)
}

function dispose(value: unknown, name: string): Dispose {
  if (typeof value !== 'function') throw read.wrong(name, 'a function', value, false)
  return value as Dispose
}

function hint(wanted: string): string {
  const foreign = Object.hasOwn(FOREIGN, wanted) ? FOREIGN[wanted] : undefined
  return foreign ?? nearest(wanted, NAMES)
}

/** Which of the options somebody has most likely meant by a name in lower case. */
export function nearest(wanted: string, names: readonly string[]): string {
  const near = names.map((name) => ({ name, far: distance(wanted, name.toLowerCase()) }))
  const best = near.reduce((a, b) => (b.far < a.far ? b : a))
  if (best.far <= Math.max(1, best.name.length / 3)) return `did you mean \`${best.name}\`?`
  return `the options are ${names.join(', ')}`
}

/** Edits (insert, delete, replace, swap of neighbours) from one name to the other. */
function distance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      const step = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1))
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row[j] = swapped ? Math.min(step, before[j - 2]! + 1) : step
    }
    before = last
    last = row
  }
  return last[b.length]!
}
