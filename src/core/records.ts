/**
 * The payload of a frame → its records, told to a sink.
 *
 * The bytes have passed their checksum before they come here; every type and length is checked
 * all the same, and what is not the format is a MalformedError. Pure; never decodes a body.
 */
import { LATEST_DATE, LATEST_STAMP } from './clock.js'
import { type CookieShape, type CookieShapes, impliedExpiry } from './cookie.js'
import {
  emptyFields,
  type EntryRecord,
  MalformedError,
  RecordKind,
  type RecordSink,
} from './format.js'
import { type Span, spanOf } from './span.js'

/** How many fields a record of each kind has, by kind. */
const FIELDS = [0, 3, 3, 8, 7, 4, 2, 2]
/** Fewer fields of an entry or touch that is told in brief. */
const SPARED = 2

/** Reads records one payload after the other; keeps nothing between payloads. */
export class RecordReader {
  #shapes: CookieShapes
  #cookies: CookieShape[] = []
  #source: Buffer = Buffer.alloc(0)
  #position = 0
  /** Those of the last entry or touch of this frame. */
  #expires = 0
  #stamp = 0
  readonly #span: Span = spanOf(this.#source)
  readonly #entry: EntryRecord = { sid: '', ...emptyFields() }

  constructor(shapes: CookieShapes) {
    this.#shapes = shapes
  }

  /**
   * Tells the records of `payload` to `sink`, in order. Records before a malformed one have been
   * told when the MalformedError is thrown.
   */
  read(payload: Buffer, sink: RecordSink): void {
    this.#source = payload
    this.#position = 0
    this.#cookies = []
    this.#expires = this.#stamp = 0
    while (this.#position < payload.length) {
      const head = this.#byte()
      const kind = this.#byte()
      const lacking = FIELDS[kind]! - (head - 0x90)
      const brief = lacking === SPARED && isEntry(kind)
      if (kind === 0 || (lacking !== 0 && !brief)) throw this.#malformed('a record')
      switch (kind) {
        case RecordKind.structure:
          sink.structure(this.#number(), this.#keys())
          break
        case RecordKind.cookie:
          this.#defineCookie()
          break
        case RecordKind.entry:
        case RecordKind.touch:
          this.#readEntry(brief)
          sink.entry(this.#entry, kind === RecordKind.touch ? undefined : this.#body())
          break
        case RecordKind.removal:
          sink.removal(this.#sid(), this.#asStamp(this.#number()), this.#number())
          break
        case RecordKind.clear:
          sink.clear(this.#asStamp(this.#number()))
          break
        default:
          sink.needs(this.#number())
      }
    }
  }

  #readEntry(brief: boolean): void {
    const entry = this.#entry
    entry.sid = this.#sid()
    entry.expires = this.#expires = this.#past(this.#expires)
    entry.stamp = this.#stamp = this.#asStamp(this.#past(this.#stamp))
    entry.used = brief ? entry.stamp : Math.min(entry.stamp + this.#number(), LATEST_STAMP)
    if (this.#nil()) entry.cookie = undefined
    else {
      const cookie = this.#cookies[this.#number()]
      if (cookie === undefined) throw this.#malformed('a cookie defined in this frame')
      entry.cookie = cookie
    }
    if (brief) entry.cookieExpires = impliedExpiry(entry.cookie, entry.expires)
    else entry.cookieExpires = this.#nil() ? NaN : this.#number()
    if (Math.abs(entry.cookieExpires) > LATEST_DATE) throw this.#malformed('a date')
  }

  #defineCookie(): void {
    const id = this.#number()
    if (id !== this.#cookies.length) throw this.#malformed('the next cookie id')
    try {
      this.#cookies.push(this.#shapes.parse(this.#text()))
    } catch (error) {
      if (error instanceof MalformedError) throw error
      throw this.#malformed('a cookie shape')
    }
  }

  #keys(): string[] {
    if (this.#byte() !== 0xdc) throw this.#malformed('an array 16')
    const at = this.#take(2)
    const count = this.#source.readUInt16BE(at)
    const keys: string[] = []
    for (let i = 0; i < count; i++) keys.push(this.#text())
    return keys
  }

  #nil(): boolean {
    if (this.#source[this.#position] !== 0xc0) return false
    this.#position++
    return true
  }

  #byte(): number {
    const byte = this.#source[this.#position++]
    if (byte === undefined) throw this.#malformed('more bytes')
    return byte
  }

  /** A number of the kinds the writer makes; always finite. */
  #number(): number {
    const token = this.#byte()
    if (token <= 0x7f) return token
    return token === 0xce ? this.#source.readUInt32BE(this.#take(4)) : this.#eight(token)
  }

  /** A number that may be told by how far it is past another. */
  #past(other: number): number {
    const token = this.#byte()
    if (token <= 0x7f) return other + token
    // In this order: the sum is exact where the result is, while the one before it may not be.
    if (token >= 0xe0) return other + (token - 0x100)
    if (token === 0xd1) return other + this.#source.readInt16BE(this.#take(2))
    return token === 0xd2 ? other + this.#source.readInt32BE(this.#take(4)) : this.#eight(token)
  }

  #eight(token: number): number {
    const source = this.#source
    if (token === 0xcf) {
      const at = this.#take(8)
      const value = source.readUInt32BE(at) * 0x100000000 + source.readUInt32BE(at + 4)
      if (value > Number.MAX_SAFE_INTEGER) throw this.#malformed('a safe integer')
      return value
    }
    if (token === 0xcb) {
      const value = source.readDoubleBE(this.#take(8))
      if (Number.isFinite(value)) return value
    }
    throw this.#malformed('a number')
  }

  #asStamp(stamp: number): number {
    if (stamp < 0 || stamp > LATEST_STAMP) throw this.#malformed('a stamp')
    return stamp
  }

  #text(): string {
    const token = this.#byte()
    let length: number
    if (token === 0xd9) length = this.#byte()
    else if (token === 0xda) length = this.#source.readUInt16BE(this.#take(2))
    else if (token === 0xdb) length = this.#source.readUInt32BE(this.#take(4))
    else throw this.#malformed('a string')
    const at = this.#take(length)
    return this.#source.toString('utf8', at, at + length)
  }

  #sid(): string {
    if (this.#source[this.#position] !== 0xc4) return this.#text()
    this.#position++
    const length = this.#byte()
    const at = this.#take(length)
    return this.#source.toString('base64url', at, at + length)
  }

  #body(): Span {
    const token = this.#byte()
    let length: number
    if (token === 0xc4) length = this.#byte()
    else if (token === 0xc5) length = this.#source.readUInt16BE(this.#take(2))
    else if (token === 0xc6) length = this.#source.readUInt32BE(this.#take(4))
    else throw this.#malformed('a body')
    const span = this.#span
    span.bytes = this.#source
    span.start = this.#take(length)
    span.end = span.start + length
    return span
  }

  /** Moves past `length` bytes that must be there; returns where they start. */
  #take(length: number): number {
    const at = this.#position
    if (length > this.#source.length - at) throw this.#malformed(`${length} more bytes`)
    this.#position = at + length
    return at
  }

  #malformed(expected: string): MalformedError {
    return new MalformedError(`Expected ${expected} at byte ${this.#position} of a frame`)
  }
}

function isEntry(kind: number): boolean {
  return kind === RecordKind.entry || kind === RecordKind.touch
}
