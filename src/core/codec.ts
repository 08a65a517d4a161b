/**
 * A session's data ⇄ its encoded body, by msgpackr.
 *
 * In comes a session as the user left it; out goes its body, a string of one-byte characters that
 * is kept in memory and written to disk as it stands, and back. Shapes that recur are told once, in
 * a list of shared structures that only grows. Never stores `cookie`, `id` or `req`, never quotes a
 * session's contents in an error, touches no file.
 *
 * A body is one MessagePack value: the data, or, where that holds what JSON doesn't know, an array
 * with the data in it (values.ts).
 */
import { type Packer, Packr, RESET_BUFFER_MODE, REUSE_BUFFER_MODE } from './msgpack.js'
import { StoreError, withCode } from './errors.js'
import { type Shape, Shapes } from './shapes.js'
import {
  asJsonSees,
  Converter,
  DEEPEST,
  isPlainKey,
  isPlainText,
  revive,
  TooDeepError,
} from './values.js'

/** What the store needs of an encoding. */
export interface SessionCodec {
  /** Encodes the data of a session: every own enumerable key but `cookie`, `id` and `req`. */
  encode(session: object, sid?: string): string
  /** Decodes a body into a fresh plain object. */
  decode(body: string): Record<string, unknown>
  /** The shared structures in the order of their indexes; append-only. */
  readonly structures: readonly (readonly string[])[]
  /** Takes over the structures of a file, if that is possible. */
  adopt(structures: readonly (readonly string[])[]): boolean
  /** While true no structures are added but adopted ones. Default false. */
  frozen: boolean
}

/** What msgpackr keeps with each structure (its pack.js, `newRecord`). */
type Structure = string[] & { isShared?: boolean; highByte?: number }
type Structures = Structure[] & { sharedLength?: number; transitions?: unknown }

/** Fixed: whether ids have a second byte hangs on it, and bodies outlive the process. */
const MOST_STRUCTURES = 1024
/** A structure in a file may be larger than those we make, within reason. */
const MOST_KEYS = 4096
const SCRATCH = 64 * 1024
/** Characters that msgpackr puts in one bundle for certain (its pack.js, MAX_BUNDLE_SIZE). */
const BUNDLE_MOST = 0x5500
/** The first byte of a body whose data is in an array. */
const WRAPPED = 0x91
const PACK_MODE = REUSE_BUFFER_MODE | RESET_BUFFER_MODE

/** The built-in encoding. */
export class Codec implements SessionCodec {
  frozen = false
  readonly #structures: Structures = Object.assign([], { sharedLength: 0 })
  /** The same lists of keys, without what msgpackr keeps with them. */
  readonly #list: (readonly string[])[] = []
  readonly #shapes = new Shapes(() => this.#list)
  readonly #packr: Packer
  #scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH)
  /** Whether each object is written as a record, in the order that msgpackr comes to them. */
  #records: boolean[] = []
  #next = 0
  /** Characters of the strings of a session so far. */
  #characters = 0
  #sid: string | undefined
  #deepest = DEEPEST

  constructor() {
    const options = {
      structures: this.#structures,
      maxSharedStructures: MOST_STRUCTURES,
      maxOwnStructures: 0,
      useRecords: () => this.#records[this.#next++] ?? false,
      mapsAsObjects: true,
      variableMapSize: true,
      useToJSON: false,
      // Only `#append` makes structures.
      shouldShareStructure: () => false,
      // All strings of a session in one piece: one call to decode them, not one each.
      bundleStrings: true,
    }
    this.#packr = new Packr(options)
  }

  get structures(): readonly (readonly string[])[] {
    return this.#list
  }

  /**
   * Encodes the data of a session: what JSON would carry, and Date, Map, Set, RegExp, BigInt,
   * Buffer, typed arrays, ArrayBuffer, DataView, `undefined`, NaN, ±Infinity and −0 as themselves.
   *
   * @throws TypeError `ERR_SESSION_ENCODE` that names the keys leading to a cycle, or to more than
   * 500 levels; what a getter or a `toJSON` of the session throws
   * @param sid whose it is: shapes are shared that several sessions have
   */
  encode(session: object, sid?: string): string {
    this.#sid = sid
    const data = dataOf(session)
    const body = this.#pack(data, DEEPEST)
    if (body !== undefined) return body
    try {
      const converted = this.#pack([new Converter().convert(data)], DEEPEST + 2)
      if (converted !== undefined) return converted
    } catch (error) {
      throw error instanceof TooDeepError ? tooDeep(error) : error
    }
    throw encodeError('Expected a session that reads the same each time')
  }

  /** @throws StoreError `ERR_SESSION_DECODE` for a body that is not whole, or no session */
  decode(body: string): Record<string, unknown> {
    const { length } = body
    const scratch = length <= SCRATCH ? this.#scratch : Buffer.allocUnsafeSlow(length)
    scratch.write(body, 0, length, 'latin1')
    let data: unknown
    try {
      data = this.#packr.unpack(scratch, length)
      if (scratch[0] === WRAPPED) data = revive((data as unknown[])[0], 0)
    } catch {
      // The error underneath may quote the session.
      throw undecodable()
    }
    return asSession(data)
  }

  /**
   * Takes over the shared structures of a file. Returns true if from then on bodies made with
   * `structures` decode right: the list is the beginning of ours, or ours of it, which is then
   * extended. Returns false and changes nothing otherwise: another Codec can read those bodies.
   *
   * @throws StoreError `ERR_DAMAGED` for what is no list of structures
   */
  adopt(structures: readonly (readonly string[])[]): boolean {
    if (!isList(structures)) {
      throw new StoreError('ERR_DAMAGED', 'The list of shared structures is damaged')
    }
    const common = Math.min(structures.length, this.#list.length)
    for (let id = 0; id < common; id++) {
      if (!sameKeys(structures[id]!, this.#list[id]!)) return false
    }
    for (const keys of structures.slice(common)) {
      this.#append([...keys])
      this.#shapes.share(keys)
    }
    return true
  }

  /** The packed value; `undefined` where it holds what msgpackr doesn't carry. */
  #pack(value: unknown, deepest: number): string | undefined {
    // A getter may have come here while another session is being encoded.
    const outer = {
      records: this.#records,
      next: this.#next,
      characters: this.#characters,
      deepest: this.#deepest,
    }
    this.#records = []
    this.#next = 0
    this.#characters = 0
    this.#deepest = deepest
    try {
      if (!this.#carries(value, 0)) return undefined
      // Beyond this msgpackr makes several bundles, whose lengths it may get wrong.
      Object.assign(this.#packr, { bundleStrings: this.#characters <= BUNDLE_MOST })
      const target = this.#packr.pack(value, PACK_MODE) as Buffer & { start: number; end: number }
      return target.toString('latin1', target.start, target.end)
    } finally {
      this.#records = outer.records
      this.#next = outer.next
      this.#characters = outer.characters
      this.#deepest = outer.deepest
    }
  }

  /** Whether msgpackr brings a value back as it is; decides on the way what is a record. */
  #carries(value: unknown, depth: number): boolean {
    switch (typeof value) {
      case 'string':
        this.#characters += value.length
        return isPlainText(value)
      case 'number':
        return value !== 0 || 1 / value > 0
      case 'boolean':
        return true
      case 'object':
        if (value === null) return true
        break
      case 'undefined':
      case 'bigint':
      case 'function':
      case 'symbol':
        return false
    }
    if (depth > this.#deepest) return false
    // Also one that no enumeration shows; what is no function is data like any other.
    if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return false
    if (Array.isArray(value)) {
      // What msgpackr takes for an array of some class goes to extensions that the app may have.
      if (value.constructor !== Array) return false
      for (let i = 0; i < value.length; i++) {
        if (!this.#carries(value[i], depth + 1)) return false
      }
      return true
    }
    if (Object.getPrototypeOf(value) !== Object.prototype) return false
    return this.#carriesKeyed(value as Record<string, unknown>, depth)
  }

  #carriesKeyed(value: Record<string, unknown>, depth: number): boolean {
    const index = this.#records.push(false) - 1
    let shape: Shape | undefined = this.#shapes.root
    for (const key in value) {
      if (!Object.hasOwn(value, key)) continue
      this.#characters += key.length
      const known: Shape | undefined = shape?.child(key)
      if (known !== undefined) shape = known
      else if (!isPlainKey(key)) return false
      else if (shape !== undefined) {
        if (!this.frozen) this.#shapes.step(shape, key)
        shape = undefined
      }
      if (!this.#carries(value[key], depth + 1)) return false
    }
    if (shape === undefined || shape.depth === 0) return true
    if (!shape.shared && !this.frozen && this.#list.length < MOST_STRUCTURES) {
      if (shape.meet(this.#sid)) {
        this.#append(Object.keys(value))
        shape.shared = true
      }
    }
    this.#records[index] = shape.shared
    return true
  }

  /** Adds a structure to msgpackr's list, as its own code would. */
  #append(keys: Structure): void {
    // msgpackr leaves what a body defined for itself behind the list until it packs again.
    const id = this.#list.length
    this.#structures.length = id
    this.#structures[id] = keys
    keys.isShared = true
    keys.highByte = id < 32 ? -1 : (id - 32) >> 5
    this.#structures.sharedLength = this.#structures.length
    this.#list.push(Object.freeze([...keys]))
    this.#structures.transitions = null
  }
}

/** The user's own functions, in place of the built-in encoding. */
export interface Serializer {
  stringify(session: object): string
  parse(text: string): object
}

/**
 * An encoding by the user's `serializer`, which is handed the session's data without `cookie`, `id`
 * and `req`. A body is its text in UTF-8; there are no shared structures.
 */
export class SerializerCodec implements SessionCodec {
  readonly structures: readonly (readonly string[])[] = []
  frozen = false
  readonly #serializer: Serializer

  constructor(serializer: Serializer) {
    this.#serializer = serializer
  }

  /** @throws what `stringify` throws; TypeError `ERR_SESSION_ENCODE` if it returns no string */
  encode(session: object): string {
    const text: unknown = this.#serializer.stringify(dataOf(session))
    if (typeof text !== 'string') {
      throw encodeError(`Expected \`serializer.stringify\` to return a string, got ${typeof text}`)
    }
    return Buffer.from(text, 'utf8').toString('latin1')
  }

  /** @throws StoreError `ERR_SESSION_DECODE` if `parse` throws or returns no object */
  decode(body: string): Record<string, unknown> {
    let value: unknown
    try {
      value = this.#serializer.parse(Buffer.from(body, 'latin1').toString('utf8'))
    } catch {
      // The error underneath may quote the session.
      throw undecodable()
    }
    return asSession(value)
  }

  /** Bodies need no structures: true for an empty list. */
  adopt(structures: readonly (readonly string[])[]): boolean {
    return structures.length === 0
  }
}

/** What of a session is kept, in an object of its own. */
function dataOf(session: object): Record<string, unknown> {
  const seen = asJsonSees(session, '')
  if (typeof seen !== 'object' || seen === null || Array.isArray(seen)) {
    throw encodeError('Expected the session to be an object')
  }
  const data: Record<string, unknown> = {}
  for (const key of Object.keys(seen)) {
    if (key === 'cookie' || key === 'id' || key === 'req') continue
    const value = (seen as Record<string, unknown>)[key]
    if (key === '__proto__') Object.defineProperty(data, key, { ...OWN, value })
    else data[key] = value
  }
  return data
}

const OWN = { enumerable: true, configurable: true, writable: true }

function isList(structures: unknown): boolean {
  return (
    Array.isArray(structures) &&
    structures.length <= MOST_STRUCTURES &&
    structures.every(
      (keys: unknown) =>
        Array.isArray(keys) &&
        keys.length > 0 &&
        keys.length <= MOST_KEYS &&
        keys.every((key) => typeof key === 'string' && isPlainKey(key)) &&
        new Set(keys).size === keys.length,
    )
  )
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((key, index) => key === b[index])
}

function asSession(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw undecodable()
  if (Object.getPrototypeOf(value) !== Object.prototype) throw undecodable()
  return value as Record<string, unknown>
}

const SHOWN_KEYS = 12
const SHOWN_LENGTH = 40

function tooDeep({ keys, cycle }: TooDeepError): TypeError {
  const shown = keys
    .slice(0, SHOWN_KEYS)
    .map((key) => (key.length > SHOWN_LENGTH ? `${key.slice(0, SHOWN_LENGTH)}…` : key))
  const path = shown.join('.') + (keys.length > SHOWN_KEYS ? '.…' : '')
  return encodeError(
    cycle
      ? `Expected a session without cycles, got one at "${path}"`
      : `Expected a session of at most ${DEEPEST} levels, got more at "${path}"`,
  )
}

function encodeError(message: string): TypeError {
  return withCode(new TypeError(message), 'ERR_SESSION_ENCODE')
}

function undecodable(): StoreError {
  return new StoreError('ERR_SESSION_DECODE', 'The stored bytes of a session cannot be decoded')
}
