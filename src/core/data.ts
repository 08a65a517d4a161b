/**
 * What of a session is data: JSON's view of it, and where it has no end.
 *
 * In comes any value a session may hold; out goes what JSON would see there, or the path to the
 * place where it is nested too deeply. Functions, symbols and what `toJSON` withholds are no data.
 * Never packs anything, never quotes a value.
 */

import { types } from 'node:util'

/** How deep objects and arrays may lie within each other. */
export const MAX_DEPTH = 500

/** Stands for what JSON leaves out. */
export const DROPPED = Symbol('dropped')

const SELF_CONTAINED = [Date, Buffer, Map, Set, RegExp]

/** `value` as JSON sees it under `key`, or DROPPED. */
export function visible(value: unknown, key: string): unknown {
  let seen = value
  if ((typeof seen === 'object' && seen !== null) || typeof seen === 'function') {
    const { toJSON } = seen as { toJSON?: unknown }
    if (typeof toJSON === 'function' && !keepsItself(seen, toJSON)) {
      seen = (toJSON as (key: string) => unknown).call(seen, key)
      if (seen === undefined) return DROPPED
    }
  }
  return typeof seen === 'function' || typeof seen === 'symbol' ? DROPPED : seen
}

/** A Date or Buffer is stored as what it is, unless a class of the user's has a toJSON of its own. */
function keepsItself(value: object, toJSON: unknown): boolean {
  return SELF_CONTAINED.some(
    (type) => value instanceof type && (type.prototype as { toJSON?: unknown }).toJSON === toJSON,
  )
}

/** An object without a class. */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** The primitive in a Number, String, Boolean or BigInt object, by the rules of JSON. */
export function unbox(value: object): unknown {
  if (types.isNumberObject(value)) return Number(value)
  if (types.isStringObject(value)) return String(value)
  if (types.isBooleanObject(value)) return Boolean.prototype.valueOf.call(value)
  return BigInt.prototype.valueOf.call(value)
}

/** Keys and values of a Map in turn, as JSON would see them; an entry without either is left out. */
export function mapEntries(map: ReadonlyMap<unknown, unknown>): unknown[] {
  const flat: unknown[] = []
  for (const [key, value] of map) {
    const seenKey = visible(key, '')
    const seen = visible(value, typeof key === 'string' ? key : '')
    if (seenKey !== DROPPED && seen !== DROPPED) flat.push(seenKey, seen)
  }
  return flat
}

/** The elements of a Set, as JSON would see them. */
export function setElements(set: ReadonlySet<unknown>): unknown[] {
  return Array.from(set, (value) => visible(value, '')).filter((value) => value !== DROPPED)
}

/** Where a session is nested too deeply. */
export interface Pit {
  /** The keys that lead there, joined by dots. */
  path: string
  /** Whether it leads back into itself. */
  cycle: boolean
}

const SHOWN_KEYS = 12
const SHOWN_LENGTH = 40

/** `cookie`, `id` and `req` of a session are kept apart from its data, or not at all. */
export function isReserved(key: string): boolean {
  return key === 'cookie' || key === 'id' || key === 'req'
}

/** Finds the first place where `session` leads back into itself or lies deeper than MAX_DEPTH. */
export function findPit(session: object): Pit | undefined {
  const trail: object[] = []
  const keys: string[] = []
  let cycle = false

  function fallsIn(value: unknown): boolean {
    if (typeof value !== 'object' || value === null) return false
    cycle = trail.includes(value)
    if (cycle || trail.length > MAX_DEPTH) return true
    trail.push(value)
    for (const [key, child] of children(value)) {
      if (trail.length === 1 && isReserved(key)) continue
      keys.push(key)
      if (fallsIn(visible(child, key))) return true
      keys.pop()
    }
    trail.pop()
    return false
  }

  if (!fallsIn(session)) return undefined
  const shown = keys
    .slice(0, SHOWN_KEYS)
    .map((key) => (key.length > SHOWN_LENGTH ? key.slice(0, SHOWN_LENGTH) + '…' : key))
  return { path: shown.join('.') + (keys.length > SHOWN_KEYS ? '.…' : ''), cycle }
}

function children(value: object): [string, unknown][] {
  if (types.isMap(value)) {
    return mapEntries(value).map((child, index) => [index % 2 ? 'value' : 'key', child])
  }
  if (types.isSet(value)) return setElements(value).map((child) => ['element', child])
  return ArrayBuffer.isView(value) ? [] : Object.entries(value)
}
