/**
 * How the value of an option is read: periods, lifetimes, sizes, paths, secrets.
 *
 * In: a value of any type and the option's name. Out: the parsed value, times in milliseconds, sizes
 * in bytes; or a TypeError (wrong type) or RangeError (impossible value) in the form "Expected `name`
 * to be …, got …". A message is blind to what objects hold, and never shows a secret.
 */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { withCode } from './errors.js'

/** Reads a value that is neither `undefined` nor `null`. */
export type Parse<T> = (value: unknown, name: string) => T

/** Milliseconds; `now` plus this is still a moment that a Date can hold (8.64e15). */
export const LONGEST_TTL = 8e15
/** setTimeout and setInterval take a longer delay for one millisecond. */
export const LONGEST_TIMER = 2 ** 31 - 1

const DURATION_UNITS = new Map([
  ...units(1, 'ms msec msecs millisecond milliseconds'),
  ...units(1000, 's sec secs second seconds'),
  ...units(60_000, 'm min mins minute minutes'),
  ...units(3_600_000, 'h hr hrs hour hours'),
  ...units(86_400_000, 'd day days'),
  ...units(604_800_000, 'w week weeks'),
])
const SIZE_UNITS = new Map([
  ...units(1, 'b byte bytes'),
  ...units(1024, 'kb kib'),
  ...units(1024 ** 2, 'mb mib'),
  ...units(1024 ** 3, 'gb gib'),
])

/** Milliseconds that a timer can wait; 0 for `0` and `false`. */
export function periodOrNever(value: unknown, name: string): number {
  if (value === false || value === 0) return 0
  return milliseconds(value, name, ', or 0 or false for never')
}

/** Milliseconds that a timer can wait. */
export function period(value: unknown, name: string): number {
  return milliseconds(value, name, '')
}

function milliseconds(value: unknown, name: string, or: string): number {
  if (typeof value === 'number' && value >= 1 && value <= LONGEST_TIMER) return value
  const expected = `a number of milliseconds from 1 to ${LONGEST_TIMER}${or}`
  throw wrong(name, expected, value, typeof value === 'number')
}

/** Milliseconds from a number of seconds or a string with a unit. */
export function lifetimeMs(value: unknown, name: string): number {
  const ms = typeof value === 'number' ? value * 1000 : measure(value, DURATION_UNITS)
  if (ms > 0 && ms <= LONGEST_TTL) return wholeMs(ms)
  const expected = "a positive number of seconds, a string like '30m' or a function"
  throw wrong(name, expected, value, typeof value === 'number' || typeof value === 'string')
}

/** Whole milliseconds, one at least. */
export function wholeMs(ms: number): number {
  return Math.max(1, Math.round(ms))
}

/** A whole number from 0 on; 0 for `Infinity`. */
export function count(value: unknown, name: string): number {
  if (value === Infinity) return 0
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  const expected = 'a whole number of sessions, or 0 for no limit'
  throw wrong(name, expected, value, typeof value === 'number')
}

/** Whole bytes from a number or a string with a unit of 1024; 0 for `0` and `Infinity`. */
export function size(value: unknown, name: string): number {
  if (value === Infinity || value === 0) return 0
  const bytes = typeof value === 'number' ? value : measure(value, SIZE_UNITS)
  if (bytes >= 1 && bytes <= Number.MAX_SAFE_INTEGER) return Math.floor(bytes)
  const expected = "a positive number of bytes, a string like '256mb', or 0 for no limit"
  throw wrong(name, expected, value, typeof value === 'number' || typeof value === 'string')
}

/** A positive, finite number. */
export function ratio(value: unknown, name: string): number {
  if (typeof value === 'number' && value > 0 && value < Infinity) return value
  throw wrong(name, 'a positive number', value, typeof value === 'number')
}

/** An absolute path, from a path or a `file:` URL, as an object or as text; or `false`. */
export function filePath(value: unknown, name: string): string | false {
  if (value === false) return false
  const given = value instanceof URL ? value.href : value
  const path = value instanceof URL || isUrl(given) ? urlPath(given as string) : given
  if (typeof path === 'string' && path !== '' && !/[/\\]$|\0/.test(path) && !isHome(path)) {
    return resolve(path)
  }
  const expected = 'the path or file: URL of a file, or false'
  const got = isHome(given) ? `${show(given)}, which only a shell resolves` : show(given)
  throw wrong(name, expected, given, typeof given === 'string', got)
}

function isUrl(given: unknown): boolean {
  return typeof given === 'string' && /^(?:[a-z][a-z\d+.-]+:\/\/|file:)/i.test(given)
}

function isHome(given: unknown): boolean {
  return typeof given === 'string' && /^~[/\\]/.test(given)
}

function urlPath(url: string): string | undefined {
  // Others write `file:./x` for a path from here, which a URL can't say: it would be `/x`.
  if (!/^[a-z][a-z\d+.-]+:\//i.test(url)) return undefined
  try {
    return fileURLToPath(url)
  } catch {
    return undefined
  }
}

/** One of the given words. */
export function oneOf<const T extends string>(...words: T[]): Parse<T> {
  const quoted = words.map((word) => `'${word}'`)
  const expected = `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)!}`
  return (value, name) => {
    const found = words.find((word) => word === value)
    if (found === undefined) throw wrong(name, expected, value, typeof value === 'string')
    return found
  }
}

/** `true` or `false`. */
export function flag(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw wrong(name, 'true or false', value, false)
  return value
}

/** One secret text or several. */
export function secrets(value: unknown, name: string): readonly (string | null)[] {
  const list: unknown[] = Array.isArray(value) ? value : [value]
  // No key to write with, but some to read with: how encryption is switched off.
  const off = list === value && list[0] === null && list.length > 1
  const bad = list.findIndex(
    (key, index) => (typeof key !== 'string' || key === '') && !(off && index === 0),
  )
  if (list.length > 0 && bad === -1) return [...(list as (string | null)[])]
  const what = list[bad] === '' ? 'an empty string' : typeName(list[bad])
  const got = list.length === 0 ? 'an empty array' : list === value ? `an array with ${what}` : what
  const fits = list.length === 0 || list[bad] === ''
  throw wrong(name, 'a non-empty string or an array of such strings', value, fits, got)
}

/** The error that says what was expected. `fits`: the type is right, so the value is out of range. */
export function wrong(
  name: string,
  expected: string,
  value: unknown,
  fits: boolean,
  got: string = show(value),
): Error {
  const message = `Expected \`${name}\` to be ${expected}, got ${got}`
  return withCode(fits ? new RangeError(message) : new TypeError(message), 'ERR_OPTION_VALUE')
}

/** A value, short and on one line. */
export function show(value: unknown): string {
  return inspect(value, { depth: -1, customInspect: false, maxStringLength: 40 }).slice(0, 80)
}

/** What may be said of a value that must not be shown. */
export function typeName(value: unknown): string {
  if (value === undefined || value === null) return String(value)
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/** `'1.5 h'` → its number times its unit; NaN where it is not of that form. */
function measure(value: unknown, table: ReadonlyMap<string, number>): number {
  const match = typeof value === 'string' ? /^(\d*\.?\d+) *([a-z]+)$/i.exec(value) : null
  return match ? Number(match[1]) * (table.get(match[2]!.toLowerCase()) ?? NaN) : NaN
}

function units(factor: number, names: string): [string, number][] {
  return names.split(' ').map((name) => [name, factor])
}
