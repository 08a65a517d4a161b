/**
 * Record ⇄ frame: the bytes of every file this package writes. Pure; no I/O, no clock.
 * docs/format.md is the same specification with examples.
 *
 * A file is a MessagePack sequence of frames. A frame is
 *
 *     [kind, sequence, checksum, payload]     94 kk  ce ssssssss  ce cccccccc  c6 llllllll …
 *
 * always in exactly these widths (17 bytes, then the payload as bin 32). kind: 0 header, 1 records,
 * 2 footer, 3 removals (records, of which all are removals or clears). sequence counts the frames
 * of the file from 0. checksum is the CRC-32 of the file's 16-byte id, then of kind, sequence and
 * length as written, then of the payload; in the header's own frame the id counts as nothing.
 * A payload of records is itself a MessagePack sequence of records:
 *
 *     [1, id, [key, …]]                                          a structure that bodies refer to
 *     [2, id, text]                                              a cookie shape, valid in this frame
 *     [3, sid, expires, stamp, used, cookie, cookieExpires, body]  an entry
 *     [4, sid, expires, stamp, used, cookie, cookieExpires]        a touch: all but the body
 *     [5, sid, stamp, until]                                     a removal
 *     [6, stamp]                                                 a clear: all up to that stamp
 *     [7, count]                                                 bodies of this frame refer to no
 *                                                                structure from this id on
 *
 * Times are epoch milliseconds. A stamp orders changes and is not a time. `used` is how far the
 * last use is past the stamp. cookie is the id of a cookie shape or nil. Of two records of one
 * session the one with the higher stamp holds, wherever they stand.
 */
import { crc32 } from 'node:zlib'
import type { CookieShape } from './cookie.js'
import type { Span } from './span.js'

export const FRAME_HEADER = 17
/** Records are gathered up to about this many bytes before a frame is closed. */
export const FRAME_TARGET = 64 * 1024
/** Length of the id that every file gets at random. */
export const FILE_ID_LENGTH = 16

export const FrameKind = { header: 0, records: 1, footer: 2, removals: 3 } as const
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind]

/** The first field of a record. */
export const RecordKind = {
  structure: 1,
  cookie: 2,
  entry: 3,
  touch: 4,
  removal: 5,
  clear: 6,
  needs: 7,
} as const

/** What a reader of records is told, in the order of the file. */
export interface RecordSink {
  structure(id: number, keys: string[]): void
  /** How many structures must be known to decode the bodies that follow in this frame. */
  needs(count: number): void
  /** `body` is undefined for a touch. */
  entry(record: EntryRecord, body: Span | undefined): void
  removal(sid: string, stamp: number, until: number): void
  clear(stamp: number): void
}

/** An entry without its body. One object is used again for every record of a frame. */
export interface EntryRecord {
  sid: string
  expires: number
  stamp: number
  used: number
  cookie: CookieShape | undefined
  /** NaN where the cookie names no moment. */
  cookieExpires: number
}

/** Bytes that pass their checksum and still are not what the format says. */
export class MalformedError extends Error {}

/** Continues a CRC-32 over a frame's prefix and payload. */
export function frameChecksum(idChecksum: number, prefix: Uint8Array, payload: Uint8Array): number {
  let crc = crc32(prefix.subarray(1, 7), idChecksum)
  crc = crc32(prefix.subarray(12, FRAME_HEADER), crc)
  return crc32(payload, crc)
}

/** Writes the 17 bytes before a payload. */
function writeFrameHeader(
  target: Buffer,
  at: number,
  kind: FrameKind,
  sequence: number,
  idChecksum: number,
  payload: Uint8Array,
): void {
  target[at] = 0x94
  target[at + 1] = kind
  target[at + 2] = 0xce
  target.writeUInt32BE(sequence, at + 3)
  target[at + 7] = 0xce
  target[at + 12] = 0xc6
  target.writeUInt32BE(payload.length, at + 13)
  const checksum = frameChecksum(idChecksum, target.subarray(at, at + FRAME_HEADER), payload)
  target.writeUInt32BE(checksum, at + 8)
}

/** One whole frame, in `room` if it fits there and in a buffer of its own otherwise. */
export function makeFrame(
  kind: FrameKind,
  sequence: number,
  idChecksum: number,
  payload: Uint8Array,
  room?: Buffer,
): Buffer {
  const length = FRAME_HEADER + payload.length
  const frame =
    room && length <= room.length ? room.subarray(0, length) : Buffer.allocUnsafe(length)
  frame.set(payload, FRAME_HEADER)
  writeFrameHeader(frame, 0, kind, sequence, idChecksum, frame.subarray(FRAME_HEADER))
  return frame
}

/** The head of a frame as found; `undefined` where these are not the fixed bytes of one. */
export function parseFrameHeader(
  source: Buffer,
  at: number,
): { kind: FrameKind; sequence: number; checksum: number; length: number } | undefined {
  const kind = source[at + 1]
  if (
    source[at] !== 0x94 ||
    kind === undefined ||
    kind > 3 ||
    source[at + 2] !== 0xce ||
    source[at + 7] !== 0xce ||
    source[at + 12] !== 0xc6
  ) {
    return undefined
  }
  return {
    kind: kind as FrameKind,
    sequence: source.readUInt32BE(at + 3),
    checksum: source.readUInt32BE(at + 8),
    length: source.readUInt32BE(at + 13),
  }
}

/** Gathers records into the payload of a frame. The buffer is used again after {@link reset}. */
export class RecordWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(FRAME_TARGET * 2)
  #length = 0
  #records = 0
  #cookies = new Map<CookieShape, number>()

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

  entry(record: EntryRecord, body: Span): void {
    const cookie = this.#cookie(record.cookie)
    this.#head(8, RecordKind.entry, record.sid.length * 3 + body.end - body.start)
    this.#fields(record, cookie)
    this.#body(body)
    this.#records++
  }

  touch(record: EntryRecord): void {
    const cookie = this.#cookie(record.cookie)
    this.#head(7, RecordKind.touch, record.sid.length * 3)
    this.#fields(record, cookie)
    this.#records++
  }

  removal(sid: string, stamp: number, until: number): void {
    this.#head(4, RecordKind.removal, sid.length * 3)
    this.#text(sid)
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
      this.#text(shape.text)
    }
    return id
  }

  #fields(record: EntryRecord, cookie: number): void {
    this.#text(record.sid)
    this.#number(record.expires)
    this.#number(record.stamp)
    this.#number(record.used > record.stamp ? record.used - record.stamp : 0)
    if (cookie < 0) this.#buffer[this.#length++] = 0xc0
    else this.#number(cookie)
    if (Number.isNaN(record.cookieExpires)) this.#buffer[this.#length++] = 0xc0
    else this.#number(record.cookieExpires)
  }

  #head(fields: number, kind: number, variable: number): void {
    this.#room(variable + 64)
    this.#buffer[this.#length++] = 0x90 | fields
    this.#buffer[this.#length++] = kind
  }

  #number(value: number): void {
    const buffer = this.#buffer
    const at = this.#length
    if (value >= 0 && value <= 0x7f && Number.isInteger(value) && !Object.is(value, -0)) {
      buffer[at] = value
      this.#length = at + 1
    } else if (value >= 0 && value <= Number.MAX_SAFE_INTEGER && Number.isInteger(value)) {
      if (value <= 0xffffffff) {
        buffer[at] = 0xce
        buffer.writeUInt32BE(value, at + 1)
        this.#length = at + 5
      } else {
        buffer[at] = 0xcf
        buffer.writeUInt32BE(Math.floor(value / 0x100000000), at + 1)
        buffer.writeUInt32BE(value >>> 0, at + 5)
        this.#length = at + 9
      }
    } else {
      buffer[at] = 0xcb
      buffer.writeDoubleBE(value, at + 1)
      this.#length = at + 9
    }
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

  #body({ bytes, start, end }: Span): void {
    const buffer = this.#buffer
    let at = this.#length
    if (end - start < 0x10000) {
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
