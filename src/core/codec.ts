/**
 * A session's data ⇄ its encoded body.
 *
 * In comes a session as the user left it; out goes its body, bytes that are kept in memory and
 * written to disk as they stand, and back. Shapes that recur are told once, in a list of shared
 * structures that only grows. Never stores `cookie`, `id` or `req`, never quotes a session's contents
 * in an error, touches no file.
 *
 * A body is a MessagePack number, an array of tokens packed by msgpackr, and the text (tokens.ts).
 */
import { StoreError, withCode } from './errors.js'
import { Flattening, TooDeepError, TooManyError } from './flatten.js'
import { Inflater, NoSessionError } from './inflate.js'
import { asJsonSees, explainDepth } from './json-view.js'
import {
  type Packer,
  Packr,
  RESERVE_START_SPACE,
  RESET_BUFFER_MODE,
  REUSE_BUFFER_MODE,
} from './msgpack.js'
import { Packing, WIDE } from './packing.js'
import { isStructureList, Shapes } from './shapes.js'
import { lengthOf, type Span } from './span.js'
import { DEEPEST, Mode, MOST_TOKENS, type Token } from './tokens.js'

/** What the store needs of an encoding. */
export interface SessionCodec {
  /**
   * Encodes the data of a session: every own enumerable key but `cookie`, `id` and `req`. The answer
   * holds until anything else is encoded, or packed by msgpackr.
   */
  encode(session: object, sid?: string): Span
  /** Decodes a body into a fresh plain object, with `cookie` as one more key where it is given. */
  decode(body: Span, cookie?: object): Record<string, unknown>
  /** The shared structures in the order of their indexes; append-only. */
  readonly structures: readonly (readonly string[])[]
  /** Takes over the structures of a file, from id `from` on, if that is possible. */
  adopt(structures: readonly (readonly string[])[], from?: number): boolean
  /** While true no structures are added but adopted ones. Default false. */
  frozen: boolean
}

/** Bytes of the buffer that most bodies pass through. */
const SCRATCH = 64 * 1024
/** Bytes of the longest number of a header, which has two at most. */
const NUMBER = 5
const HEADER = 2 * NUMBER
/** By {@link Mode}. */
const ENCODINGS = ['latin1', 'utf8', 'utf16le'] as const
/** UTF-16 is read several times as quickly as UTF-8, which is worth this much more memory. */
const UTF16_MOST = 1.25
/**
 * So many characters of a text tell well enough how long it is in UTF-8; to count all takes longer
 * than to write them.
 */
const SAMPLE = 64
/** Leaves room for the header in front. */
const PACK_MODE = REUSE_BUFFER_MODE | RESET_BUFFER_MODE | RESERVE_START_SPACE | HEADER

/** The built-in encoding. */
export class Codec implements SessionCodec {
  readonly #shapes = new Shapes()
  readonly #inflater = new Inflater(this.#shapes)
  readonly #packr: Packer = new Packr({ useRecords: false })
  readonly #scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH)
  /** The body that was made last. */
  readonly #packed: Span = { bytes: this.#scratch, start: 0, end: 0 }
  /** `undefined` while an encode is under way: a session's own code may begin another. */
  #packing: Packing | undefined

  get frozen(): boolean {
    return this.#shapes.frozen
  }

  set frozen(frozen: boolean) {
    this.#shapes.frozen = frozen
  }

  get structures(): readonly (readonly string[])[] {
    return this.#shapes.list
  }

  /**
   * Encodes the data of a session: what JSON would carry, and Date, Map, Set, RegExp, BigInt,
   * Buffer, typed arrays, ArrayBuffer, DataView, `undefined`, NaN, ±Infinity and −0 as themselves.
   *
   * @throws TypeError `ERR_SESSION_ENCODE` that names the keys leading to a cycle, or to more than
   * 500 levels, or for more than 16,777,216 values; what a getter or a `toJSON` of the session throws
   * @param sid whose it is: shapes are shared that several sessions have
   */
  encode(session: object, sid?: string): Span {
    const data = sessionSeen(session)
    const packing = this.#packing ?? new Packing()
    this.#packing = undefined
    packing.reset()
    const flat = new Flattening(this.#shapes, sid, packing)
    try {
      flat.session(data)
    } catch (error) {
      if (error instanceof TooDeepError) throw tooDeep(data)
      throw error instanceof TooManyError ? tooMany() : error
    } finally {
      this.#packing = packing
    }
    return this.#pack(flat.tokens, packing.packed, flat.text)
  }

  /** @throws StoreError `ERR_SESSION_DECODE` for a body that is not whole, or no session */
  decode(body: Span, cookie?: object): Record<string, unknown> {
    try {
      return this.#unpack(body, cookie)
    } catch {
      // The error underneath may quote the session.
      throw undecodable()
    }
  }

  /**
   * Takes over the shared structures of a file. Returns true if from then on bodies made with
   * `structures` decode right: they are part of our list, or go on where ours ends, which is then
   * extended. Returns false and changes nothing otherwise: another Codec can read those bodies.
   *
   * @param from the id of the first of them; default 0
   * @throws StoreError `ERR_DAMAGED` for what is no list of structures
   */
  adopt(structures: readonly (readonly string[])[], from = 0): boolean {
    if (!isStructureList(structures, from)) {
      throw new StoreError('ERR_DAMAGED', 'The list of shared structures is damaged')
    }
    return this.#shapes.adopt(structures, from)
  }

  #pack(list: readonly Token[], packed: Span, text: string): Span {
    const target = this.#packr.pack(list, PACK_MODE) as Buffer & { start: number; end: number }
    const wide = WIDE.test(text)
    const mode = wide ? wideMode(text) : Mode.latin1
    const span = this.#packed
    span.bytes = target
    span.start = target.start + HEADER
    span.end = target.end
    const length = lengthOf(span)
    const packedLength = lengthOf(packed)
    this.#makeRoom(packedLength + text.length * (wide ? 3 : 1))
    const { bytes } = span
    if (packedLength > 0) {
      span.end += packed.bytes.copy(bytes, span.end, packed.start, packed.end)
      span.start = writeBefore(bytes, span.start, packedLength * 4 + mode)
    }
    span.start = writeBefore(
      bytes,
      span.start,
      length * 4 + (packedLength > 0 ? Mode.packed : mode),
    )
    if (text !== '') span.end += bytes.write(text, span.end, ENCODINGS[mode])
    return span
  }

  /**
   * Sees to it that there is so much room behind the tokens: in msgpackr's buffer, where nothing
   * stands behind what was packed last, or in another one that they are moved to.
   */
  #makeRoom(room: number): void {
    const span = this.#packed
    if (span.end + room <= span.bytes.length) return
    const all = HEADER + lengthOf(span) + room
    const target = all <= SCRATCH ? this.#scratch : Buffer.allocUnsafeSlow(all)
    span.end = HEADER + span.bytes.copy(target, HEADER, span.start, span.end)
    span.bytes = target
    span.start = HEADER
  }

  #unpack({ bytes, start: from, end: stop }: Span, cookie?: object): Record<string, unknown> {
    let header = numberAt(bytes, from)
    let start = from + numberSize(bytes, from)
    const length = header >>> 2
    let packed = 0
    if ((header & 3) === Mode.packed) {
      header = numberAt(bytes, start)
      start += numberSize(bytes, start)
      packed = header >>> 2
    }
    const encoding = ENCODINGS[header & 3]
    const end = start + length
    const textAt = end + packed
    if (encoding === undefined || length === 0 || textAt > stop) throw new NoSessionError()
    if (encoding === 'utf16le' && (stop - textAt) % 2 !== 0) throw new NoSessionError()
    const text = bytes.toString(encoding, textAt, stop)
    // What a decoder puts in the place of bytes that are no text may be in the text itself.
    if (encoding === 'utf8' && text.includes('\ufffd')) {
      if (!Buffer.from(text).equals(bytes.subarray(textAt, stop))) throw new NoSessionError()
    }
    const opaque = packed === 0 ? '' : bytes.toString('base64url', end, textAt)
    return this.#inflater.session({ bytes, start, end }, text, opaque, cookie)
  }
}

/** How text stands in a body that latin1 has not all the characters of, by a sample of these. */
function wideMode(text: string): number {
  const step = Math.ceil(text.length / SAMPLE)
  let characters = 0
  let bytes = 0
  for (let at = 0; at < text.length; at += step) {
    const code = text.charCodeAt(at)
    characters++
    // Two of surrogates make four bytes.
    bytes += code < 0x80 ? 1 : code < 0x800 || (code & 0xf800) === 0xd800 ? 2 : 3
  }
  const worth = characters * 2 <= bytes * UTF16_MOST
  return worth || !text.isWellFormed() ? Mode.utf16 : Mode.utf8
}

/** Writes a number so that it ends at `end`. @returns where it starts */
function writeBefore(target: Buffer, end: number, number: number): number {
  if (number <= 0x7f) {
    target[end - 1] = number
    return end - 1
  }
  if (number <= 0xff) {
    target[end - 2] = 0xcc
    target[end - 1] = number
    return end - 2
  }
  if (number <= 0xffff) {
    target[end - 3] = 0xcd
    target.writeUInt16BE(number, end - 2)
    return end - 3
  }
  target[end - 5] = 0xce
  target.writeUInt32BE(number, end - 4)
  return end - 5
}

/** A number of a header; 0 where there is none. */
function numberAt(bytes: Buffer, at: number): number {
  const first = bytes[at]!
  if (first <= 0x7f) return first
  if (first === 0xcc) return bytes[at + 1]!
  if (first === 0xcd) return bytes.readUInt16BE(at + 1)
  return first === 0xce ? bytes.readUInt32BE(at + 1) : 0
}

function numberSize(bytes: Buffer, at: number): number {
  const first = bytes[at]!
  return first === 0xcd ? 3 : first === 0xcc ? 2 : first === 0xce ? NUMBER : 1
}

/** The session as JSON sees it. @throws TypeError `ERR_SESSION_ENCODE` where that is no object */
export function sessionSeen(session: object): object {
  const seen = asJsonSees(session, '')
  if (typeof seen !== 'object' || seen === null || Array.isArray(seen)) {
    throw encodeError('Expected the session to be an object')
  }
  return seen
}

const SHOWN_KEYS = 12
const SHOWN_LENGTH = 40

function tooDeep(data: object): TypeError {
  const { keys, cycle } = explainDepth(data)
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

function tooMany(): TypeError {
  return encodeError(`Expected a session of at most ${MOST_TOKENS} values, got more`)
}

export function encodeError(message: string): TypeError {
  return withCode(new TypeError(message), 'ERR_SESSION_ENCODE')
}

export function undecodable(): StoreError {
  return new StoreError('ERR_SESSION_DECODE', 'The stored bytes of a session cannot be decoded')
}
