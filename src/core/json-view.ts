/**
 * What JSON makes of a value before it writes it: what its `toJSON` returns, primitives out of their
 * boxes, Dates and Buffers excepted, which are stored as what they are.
 */
import { types } from 'node:util'
import { DEEPEST } from './tokens.js'

const { toJSON: BUFFER_TO_JSON } = Buffer.alloc(0) as unknown as Record<string, unknown>

/**
 * Whether JSON sees an object or array as it is. Asks for an own `toJSON` rather than reading it: where
 * no two objects have the same keys, each read of a name misses V8's caches.
 */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== Array.prototype) return false
  return (prototype as { toJSON?: unknown }).toJSON === undefined && !Object.hasOwn(value, 'toJSON')
}

/** A value as JSON sees it: what `toJSON` makes of it, primitives out of their boxes. */
export function asJsonSees(value: object, key: string): unknown {
  const { toJSON } = value as { toJSON?: unknown }
  const seen: unknown =
    typeof toJSON === 'function' && !isBuiltIn(value, toJSON) ? toJSON.call(value, key) : value
  if (typeof seen !== 'object' || seen === null || !types.isBoxedPrimitive(seen)) return seen
  if (types.isNumberObject(seen)) return Number(seen)
  if (types.isStringObject(seen)) return String(seen)
  return types.isSymbolObject(seen) ? {} : seen.valueOf()
}

/** Dates and Buffers are stored as what they are, unless a class of the user's says otherwise. */
function isBuiltIn(value: object, toJSON: unknown): boolean {
  return (
    (value instanceof Date && toJSON === Date.prototype.toJSON) ||
    (Buffer.isBuffer(value) && toJSON === BUFFER_TO_JSON)
  )
}

/** The keys that lead a walk too deep, and whether into a cycle. For the error; asks anew. */
export function explainDepth(data: object): { keys: string[]; cycle: boolean } {
  const keys: string[] = []
  const trail: object[] = []
  let cycle = false
  const enter = (value: object, key: string): boolean => {
    keys.push(key)
    cycle = trail.includes(value)
    if (cycle || trail.length > DEEPEST) return true
    trail.push(value)
    for (const [next, child] of childrenOf(value)) if (visit(child, next)) return true
    trail.pop()
    keys.pop()
    return false
  }
  const visit = (given: unknown, key: string): boolean => {
    const held = (typeof given === 'object' && given !== null) || typeof given === 'function'
    const value = held ? asJsonSees(given, key) : given
    return typeof value === 'object' && value !== null && enter(value, key)
  }
  enter(data, '')
  return { keys: keys.slice(1), cycle }
}

function childrenOf(value: object): Iterable<[string, unknown]> {
  if (types.isMap(value)) {
    return [...value].flatMap(([key, item]): [string, unknown][] => [
      ['', key],
      [typeof key === 'string' ? key : '', item],
    ])
  }
  if (types.isSet(value)) return [...value].map((item) => ['', item])
  if (ArrayBuffer.isView(value)) return []
  return Object.entries(value)
}
