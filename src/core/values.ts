/**
 * Values as msgpackr can carry them ⇄ values as sessions hold them.
 *
 * msgpackr is given what JSON knows and nothing else, so that it matters to no body what extensions
 * an app has registered with it. In a session that holds more, each array has a tag in front: what
 * it is, and then what it takes to make the value anew. Most sessions are packed as they are.
 */
import { types } from 'node:util'

/** How deep objects and arrays may lie within each other. */
export const DEEPEST = 500

/** What the first element of an array says of the others. */
const Tag = {
  array: 0,
  date: 1,
  bigint: 2,
  regexp: 3,
  map: 4,
  set: 5,
  negativeZero: 6,
  /** A string that UTF-8, or a decoder of it, would change. */
  text: 7,
  /** An object with keys that msgpackr would change. */
  entries: 8,
  buffer: 9,
  bytes: 10,
  undefined: 11,
} as const

/** Kinds of {@link Tag.bytes}, by their place in the list. */
const VIEWS: readonly { name: string; make(buffer: ArrayBuffer): unknown }[] = [
  { name: 'ArrayBuffer', make: (buffer) => buffer },
  { name: 'DataView', make: (buffer) => new DataView(buffer) },
  { name: 'Int8Array', make: (buffer) => new Int8Array(buffer) },
  { name: 'Uint8Array', make: (buffer) => new Uint8Array(buffer) },
  { name: 'Uint8ClampedArray', make: (buffer) => new Uint8ClampedArray(buffer) },
  { name: 'Int16Array', make: (buffer) => new Int16Array(buffer) },
  { name: 'Uint16Array', make: (buffer) => new Uint16Array(buffer) },
  { name: 'Int32Array', make: (buffer) => new Int32Array(buffer) },
  { name: 'Uint32Array', make: (buffer) => new Uint32Array(buffer) },
  { name: 'Float32Array', make: (buffer) => new Float32Array(buffer) },
  { name: 'Float64Array', make: (buffer) => new Float64Array(buffer) },
  { name: 'BigInt64Array', make: (buffer) => new BigInt64Array(buffer) },
  { name: 'BigUint64Array', make: (buffer) => new BigUint64Array(buffer) },
]
const UINT8_ARRAY = 3

/** A session leads back into itself, or too deep. */
export class TooDeepError extends Error {
  readonly keys: readonly string[]
  readonly cycle: boolean

  constructor(keys: readonly string[], cycle: boolean) {
    super('nested too deeply')
    this.keys = keys
    this.cycle = cycle
  }
}

/** Stands for what JSON leaves out. */
const LEFT_OUT = Symbol('left out')
const BYTE_ORDER_MARK = 0xfeff
const { toJSON: BUFFER_TO_JSON } = Buffer.alloc(0) as unknown as Record<string, unknown>

/** Turns a session's values into such as msgpackr carries. Never changes what it is given. */
export class Converter {
  #keys: string[] = []
  #trail: object[] = []

  /** The data as msgpackr can take it; throws TooDeepError, and what getters and `toJSON` throw. */
  convert(data: object): unknown {
    this.#trail.push(data)
    return this.#keyed(data)
  }

  #value(given: unknown, key: string): unknown {
    const value = asJsonSees(given, key)
    switch (typeof value) {
      case 'string':
        return text(value)
      case 'number':
        return Object.is(value, -0) ? [Tag.negativeZero] : value
      case 'undefined':
        return [Tag.undefined]
      case 'bigint':
        return [Tag.bigint, value.toString(16)]
      case 'function':
      case 'symbol':
        return LEFT_OUT
      case 'object':
        return value === null ? null : this.#enter(value, key)
      case 'boolean':
        return value
    }
  }

  #enter(value: object, key: string): unknown {
    this.#keys.push(key)
    const cycle = this.#trail.includes(value)
    if (cycle || this.#trail.length > DEEPEST) throw new TooDeepError([...this.#keys], cycle)
    this.#trail.push(value)
    const converted = this.#object(value)
    this.#trail.pop()
    this.#keys.pop()
    return converted
  }

  #object(value: object): unknown {
    if (Array.isArray(value)) return this.#array(value)
    if (types.isDate(value)) return [Tag.date, value.getTime()]
    if (types.isMap(value)) return this.#map(value)
    if (types.isSet(value)) return this.#set(value)
    if (types.isRegExp(value)) return [Tag.regexp, text(value.source), value.flags]
    if (Buffer.isBuffer(value)) return [Tag.buffer, value.toString('latin1')]
    if (types.isDataView(value)) return view('DataView', value)
    if (ArrayBuffer.isView(value)) return view((value as Uint8Array)[Symbol.toStringTag], value)
    if (types.isArrayBuffer(value)) return view('ArrayBuffer', new Uint8Array(value))
    return this.#keyed(value)
  }

  #keyed(value: object): unknown {
    const entries: [string, unknown][] = []
    for (const key of Object.keys(value)) {
      const item = this.#value((value as Record<string, unknown>)[key], key)
      if (item !== LEFT_OUT) entries.push([key, item])
    }
    if (entries.every(([key]) => isPlainKey(key))) return Object.fromEntries(entries)
    return [Tag.entries, ...entries.flatMap(([key, item]) => [text(key), item])]
  }

  #array(array: readonly unknown[]): unknown[] {
    const converted: unknown[] = [Tag.array]
    for (let index = 0; index < array.length; index++) {
      // JSON writes null for a hole, and for what it leaves out of objects.
      const item = index in array ? this.#value(array[index], String(index)) : null
      converted.push(item === LEFT_OUT ? null : item)
    }
    return converted
  }

  #map(map: ReadonlyMap<unknown, unknown>): unknown[] {
    const converted: unknown[] = [Tag.map]
    for (const [key, item] of map) {
      const pair = [this.#value(key, ''), this.#value(item, typeof key === 'string' ? key : '')]
      if (!pair.includes(LEFT_OUT)) converted.push(...pair)
    }
    return converted
  }

  #set(set: ReadonlySet<unknown>): unknown[] {
    const converted: unknown[] = [Tag.set]
    for (const given of set) {
      const item = this.#value(given, '')
      if (item !== LEFT_OUT) converted.push(item)
    }
    return converted
  }
}

/** Makes values anew from what msgpackr brought back. `data` is fresh and is changed. */
export function revive(data: unknown, depth: number): unknown {
  if (typeof data !== 'object' || data === null) return data
  if (depth > DEEPEST + 1) throw new TypeError('nested too deeply')
  if (Array.isArray(data)) {
    for (let i = 1; i < data.length; i++) data[i] = revive(data[i], depth + 1)
    return untag(data)
  }
  const keyed = data as Record<string, unknown>
  for (const key of Object.keys(keyed)) keyed[key] = revive(keyed[key], depth + 1)
  return data
}

function untag([tag, ...items]: unknown[]): unknown {
  const [first, second] = items
  switch (tag) {
    case Tag.array:
      return items
    case Tag.date:
      return new Date(first as number)
    case Tag.bigint:
      return parseBigInt(asText(first))
    case Tag.regexp:
      return new RegExp(asText(first), asText(second))
    case Tag.map:
      return new Map(pairs(items))
    case Tag.set:
      return new Set(items)
    case Tag.negativeZero:
      return -0
    case Tag.text:
      return Buffer.from(asText(first), 'latin1').toString('utf16le')
    case Tag.entries:
      return Object.fromEntries(pairs(items))
    case Tag.buffer:
      return Buffer.from(asText(first), 'latin1')
    case Tag.bytes: {
      const content = Buffer.from(asText(second), 'latin1')
      const { buffer, byteOffset, length } = content
      return VIEWS[first as number]!.make(buffer.slice(byteOffset, byteOffset + length))
    }
    case Tag.undefined:
      return undefined
    default:
      throw new TypeError('no such tag')
  }
}

/** A value as JSON sees it: what `toJSON` makes of it, primitives out of their boxes. */
export function asJsonSees(value: unknown, key: string): unknown {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return value
  const { toJSON } = value as { toJSON?: unknown }
  const seen: unknown =
    typeof toJSON === 'function' && !isBuiltIn(value, toJSON) ? toJSON.call(value, key) : value
  if (seen === undefined) return LEFT_OUT
  if (typeof seen !== 'object' || seen === null || !types.isBoxedPrimitive(seen)) return seen
  if (types.isNumberObject(seen)) return Number(seen)
  if (types.isStringObject(seen)) return String(seen)
  return types.isSymbolObject(seen) ? {} : seen.valueOf()
}

/** Whether msgpackr keeps the key as it is. */
export function isPlainKey(key: string): boolean {
  return key !== '__proto__' && isPlainText(key)
}

/** Whether msgpackr keeps the text as it is: its decoder takes a mark at the start for an encoding. */
export function isPlainText(value: string): boolean {
  return value.isWellFormed() && value.charCodeAt(0) !== BYTE_ORDER_MARK
}

/** Dates and Buffers are stored as what they are, unless a class of the user's says otherwise. */
function isBuiltIn(value: object, toJSON: unknown): boolean {
  return (
    (value instanceof Date && toJSON === Date.prototype.toJSON) ||
    (Buffer.isBuffer(value) && toJSON === BUFFER_TO_JSON)
  )
}

function text(value: string): unknown {
  if (isPlainText(value)) return value
  return [Tag.text, Buffer.from(value, 'utf16le').toString('latin1')]
}

function view(name: string, { buffer, byteOffset, byteLength }: ArrayBufferView): unknown[] {
  const kind = VIEWS.findIndex((one) => one.name === name)
  const bytes = Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)
  // Kinds that come with later versions of the language are stored as the bytes they are.
  return [Tag.bytes, kind < 0 ? UINT8_ARRAY : kind, bytes.toString('latin1')]
}

function parseBigInt(digits: string): bigint {
  return digits.startsWith('-') ? -BigInt(`0x${digits.slice(1)}`) : BigInt(`0x${digits}`)
}

function asText(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('expected text')
  return value
}

function pairs(items: readonly unknown[]): [never, unknown][] {
  return Array.from({ length: items.length / 2 }, (_, i) => [
    items[i * 2] as never,
    items[i * 2 + 1],
  ])
}
