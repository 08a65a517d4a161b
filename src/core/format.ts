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
 *     [3, sid, expires, stamp, cookie, body]                     in brief: `used` is 0 and
 *                                                                cookieExpires is implied
 *     [4, sid, expires, stamp, used, cookie, cookieExpires]        a touch: all but the body
 *     [4, sid, expires, stamp, cookie]                           in brief, likewise
 *     [5, sid, stamp, until]                                     a removal
 *     [6, stamp]                                                 a clear: all up to that stamp
 *     [7, count]                                                 bodies of this frame refer to no
 *                                                                structure from this id on
 *
 * Times are epoch milliseconds; expires and stamp are deltas to those of the record before. A stamp
 * orders changes and is not a time. `used` is how far the last use is past the stamp. cookie is the
 * id of a cookie shape or nil. Of two records of one session the one with the higher stamp holds,
 * wherever they stand.
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

/** What a record says of an entry beside its sid and its body. */
export interface EntryFields {
  expires: number
  stamp: number
  used: number
  cookie: CookieShape | undefined
  /** NaN where the cookie names no moment. */
  cookieExpires: number
}

/** An entry without its body. One object is used again for every record of a frame. */
export interface EntryRecord extends EntryFields {
  sid: string
}

/** What entries are read into, one after the other. */
export function emptyFields(): EntryFields {
  return { expires: 0, stamp: 0, used: 0, cookie: undefined, cookieExpires: NaN }
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
