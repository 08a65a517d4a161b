/**
 * A session's data ⇄ its encoded body.
 *
 * In comes a session as the user left it; out goes its body, a string of one-byte characters that
 * is kept in memory and written to disk as it stands, and back. Shapes that recur are told once, in
 * a list of shared structures that a body needs for decoding; the list only grows. What an object
 * means as data is decided in `data.ts`, the bytes in `pack.ts` and `unpack.ts`. Never stores
 * `cookie`, `id` or `req`, never quotes a session's contents in an error, touches no file.
 *
 * A body is MessagePack as msgpackr writes it, but for strings: those whose characters all fit a
 * byte stand in it in Latin-1, so that they are cut out and not decoded; others have a type of
 * their own (`tokens.ts`), as Map has.
 */

import { makeRecordReader, makeRecordWriter } from './compiled.js'
import { findPit, isPlain, isReserved, MAX_DEPTH, visible } from './data.js'
import { StoreError, withCode } from './errors.js'
import { packField, packSession, TOO_DEEP } from './pack.js'
import { Shapes } from './shapes.js'
import { BEYOND_BYTE } from './tokens.js'
import { read, unpack } from './unpack.js'

/** What the store needs of an encoding. */
export interface SessionCodec {
  /** Encodes the data of a session: every own enumerable key but `cookie`, `id` and `req`. */
  encode(session: object): string
  /** Decodes a body into a fresh plain object. */
  decode(body: string): Record<string, unknown>
  /** Decodes the body that lies in `buffer` from `start` to before `end`. */
  decodeBytes(buffer: Uint8Array, start: number, end: number): Record<string, unknown>
  /** The shared structures in the order of their indexes; append-only. */
  readonly structures: readonly (readonly string[])[]
  /** Takes over the structures of a file, if that is possible. */
  adopt(structures: readonly (readonly string[])[]): boolean
  /** While true no structures are added but adopted ones. Default false. */
  frozen: boolean
}

export interface CodecOptions {
  /** How many structures are made at most, 0 to 8224. Default 1024. */
  maxStructures?: number
}

const DEFAULT_MAX_STRUCTURES = 1024
/** For how many sessions strings are looked at one by one after one of them went beyond a byte. */
const CAREFUL_FOR = 64
/** The engine joins strings by copying them below this length, by reference from it on. */
const JOINED_FROM = 13

// Characters go through here to become a string of their own, without the parts it was built from.
const scratch = Buffer.allocUnsafeSlow(16384)

/** The built-in encoding. */
export class Codec implements SessionCodec {
  readonly #shapes: Shapes
  #careful = 0

  constructor(options: CodecOptions = {}) {
    this.#shapes = new Shapes(options.maxStructures ?? DEFAULT_MAX_STRUCTURES, {
      reader: (keys) => makeRecordReader(keys, read),
      writer: (keys, token) => makeRecordWriter(keys, token, packField),
    })
  }

  get structures(): readonly (readonly string[])[] {
    return this.#shapes.structures
  }

  get frozen(): boolean {
    return this.#shapes.frozen
  }

  set frozen(frozen: boolean) {
    this.#shapes.frozen = frozen
  }

  /**
   * Encodes the data of a session: what JSON would carry, and Date, Map, Set, RegExp, BigInt,
   * Buffer, typed arrays, ArrayBuffer, DataView, `undefined`, NaN, ±Infinity and −0 as themselves.
   * Throws a TypeError `ERR_SESSION_ENCODE` that names the keys leading to a cycle or to more than
   * 500 levels; what a getter or `toJSON` of the session throws is thrown on.
   */
  encode(session: object): string {
    let data: unknown = session
    try {
      data = visible(session, '')
      return this.#pack(asObject(data))
    } catch (error) {
      if (error === TOO_DEEP) throw tooDeep(asObject(data))
      throw error
    }
  }

  #pack(data: object): string {
    if (this.#careful === 0) {
      const { text } = packSession(data, this.#shapes, false)
      if (text.length < JOINED_FROM && !BEYOND_BYTE.test(text)) return text
      const body = flat(text)
      if (body === text) return body
      // What was packed is packed once more, so that the session is not asked twice.
      data = unpack(text, this.#shapes.readers, true) as object
    }
    const { text, wide } = packSession(data, this.#shapes, true)
    this.#careful = wide ? CAREFUL_FOR : this.#careful - 1
    return flat(text)
  }

  /** Throws a StoreError `ERR_SESSION_DECODE` for a body that isn't whole or is of other structures. */
  decode(body: string): Record<string, unknown> {
    let value: unknown
    try {
      value = unpack(body, this.#shapes.readers)
    } catch {
      // The error underneath may quote the session.
      throw undecodable()
    }
    const session = asSession(value)
    if (!isPlain(session)) throw undecodable()
    return session
  }

  /** See {@link decode}; the bytes are not kept. */
  decodeBytes(buffer: Uint8Array, start: number, end: number): Record<string, unknown> {
    return this.decode(latin1(buffer.subarray(start, end)))
  }

  /**
   * Takes over the shared structures of a file. Returns true if from then on bodies made with
   * `structures` decode right: the list is the beginning of ours, or ours of it, which is then
   * extended. Returns false and changes nothing otherwise: another Codec can read those bodies.
   * Throws a StoreError `ERR_DAMAGED` for what is no list of structures.
   */
  adopt(structures: readonly (readonly string[])[]): boolean {
    return this.#shapes.adopt(structures)
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

  /** Throws what `stringify` throws, and a TypeError `ERR_SESSION_ENCODE` if it returns no string. */
  encode(session: object): string {
    const data = Object.entries(asObject(visible(session, '')))
    const text: unknown = this.#serializer.stringify(
      Object.fromEntries(data.filter(([key]) => !isReserved(key))),
    )
    if (typeof text !== 'string') {
      throw encodeError(`Expected \`serializer.stringify\` to return a string, got ${typeof text}`)
    }
    return latin1(Buffer.from(text, 'utf8'))
  }

  /** Throws a StoreError `ERR_SESSION_DECODE` if `parse` throws or returns no object. */
  decode(body: string): Record<string, unknown> {
    return this.#parse(Buffer.from(body, 'latin1').toString('utf8'))
  }

  decodeBytes(buffer: Uint8Array, start: number, end: number): Record<string, unknown> {
    const { buffer: memory, byteOffset } = buffer.subarray(start, end)
    return this.#parse(Buffer.from(memory, byteOffset, end - start).toString('utf8'))
  }

  /** Bodies need no structures: true for an empty list. */
  adopt(structures: readonly (readonly string[])[]): boolean {
    return structures.length === 0
  }

  #parse(text: string): Record<string, unknown> {
    let value: unknown
    try {
      value = this.#serializer.parse(text)
    } catch {
      // The error underneath may quote the session.
      throw undecodable()
    }
    return asSession(value)
  }
}

/**
 * The low bytes of the text's characters, as a string without the parts it was built from: equal to
 * the text if none of them goes beyond a byte.
 */
function flat(text: string): string {
  const bytes = text.length > scratch.length ? Buffer.allocUnsafeSlow(text.length) : scratch
  return bytes.toString('latin1', 0, bytes.write(text, 0, 'latin1'))
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

function asObject(data: unknown): object {
  if (typeof data === 'object' && data !== null) return data
  throw encodeError('Expected the session to be an object')
}

function asSession(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw undecodable()
  return value as Record<string, unknown>
}

function tooDeep(data: object): TypeError {
  const pit = findPit(data)
  return encodeError(
    pit?.cycle
      ? `Expected a session without cycles, got one at "${pit.path}"`
      : `Expected a session of at most ${MAX_DEPTH} levels, got more at "${pit?.path ?? ''}"`,
  )
}

function encodeError(message: string): TypeError {
  return withCode(new TypeError(message), 'ERR_SESSION_ENCODE')
}

function undecodable(): StoreError {
  return new StoreError('ERR_SESSION_DECODE', 'The stored bytes of a session cannot be decoded')
}
