/**
 * The small change of the body's format, used by `pack.ts` and `unpack.ts` alike.
 *
 * In come numbers and strings, out go the characters that stand for their bytes: MessagePack's
 * tokens and lengths, and the numbers of the types that MessagePack leaves to the user, which are
 * those of msgpackr (`MAP` and `WIDE` are ours). Nothing here knows what a session is.
 */

/** Types with one value behind them. */
export const UNDEFINED = 0
export const MAP = 0x6d
export const SET = 0x73
export const REGEXP = 0x78
/** Types that are a run of bytes. */
export const BIGINT = 0x42
export const TYPED = 0x74
export const TIMESTAMP = 0xff
/** A string in UTF-16LE. */
export const WIDE = 0x77

/** Up to this length a string is gone through here rather than natively. */
const SHORT = 16

/** What doesn't stand in a string as it is. */
export const BEYOND_BYTE = /[^\0-\xff]/

/** What a run of bytes is: an index into this list, or one of the two numbers below. */
export const TYPED_ARRAYS: readonly string[] = [
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Float16Array',
]
export const ARRAY_BUFFER = 0x10
export const DATA_VIEW = 0x11

/** The character for each byte. */
export const CHARS: readonly string[] = Array.from({ length: 256 }, (_, code) =>
  String.fromCharCode(code),
)

const INTEGERS = CHARS.map((char, value) => (value < 0x40 ? char : '\xcc' + char))
const STRING_HEADS = CHARS.map((char, length) =>
  length < 32 ? String.fromCharCode(0xa0 + length) : '\xd9' + char,
)

const floatView = new DataView(new ArrayBuffer(8))

export function uint16(value: number): string {
  return String.fromCharCode(value >> 8, value & 0xff)
}

export function uint32(value: number): string {
  return String.fromCharCode(value >>> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff)
}

export function packString(value: string): string {
  const { length } = value
  const head = STRING_HEADS[length]
  if (head !== undefined) return head + value
  return (length < 0x10000 ? '\xda' + uint16(length) : '\xdb' + uint32(length)) + value
}

/** A string with characters beyond a byte. */
export function packWide(value: string): string {
  if (value.length <= SHORT) {
    let units = ''
    for (let index = 0; index < value.length; index++) {
      const unit = value.charCodeAt(index)
      units += (CHARS[unit & 0xff] ?? '') + (CHARS[unit >> 8] ?? '')
    }
    return extensionHead(value.length * 2, WIDE) + units
  }
  return extensionHead(value.length * 2, WIDE) + Buffer.from(value, 'utf16le').toString('latin1')
}

export function packNumber(value: number): string {
  if (value >>> 0 === value && (value !== 0 || 1 / value > 0)) {
    if (value < 0x100) return INTEGERS[value] ?? ''
    return value < 0x10000 ? '\xcd' + uint16(value) : '\xce' + uint32(value)
  }
  if ((value | 0) === value && value !== 0) {
    if (value >= -0x20) return CHARS[0x100 + value] ?? ''
    if (value >= -0x80) return '\xd0' + (CHARS[0x100 + value] ?? '')
    return value >= -0x8000 ? '\xd1' + uint16(value & 0xffff) : '\xd2' + uint32(value)
  }
  floatView.setFloat64(0, value)
  const high = floatView.getUint32(0)
  const low = floatView.getUint32(4)
  return String.fromCharCode(
    0xcb,
    high >>> 24,
    (high >> 16) & 0xff,
    (high >> 8) & 0xff,
    high & 0xff,
    low >>> 24,
    (low >> 16) & 0xff,
    (low >> 8) & 0xff,
    low & 0xff,
  )
}

export function packBigInt(value: bigint): string {
  if (BigInt.asIntN(64, value) === value) return '\xd3' + bytes(hex(BigInt.asUintN(64, value), 8))
  if (BigInt.asUintN(64, value) === value) return '\xcf' + bytes(hex(value, 8))
  // Two's complement, in as many whole bytes as hold the sign too.
  const size = Math.ceil(((value < 0n ? ~value : value).toString(16).length + 1) / 2)
  return extensionHead(size, BIGINT) + bytes(hex(BigInt.asUintN(size * 8, value), size))
}

function hex(value: bigint, size: number): Buffer {
  return Buffer.from(value.toString(16).padStart(size * 2, '0'), 'hex')
}

/** The bytes as characters. */
export function bytes(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1')
}

export function arrayHead(length: number): string {
  if (length < 16) return CHARS[0x90 + length] ?? ''
  return length < 0x10000 ? '\xdc' + uint16(length) : '\xdd' + uint32(length)
}

export function mapHead(size: number): string {
  if (size < 16) return CHARS[0x80 + size] ?? ''
  return size < 0x10000 ? '\xde' + uint16(size) : '\xdf' + uint32(size)
}

/** The head of a Buffer's bytes. */
export function bufferHead(length: number): string {
  if (length < 0x100) return '\xc4' + (CHARS[length] ?? '')
  return length < 0x10000 ? '\xc5' + uint16(length) : '\xc6' + uint32(length)
}

/** The head of a run of bytes that has a type. */
export function extensionHead(length: number, type: number): string {
  const tail = CHARS[type] ?? ''
  if (length === 4) return '\xd6' + tail
  if (length === 8) return '\xd7' + tail
  if (length < 0x100) return '\xc7' + (CHARS[length] ?? '') + tail
  return (length < 0x10000 ? '\xc8' + uint16(length) : '\xc9' + uint32(length)) + tail
}

/** The head of a type with one value behind it. */
export function tagHead(type: number): string {
  return '\xd4' + (CHARS[type] ?? '') + '\0'
}

/** A Date's time as MessagePack's timestamp, in the shortest of its forms that holds it. */
export function packDate(time: number): string {
  if (Number.isNaN(time)) return '\xd4\xff\xff'
  const seconds = Math.floor(time / 1000)
  const milliseconds = time - seconds * 1000
  if (seconds < 0 || seconds > 0xffffffff) {
    const high = Math.floor(seconds / 2 ** 32)
    return (
      extensionHead(12, TIMESTAMP) + uint32(milliseconds * 1e6) + uint32(high) + uint32(seconds)
    )
  }
  if (milliseconds === 0) return extensionHead(4, TIMESTAMP) + uint32(seconds)
  return extensionHead(8, TIMESTAMP) + uint32(milliseconds * 4e6) + uint32(seconds)
}
