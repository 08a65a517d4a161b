/**
 * A session as the user left it → tokens and text, in one walk.
 *
 * Sees values as JSON sees them, `toJSON` called and functions left out, but carries what JSON
 * can't: Date, Map, Set, RegExp, BigInt, bytes, `undefined`, NaN, −0. Each getter is asked once.
 * Changes nothing of what it is given; the session's own code may run, and may come back here for
 * another session.
 */
import { types } from 'node:util'
import { asJsonSees, isPlain } from './json-view.js'
import { PACKED_LEAST, type Packing } from './packing.js'
import { dataKeys, type Shapes } from './shapes.js'
import {
  DEEPEST,
  Kind,
  MOST_NEGATED,
  MOST_TOKENS,
  Special,
  special,
  type Token,
  UINT8_ARRAY,
  VIEWS,
} from './tokens.js'

/** A JSON web signature in its compact form has so many parts (RFC 7515, section 7.1). */
const SIGNED_PARTS = 3
const ABSENT = special(Special.absent)

/** More than {@link DEEPEST} levels, or a cycle: explainDepth in json-view.ts tells which. */
export class TooDeepError extends Error {}
/** More than {@link MOST_TOKENS} values: V8 ends the process where an array grows too long. */
export class TooManyError extends Error {}

/** One session on its way. */
export class Flattening {
  readonly tokens: Token[] = []
  text = ''
  readonly #shapes: Shapes
  readonly #packing: Packing
  readonly #sid: string | undefined

  /**
   * @param sid whose session it is: shapes are shared that several sessions have
   * @param packing empty, and nobody else's meanwhile
   */
  constructor(shapes: Shapes, sid: string | undefined, packing: Packing) {
    this.#shapes = shapes
    this.#packing = packing
    this.#sid = sid
  }

  /**
   * Flattens the data of a session: every own enumerable key but `cookie`, `id` and `req`.
   *
   * @throws TooDeepError; what a getter or a `toJSON` throws
   */
  session(data: object): void {
    this.#keyed(data, 0)
  }

  #value(value: unknown, key: string | number, depth: number): void {
    if (typeof value === 'string') {
      if (value.length >= PACKED_LEAST) this.#long(value)
      else this.#text(value)
    } else if (typeof value === 'number') this.#number(value)
    else if (typeof value === 'boolean' || value === null) this.tokens.push(value)
    else if (typeof value === 'object') this.#object(value, key, depth)
    else if (typeof value === 'function') this.#other(value, key, depth)
    else if (typeof value === 'bigint') {
      this.tokens.push(special(Special.bigint))
      this.#characters(value.toString(16))
    } else this.tokens.push(value === undefined ? special(Special.undefined) : ABSENT)
  }

  #text(value: string): void {
    this.tokens.push(value.length * 4)
    this.text += value
  }

  /** A string that may be worth packing: opaque, or a signed token, which is three of them. */
  #long(value: string): void {
    if (value.includes('.')) {
      const parts = value.split('.', SIGNED_PARTS + 1)
      if (parts.length !== SIGNED_PARTS) {
        this.#text(value)
        return
      }
      this.tokens.push(special(Special.dotted), SIGNED_PARTS)
      for (const part of parts) this.#opaque(part)
    } else this.#opaque(value)
  }

  #opaque(value: string): void {
    const packed = this.#packing.add(value)
    if (packed > 0) {
      this.tokens.push(special(Special.packed), value.length)
      this.text += value.slice(packed)
    } else this.#text(value)
  }

  #number(value: number): void {
    if (!Number.isInteger(value)) this.tokens.push(value)
    else if (value > 0 && value <= MOST_NEGATED) this.tokens.push(-1 - value)
    else if (value !== 0) this.tokens.push(special(Special.number), value)
    else this.tokens.push(Object.is(value, 0) ? -1 : special(Special.negativeZero))
  }

  #object(value: object, key: string | number, depth: number): void {
    if (depth > DEEPEST) throw new TooDeepError()
    this.#expect(0)
    if (!isPlain(value)) {
      this.#other(value, key, depth)
    } else if (Array.isArray(value)) this.#array(value, depth)
    else this.#keyed(value, depth)
  }

  /** What may not be what JSON sees of it, or is of a class that JSON doesn't know. */
  #other(given: object, key: string | number, depth: number): void {
    const { tokens } = this
    const value = asJsonSees(given, String(key))
    if (typeof value !== 'object' || value === null) {
      if (value === undefined || typeof value === 'function') tokens.push(ABSENT)
      else this.#value(value, key, depth)
    } else if (Array.isArray(value)) this.#array(value, depth)
    else if (types.isDate(value)) tokens.push(special(Special.date), value.getTime())
    else if (types.isMap(value)) this.#map(value, depth)
    else if (types.isSet(value)) this.#set(value, depth)
    else if (types.isRegExp(value)) {
      tokens.push(special(Special.regexp))
      this.#characters(value.source)
      this.#characters(value.flags)
    } else if (Buffer.isBuffer(value)) {
      tokens.push(special(Special.buffer))
      this.#characters(value.toString('latin1'))
    } else if (ArrayBuffer.isView(value)) {
      this.#bytes(
        types.isDataView(value) ? 'DataView' : (value as Uint8Array)[Symbol.toStringTag],
        value,
      )
    } else if (types.isArrayBuffer(value)) this.#bytes('ArrayBuffer', value)
    else this.#keyed(value, depth)
  }

  #array(array: readonly unknown[], depth: number): void {
    const { tokens } = this
    const { length } = array
    this.#expect(length)
    tokens.push(length * 4 + Kind.array)
    for (let i = 0; i < length; i++) {
      const at = tokens.length
      const value = array[i]
      // JSON writes null for a hole, and for what it leaves out of objects.
      if (value === undefined && !(i in array)) tokens.push(null)
      else this.#value(value, i, depth + 1)
      if (tokens[at] === ABSENT) tokens[at] = null
    }
  }

  #keyed(value: object, depth: number): void {
    const { tokens } = this
    const keys = depth === 0 ? dataKeys(value) : Object.keys(value)
    const record = this.#shapes.recordOf(keys, this.#sid)
    const members = value as Readonly<Record<string, unknown>>
    if (record < 0) {
      this.#foreign(members, keys, depth)
      return
    }
    tokens.push(record * 4 + Kind.record)
    for (const key of keys) {
      const member = members[key]
      // A getter of the same object may have deleted it.
      if (member === undefined && !Object.hasOwn(value, key)) tokens.push(ABSENT)
      else this.#value(member, key, depth + 1)
    }
  }

  /**
   * What an object holds whose keys may be data: V8 finds a value again where for-in has found its key,
   * while any other look-up of one would miss its caches.
   */
  #foreign(value: Readonly<Record<string, unknown>>, keys: readonly string[], depth: number): void {
    const at = this.tokens.push(special(Special.object), 0) - 1
    let count = 0
    let next = 0
    for (const key in value) {
      // What a getter of the same object has deleted does not come; what is inherited does.
      const found = keys[next] === key ? next : keys.indexOf(key, next)
      if (found < 0) continue
      next = found + 1
      count++
      this.#characters(key)
      this.#value(value[key], key, depth + 1)
    }
    this.tokens[at] = count
  }

  #map(map: ReadonlyMap<unknown, unknown>, depth: number): void {
    const at = this.tokens.push(special(Special.map), 0) - 1
    let count = 0
    for (const [key, value] of map) {
      count++
      this.#value(key, '', depth + 1)
      this.#value(value, typeof key === 'string' ? key : '', depth + 1)
    }
    this.tokens[at] = count
  }

  #set(set: ReadonlySet<unknown>, depth: number): void {
    const at = this.tokens.push(special(Special.set), 0) - 1
    let count = 0
    for (const value of set) {
      count++
      this.#value(value, '', depth + 1)
    }
    this.tokens[at] = count
  }

  #bytes(name: string, value: ArrayBuffer | ArrayBufferView): void {
    const kind = VIEWS.findIndex((one) => one.name === name)
    const bytes = bytesOf(value)
    // Kinds that come with later versions of the language are stored as the bytes they are.
    this.tokens.push(special(Special.bytes), kind < 0 ? UINT8_ARRAY : kind)
    this.#characters(bytes.toString('latin1'))
  }

  /** There is room for so many more. */
  #expect(count: number): void {
    if (this.tokens.length + count > MOST_TOKENS) throw new TooManyError()
  }

  #characters(text: string): void {
    this.tokens.push(text.length)
    this.text += text
  }
}

const NO_BYTES = Buffer.alloc(0)

/** None where the buffer has been transferred, or has become too small for a view of it. */
function bytesOf(value: ArrayBuffer | ArrayBufferView): Buffer {
  try {
    if (!ArrayBuffer.isView(value)) return Buffer.from(value)
    return Buffer.from(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength)
  } catch {
    return NO_BYTES
  }
}
