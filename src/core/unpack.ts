/**
 * Text of a body → the values in it.
 *
 * In comes what `pack` made, or any other characters; out goes a fresh value, or an error. The
 * tokens are MessagePack's (see `pack.ts`). A length is never trusted: nothing larger than what is
 * left of the text is ever allocated for it, and a record without its structure is an error.
 * Never runs foreign code, never shares memory with the text except that of its strings, never
 * sets a prototype.
 */

import { types } from 'node:util'
import type { RecordReader } from './compiled.js'
import * as tokens from './tokens.js'

/** Beyond this size a string is copied out of the text instead of keeping all of it alive. */
const SHARED_TEXT = 4096
const EAGER_ARRAY = 16
/** Up to this many bytes a wide string is gone through here rather than natively. */
const SHORT_WIDE = 32

// One text at a time: reading calls nothing that could start another.
let text = ''
let at = 0
let copies: Buffer | undefined
let readers: readonly RecordReader[] = []

const floatBytes = new Uint8Array(8)
const floatView = new DataView(floatBytes.buffer)

/**
 * Reads the one value that `source` holds. Throws a plain Error or RangeError if it doesn't.
 * `transient`: the strings in the value are not kept for long.
 */
export function unpack(
  source: string,
  recordReaders: readonly RecordReader[],
  transient = false,
): unknown {
  text = source
  at = 0
  readers = recordReaders
  try {
    if (source.length > SHARED_TEXT && !transient) copies = Buffer.from(source, 'latin1')
    const value = read()
    if (at !== source.length) throw malformed()
    return value
  } finally {
    text = ''
    copies = undefined
  }
}

function malformed(): Error {
  return new Error('Malformed body')
}

/** The value at the point that reading has reached. */
export function read(): unknown {
  const token = text.charCodeAt(at++)
  if (token < 0x80) {
    if (token < 0x40) return token
    const reader = readers[token < 0x60 ? token & 0x1f : (token & 0x1f) + 32 + 32 * uint(1)]
    if (reader === undefined) throw malformed()
    return reader()
  }
  if (token < 0xc0) {
    if (token >= 0xa0) return string(token - 0xa0)
    return token < 0x90 ? map(token - 0x80) : array(token - 0x90)
  }
  if (token >= 0xe0) return token < 0x100 ? token - 0x100 : fail()
  switch (token) {
    case 0xc0:
      return null
    case 0xc2:
      return false
    case 0xc3:
      return true
    case 0xc4:
      return buffer(uint(1))
    case 0xc5:
      return buffer(uint(2))
    case 0xc6:
      return buffer(uint(4))
    case 0xc7:
      return extension(uint(1))
    case 0xc8:
      return extension(uint(2))
    case 0xc9:
      return extension(uint(4))
    case 0xcb:
      return float()
    case 0xcc:
      return uint(1)
    case 0xcd:
      return uint(2)
    case 0xce:
      return uint(4)
    case 0xcf:
      return view(8).getBigUint64(0)
    case 0xd0:
      return (uint(1) << 24) >> 24
    case 0xd1:
      return (uint(2) << 16) >> 16
    case 0xd2:
      return uint(4) | 0
    case 0xd3:
      return view(8).getBigInt64(0)
    case 0xd4:
      return tagged(uint(1))
    case 0xd6:
      return extension(4)
    case 0xd7:
      return extension(8)
    case 0xd9:
      return string(uint(1))
    case 0xda:
      return string(uint(2))
    case 0xdb:
      return string(uint(4))
    case 0xdc:
      return array(uint(2))
    case 0xdd:
      return array(uint(4))
    case 0xde:
      return map(uint(2))
    case 0xdf:
      return map(uint(4))
    default:
      return fail()
  }
}

function fail(): never {
  throw malformed()
}

function uint(bytes: number): number {
  let value = 0
  for (let left = bytes; left > 0; left--) {
    const code = text.charCodeAt(at++)
    if (!(code < 0x100)) throw malformed()
    value = value * 0x100 + code
  }
  return value
}

function float(): number {
  for (let index = 0; index < 8; index++) {
    const code = text.charCodeAt(at++)
    if (!(code < 0x100)) throw malformed()
    floatBytes[index] = code
  }
  return floatView.getFloat64(0)
}

function string(length: number): string {
  const start = at
  at += length
  if (at > text.length) throw malformed()
  // The engine shares the text from 13 characters on; shorter strings are copies anyway.
  if (copies !== undefined && length > 12) return copies.toString('latin1', start, at)
  return text.substring(start, at)
}

function array(length: number): unknown[] {
  if (length > text.length - at) throw malformed()
  if (length <= EAGER_ARRAY) {
    const values = new Array<unknown>(length)
    for (let index = 0; index < length; index++) values[index] = read()
    return values
  }
  const values: unknown[] = []
  for (let index = 0; index < length; index++) values.push(read())
  return values
}

function map(size: number): Record<string, unknown> {
  if (size * 2 > text.length - at) throw malformed()
  const object: Record<string, unknown> = {}
  for (let index = 0; index < size; index++) {
    const key = read()
    if (typeof key !== 'string') throw malformed()
    if (key === '__proto__') {
      Object.defineProperty(object, key, {
        value: read(),
        writable: true,
        enumerable: true,
        configurable: true,
      })
    } else object[key] = read()
  }
  return object
}

function bytes(length: number): Uint8Array<ArrayBuffer> {
  if (length > text.length - at) throw malformed()
  const result = new Uint8Array(length)
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(at++)
    if (code > 0xff) throw malformed()
    result[index] = code
  }
  return result
}

function buffer(length: number): Buffer {
  return Buffer.from(bytes(length).buffer)
}

function view(length: number): DataView {
  return new DataView(bytes(length).buffer)
}

/** A type with its value behind it, or with one byte that says nothing. */
function tagged(type: number): unknown {
  const filler = uint(1)
  switch (type) {
    case tokens.UNDEFINED:
      return undefined
    case tokens.MAP: {
      const flat = read()
      if (!Array.isArray(flat) || flat.length % 2 !== 0) throw malformed()
      const result = new Map<unknown, unknown>()
      for (let index = 0; index < flat.length; index += 2) result.set(flat[index], flat[index + 1])
      return result
    }
    case tokens.SET: {
      const values = read()
      if (!Array.isArray(values)) throw malformed()
      return new Set<unknown>(values)
    }
    case tokens.REGEXP: {
      const parts = read()
      if (!Array.isArray(parts)) throw malformed()
      const [source, flags] = parts as unknown[]
      if (typeof source !== 'string' || typeof flags !== 'string') throw malformed()
      return new RegExp(source, flags)
    }
    case tokens.TIMESTAMP:
      return filler === 0xff ? new Date(NaN) : fail()
    default:
      return fail()
  }
}

function extension(length: number): unknown {
  const type = uint(1)
  switch (type) {
    case tokens.BIGINT:
      return bigint(length)
    case tokens.TYPED:
      return typedArray(length)
    case tokens.WIDE:
      return wideString(length)
    case tokens.TIMESTAMP:
      return date(view(length))
    default:
      return fail()
  }
}

function wideString(length: number): string {
  const start = at
  at += length
  if (at > text.length || length % 2 !== 0) throw malformed()
  if (length > SHORT_WIDE) {
    return Buffer.from(text.substring(start, at), 'latin1').toString('utf16le')
  }
  let value = ''
  for (let index = start; index < at; index += 2) {
    value += String.fromCharCode(text.charCodeAt(index) + 256 * text.charCodeAt(index + 1))
  }
  return value
}

function bigint(length: number): bigint {
  const hex = buffer(length).toString('hex')
  return hex === '' ? 0n : BigInt.asIntN(length * 8, BigInt('0x' + hex))
}

function date(data: DataView): Date {
  switch (data.byteLength) {
    case 4:
      return new Date(data.getUint32(0) * 1000)
    case 8: {
      const high = data.getUint32(0)
      return new Date(((high & 3) * 2 ** 32 + data.getUint32(4)) * 1000 + (high >>> 2) / 1e6)
    }
    case 12:
      return new Date(Number(data.getBigInt64(4)) * 1000 + data.getUint32(0) / 1e6)
    default:
      return fail()
  }
}

function typedArray(length: number): unknown {
  const kind = uint(1)
  const { buffer: data } = bytes(length - 1)
  if (kind === tokens.ARRAY_BUFFER) return data
  if (kind === tokens.DATA_VIEW) return new DataView(data)
  const name = tokens.TYPED_ARRAYS[kind]
  const make =
    name &&
    (globalThis as unknown as Record<string, (new (data: ArrayBuffer) => unknown) | undefined>)[
      name
    ]
  if (!make) throw malformed()
  const result = new make(data)
  return types.isTypedArray(result) ? result : fail()
}
