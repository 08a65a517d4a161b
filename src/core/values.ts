/**
 * Values as msgpackr can carry them ⇄ values as sessions hold them.
 *
 * msgpackr is given what JSON knows and nothing else, so that it matters to no body what extensions
 * an app has registered with it. Everything else stands in the body as bytes: a tag, then what it
 * takes to make the value anew. Most sessions hold none of that and are packed as they are.
 */
import { types } from 'node:util'

/** How deep objects and arrays may lie within each other. */
export const DEEPEST = 500

/** What the first of the bytes says of the others. */
const Tag = {
  undefined: 0,
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

/** Packs and unpacks what stands inside of bytes. */
export interface Inner {
  pack(value: unknown): Uint8Array
  unpack(bytes: Uint8Array): unknown
}

/** Where a session leads back into itself, or too deep. */
export class TooDeepError extends Error {
  readonly keys: readonly string[]
  readonly cycle: boolean

  constructor(keys: readonly string[], cycle: boolean) {
    super('nested too deeply')
    this.keys = keys
    this.cycle = cycle
  }
}

const BYTE_ORDER_MARK = 0xfeff

/** Stands for what JSON leaves out. */
const LEFT_OUT = Symbol('left out')

/** Turns a session's values into such as msgpackr carries. Never changes what it is given. */
export class Converter {
  readonly #inner: Inner
  #keys: string[] = []
  #trail: object[] = []

  constructor(inner: Inner) {
    this.#inner = inner
  }

  /** The data as msgpackr can take it; throws TooDeepError, and what getters and `toJSON` throw. */
  convert(data: object): unknown {
    this.#keys = []
    this.#trail = [data]
    return this.#keyed(data)
  }

  #value(given: unknown, key: string): unknown {
    const value = asJsonSees(given, key)
    switch (typeof value) {
      case 'string':
        return isPlainText(value) ? value : tagged(Tag.text, Buffer.from(value, 'utf16le'))
      case 'number':
        return Object.is(value, -0) ? tagged(Tag.negativeZero) : value
      case 'undefined':
        return tagged(Tag.undefined)
      case 'bigint':
        return tagged(Tag.bigint, Buffer.from(value.toString(36), 'latin1'))
      case 'function':
      case 'symbol':
        return LEFT_OUT
      case 'object':
        return value === null ? null : this.#enter(value, key)
      default:
        return value
    }
  }

  #enter(value: object, key: string): unknown {
    const cycle = this.#trail.includes(value)
    this.#keys.push(key)
    if (cycle || this.#trail.length > DEEPEST) throw new TooDeepError([...this.#keys], cycle)
    this.#trail.push(value)
    const converted = this.#object(value)
    this.#trail.pop()
    this.#keys.pop()
    return converted
  }

  #object(value: object): unknown {
    if (Array.isArray(value)) return this.#array(value)
    if (types.isDate(value)) return tagged(Tag.date, float(value.getTime()))
    if (types.isMap(value)) return this.#map(value)
    if (types.isSet(value)) return this.#nested(Tag.set, this.#items([...value]))
    if (types.isRegExp(value)) {
      return this.#nested(Tag.regexp, [this.#value(value.source, ''), value.flags])
    }
    if (Buffer.isBuffer(value)) return tagged(Tag.buffer, value)
    if (ArrayBuffer.isView(value)) {
      const name = types.isDataView(value) ? 'DataView' : (value as Uint8Array)[Symbol.toStringTag]
      return view(name, new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
    }
    if (types.isArrayBuffer(value)) return view('ArrayBuffer', new Uint8Array(value))
    return this.#keyed(value)
  }

  #keyed(value: object): unknown {
    const entries: [string, unknown][] = []
    let plain = true
    for (const key of Object.keys(value)) {
      const item = this.#value((value as Record<string, unknown>)[key], key)
      if (item === LEFT_OUT) continue
      entries.push([key, item])
      plain &&= isPlainKey(key)
    }
    if (plain) return Object.fromEntries(entries)
    const keyed = entries.map(([key, item]) => [this.#value(key, ''), item])
    return this.#nested(Tag.entries, keyed.flat(1))
  }

  #array(array: readonly unknown[]): unknown[] {
    return Array.from({ length: array.length }, (_, index) => {
      // JSON writes null for a hole, and for what it leaves out of objects.
      if (!(index in array)) return null
      const item = this.#value(array[index], String(index))
      return item === LEFT_OUT ? null : item
    })
  }

  #map(map: ReadonlyMap<unknown, unknown>): unknown {
    const pairs = Array.from(map, ([key, item]) => [
      this.#value(key, ''),
      this.#value(item, typeof key === 'string' ? key : ''),
    ])
    return this.#nested(Tag.map, pairs.filter((pair) => !pair.includes(LEFT_OUT)).flat(1))
  }

  #items(items: readonly unknown[]): unknown[] {
    return items.map((item) => this.#value(item, '')).filter((item) => item !== LEFT_OUT)
  }

  #nested(tag: number, items: unknown[]): Buffer {
    return tagged(tag, this.#inner.pack(items))
  }
}

/** Makes values anew from what msgpackr brought back. `data` is fresh and is changed. */
export function revive(data: unknown, inner: Inner): unknown {
  if (typeof data !== 'object' || data === null) return data
  if (data instanceof Uint8Array) return untag(data, inner)
  if (Array.isArray(data)) {
    for (let i = 0; i < data.length; i++) data[i] = revive(data[i], inner)
    return data
  }
  const keyed = data as Record<string, unknown>
  for (const key of Object.keys(keyed)) keyed[key] = revive(keyed[key], inner)
  return data
}

function untag(bytes: Uint8Array, inner: Inner): unknown {
  const content = Buffer.from(bytes.subarray(1))
  switch (bytes[0]) {
    case Tag.undefined:
      return undefined
    case Tag.date:
      return new Date(content.readDoubleBE(0))
    case Tag.bigint:
      return parseBigInt(content.toString('latin1'))
    case Tag.regexp: {
      const [source, flags] = list(content, inner)
      return new RegExp(source as string, flags as string)
    }
    case Tag.map:
      return new Map(pairs(list(content, inner)))
    case Tag.set:
      return new Set(list(content, inner))
    case Tag.negativeZero:
      return -0
    case Tag.text:
      return content.toString('utf16le')
    case Tag.entries:
      return Object.fromEntries(pairs(list(content, inner)))
    case Tag.buffer:
      return content
    case Tag.bytes: {
      const made = VIEWS[content[0]!]
      if (!made) throw new TypeError('no such kind of bytes')
      const { buffer, byteOffset, length } = content
      return made.make((buffer as ArrayBuffer).slice(byteOffset + 1, byteOffset + length))
    }
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
export function isPlainText(text: string): boolean {
  return text.isWellFormed() && text.charCodeAt(0) !== BYTE_ORDER_MARK
}

/** Dates and Buffers are stored as what they are, unless a class of the user's says otherwise. */
function isBuiltIn(value: object, toJSON: unknown): boolean {
  return (
    (value instanceof Date && toJSON === Date.prototype.toJSON) ||
    (Buffer.isBuffer(value) && toJSON === Buffer.prototype.toJSON)
  )
}

function tagged(tag: number, content?: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafeSlow(1 + (content?.length ?? 0))
  bytes[0] = tag
  if (content) bytes.set(content, 1)
  return bytes
}

function view(name: string, content: Uint8Array): Buffer {
  const kind = VIEWS.findIndex((one) => one.name === name)
  // Kinds that come with later versions of the language are stored as the bytes they are.
  return tagged(Tag.bytes, tagged(kind < 0 ? 3 : kind, content))
}

function float(value: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(8)
  bytes.writeDoubleBE(value)
  return bytes
}

function parseBigInt(text: string): bigint {
  const negative = text.startsWith('-')
  let value = 0n
  for (const digit of negative ? text.slice(1) : text)
    value = value * 36n + BigInt(parseInt(digit, 36))
  return negative ? -value : value
}

function list(content: Buffer, inner: Inner): unknown[] {
  const items = revive(inner.unpack(content), inner)
  if (!Array.isArray(items)) throw new TypeError('expected a list')
  return items
}

function pairs(items: readonly unknown[]): [never, unknown][] {
  return Array.from({ length: items.length / 2 }, (_, i) => [
    items[i * 2] as never,
    items[i * 2 + 1],
  ])
}
