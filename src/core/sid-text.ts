/**
 * A sid as bytes, as one that can't be packed lies in memory in front of its session's body.
 *
 * One byte says how many characters follow, of a byte each; two values of it announce a longer sid,
 * and one with characters that need two. As text on the heap each would cost half as much again,
 * and be one more object for the garbage collector to visit. Pure.
 */
import { WIDE } from './packing.js'

/** The longest sid that one byte tells the length of. */
const SHORT_MOST = 253
const LONG = 254
const LONG_WIDE = 255
/** Bytes before a longer sid: which kind, then how many characters. */
const LONG_HEAD = 5

/** How many bytes a sid takes. */
export function sidRoom(sid: string): number {
  if (WIDE.test(sid)) return LONG_HEAD + sid.length * 2
  return sid.length + (sid.length <= SHORT_MOST ? 1 : LONG_HEAD)
}

export function writeSid(bytes: Buffer, at: number, sid: string): void {
  const wide = WIDE.test(sid)
  if (!wide && sid.length <= SHORT_MOST) {
    bytes[at] = sid.length
    bytes.write(sid, at + 1, 'latin1')
    return
  }
  bytes[at] = wide ? LONG_WIDE : LONG
  bytes.writeUInt32LE(sid.length, at + 1)
  bytes.write(sid, at + LONG_HEAD, wide ? 'utf16le' : 'latin1')
}

export function readSid(bytes: Buffer, at: number): string {
  const head = bytes[at]!
  if (head <= SHORT_MOST) return bytes.toString('latin1', at + 1, at + 1 + head)
  const start = at + LONG_HEAD
  return bytes.toString(head === LONG ? 'latin1' : 'utf16le', start, sidEnd(bytes, at))
}

/** How many characters the sid has. */
export function sidLength(bytes: Buffer, at: number): number {
  const head = bytes[at]!
  return head <= SHORT_MOST ? head : bytes.readUInt32LE(at + 1)
}

/** Where what follows the sid begins. */
export function sidEnd(bytes: Buffer, at: number): number {
  const head = bytes[at]!
  if (head <= SHORT_MOST) return at + 1 + head
  return at + LONG_HEAD + sidLength(bytes, at) * (head === LONG ? 1 : 2)
}

/** Whether it is this sid that lies there. */
export function isSid(bytes: Buffer, at: number, sid: string): boolean {
  const head = bytes[at]!
  if (head > SHORT_MOST) return readSid(bytes, at) === sid
  if (head !== sid.length) return false
  for (let i = 0; i < head; i++) if (bytes[at + 1 + i] !== sid.charCodeAt(i)) return false
  return true
}
