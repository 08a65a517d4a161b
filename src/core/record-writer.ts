/**
 * Records → the payload of a frame, in the forms that the specification fixes. Pure.
 */
import { type CookieShape, impliedExpiry, shapeText } from './cookie.js'
import { type EntryFields, FRAME_TARGET, RecordKind } from './format.js'
import { isBase64url, packedBytes } from './packing.js'
import { PACKED_BYTES } from './sid-key.js'
import { readSid, sidEnd } from './sid-text.js'
import { lengthOf, type Span } from './span.js'

/** Shorter ids are not worth packing, nor can longer ones say their length in a byte. */
const PACKED_SID = { least: 16, most: 340 }

/** Gathers records into the payload of a frame. The buffer is used again after {@link reset}. */
export class RecordWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(FRAME_TARGET * 2)
  #length = 0
  #records = 0
  #cookies = new Map<CookieShape, number>()
  /** Those of the last entry or touch of this frame. */
  #expires = 0
  #stamp = 0

  /** Bytes so far. */
  get length(): number {
    return this.#length
  }

  /** Entries, touches, removals and clears so far. */
  get records(): number {
    return this.#records
  }

  /** Forgets what was gathered; the next records make a new frame. */
  reset(): void {
    this.#length = 0
    this.#records = 0
    this.#expires = this.#stamp = 0
    if (this.#cookies.size > 0) this.#cookies.clear()
    // One huge session must not pin its buffer for good.
    if (this.#buffer.length > FRAME_TARGET * 16) {
      this.#buffer = Buffer.allocUnsafeSlow(FRAME_TARGET * 2)
    }
  }

  /** The payload: a view that holds until the next call. */
  payload(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  structure(id: number, keys: readonly string[]): void {
    this.#head(3, RecordKind.structure, 0)
    this.#number(id)
    this.#room(5)
    this.#buffer[this.#length++] = 0xdc
    this.#length = this.#buffer.writeUInt16BE(keys.length, this.#length)
    for (const key of keys) this.#text(key)
  }

  needs(count: number): void {
    this.#head(2, RecordKind.needs, 0)
    this.#number(count)
  }

  /**
   * @param packed the sid, where it lies packed
   * @param cell the sid, as sid-text.ts has it, where it isn't packed, and behind it the body
   */
  entry(fields: EntryFields, packed: Span | undefined, cell: Span): void {
    const cookie = this.#cookie(fields.cookie)
    const brief = isBrief(fields)
    this.#head(brief ? 6 : 8, RecordKind.entry, PACKED_BYTES + lengthOf(cell) * 2)
    this.#fields(fields, packed, cell, cookie, brief)
    this.#body(cell.bytes, packed ? cell.start : sidEnd(cell.bytes, cell.start), cell.end)
    this.#records++
  }

  /** What {@link entry} takes; the body is left out. */
  touch(fields: EntryFields, packed: Span | undefined, cell: Span): void {
    const cookie = this.#cookie(fields.cookie)
    const brief = isBrief(fields)
    const sid = packed ? PACKED_BYTES : sidEnd(cell.bytes, cell.start) - cell.start
    this.#head(brief ? 5 : 7, RecordKind.touch, sid * 2)
    this.#fields(fields, packed, cell, cookie, brief)
    this.#records++
  }

  removal(sid: string, stamp: number, until: number): void {
    this.#head(4, RecordKind.removal, sid.length * 3)
    this.#sid(sid)
    this.#number(stamp)
    this.#number(until)
    this.#records++
  }

  clear(stamp: number): void {
    this.#head(2, RecordKind.clear, 0)
    this.#number(stamp)
    this.#records++
  }

  #cookie(shape: CookieShape | undefined): number {
    if (shape === undefined) return -1
    let id = this.#cookies.get(shape)
    if (id === undefined) {
      id = this.#cookies.size
      this.#cookies.set(shape, id)
      this.#head(3, RecordKind.cookie, 0)
      this.#number(id)
      this.#text(shapeText(shape))
    }
    return id
  }

  #fields(
    fields: EntryFields,
    packed: Span | undefined,
    cell: Span,
    cookie: number,
    brief: boolean,
  ): void {
    const { expires, stamp, used, cookieExpires } = fields
    if (packed) this.#packedSid(packed)
    else this.#sid(readSid(cell.bytes, cell.start))
    this.#past(expires, this.#expires)
    this.#past(stamp, this.#stamp)
    this.#expires = expires
    this.#stamp = stamp
    if (!brief) this.#number(used > stamp ? used - stamp : 0)
    if (cookie < 0) this.#buffer[this.#length++] = 0xc0
    else this.#number(cookie)
    if (brief) return
    if (Number.isNaN(cookieExpires)) this.#buffer[this.#length++] = 0xc0
    else this.#number(cookieExpires)
  }

  #head(fields: number, kind: number, variable: number): void {
    this.#room(variable + 64)
    this.#buffer[this.#length++] = 0x90 | fields
    this.#buffer[this.#length++] = kind
  }

  #number(value: number): void {
    if (!isCount(value) || value > 0xffffffff) this.#eight(value)
    else if (value <= 0x7f) this.#buffer[this.#length++] = value
    else {
      this.#buffer[this.#length] = 0xce
      this.#length = this.#buffer.writeUInt32BE(value, this.#length + 1)
    }
  }

  /** How far a number is past another, where that is short; else itself, in eight bytes. */
  #past(value: number, other: number): void {
    const buffer = this.#buffer
    const past = value - other
    if (past !== (past | 0) || other + past !== value || !Number.isSafeInteger(value)) {
      this.#eight(value)
    } else if (past >= -0x20 && past <= 0x7f) buffer[this.#length++] = past & 0xff
    else if (past === (past << 16) >> 16) {
      buffer[this.#length] = 0xd1
      this.#length = buffer.writeInt16BE(past, this.#length + 1)
    } else {
      buffer[this.#length] = 0xd2
      this.#length = buffer.writeInt32BE(past, this.#length + 1)
    }
  }

  #eight(value: number): void {
    const buffer = this.#buffer
    const at = this.#length
    if (isCount(value)) {
      buffer[at] = 0xcf
      buffer.writeUInt32BE(Math.floor(value / 0x100000000), at + 1)
      this.#length = buffer.writeUInt32BE(value >>> 0, at + 5)
    } else {
      buffer[at] = 0xcb
      this.#length = buffer.writeDoubleBE(value, at + 1)
    }
  }

  /** As base64url what such an id is made of, as text what is no such id. */
  #sid(sid: string): void {
    if (!isPackable(sid)) {
      this.#text(sid)
      return
    }
    this.#room(sid.length + 2)
    const bytes = packedBytes(sid.length)
    this.#buffer.write(sid, this.#length + 2, bytes, 'base64url')
    this.#packedHead(bytes)
  }

  /** The same of one that is packed: by hand, as a call of Node's would take longer. */
  #packedSid({ bytes, start }: Span): void {
    const at = this.#length + 2
    for (let i = 0; i < PACKED_BYTES; i++) this.#buffer[at + i] = bytes[start + i]!
    this.#packedHead(PACKED_BYTES)
  }

  /** Of an id whose bytes are there, or will be. */
  #packedHead(bytes: number): void {
    this.#buffer[this.#length] = 0xc4
    this.#buffer[this.#length + 1] = bytes
    this.#length += 2 + bytes
  }

  #text(text: string): void {
    this.#room(text.length * 3 + 5)
    const at = this.#length
    const header = text.length * 3 < 0x100 ? 2 : text.length * 3 < 0x10000 ? 3 : 5
    const length = this.#buffer.write(text, at + header, 'utf8')
    if (header === 2) {
      this.#buffer[at] = 0xd9
      this.#buffer[at + 1] = length
    } else if (header === 3) {
      this.#buffer[at] = 0xda
      this.#buffer.writeUInt16BE(length, at + 1)
    } else {
      this.#buffer[at] = 0xdb
      this.#buffer.writeUInt32BE(length, at + 1)
    }
    this.#length = at + header + length
  }

  #body(bytes: Buffer, start: number, end: number): void {
    const buffer = this.#buffer
    let at = this.#length
    if (end - start < 0x100) {
      buffer[at] = 0xc4
      buffer[at + 1] = end - start
      at += 2
    } else if (end - start < 0x10000) {
      buffer[at] = 0xc5
      at = buffer.writeUInt16BE(end - start, at + 1)
    } else {
      buffer[at] = 0xc6
      at = buffer.writeUInt32BE(end - start, at + 1)
    }
    this.#length = at + bytes.copy(buffer, at, start, end)
  }

  #room(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, needed))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}

/** A whole number from 0 on that is exact, and no negative zero. */
function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0)
}

/** Whether nobody has used the session, and its cookie expires with it or says no moment. */
function isBrief({ expires, stamp, used, cookie, cookieExpires }: EntryFields): boolean {
  return used <= stamp && Object.is(cookieExpires, impliedExpiry(cookie, expires))
}

function isPackable(sid: string): boolean {
  const { length } = sid
  const suits = length % 4 === 0 && length >= PACKED_SID.least && length <= PACKED_SID.most
  return suits && isBase64url(sid, length)
}
