/**
 * A session's data → the text of its body.
 *
 * In comes a session; out goes a string in which each character stands for a byte of MessagePack
 * as msgpackr writes it, records included. A string is built rather than a buffer because joining
 * strings copies nothing until the end. Each getter and each `toJSON` is asked once, unless an
 * object of a recurring shape suddenly holds something that JSON leaves out. Never changes the
 * session, never keeps a part of it.
 */

import { types } from 'node:util'
import * as data from './data.js'
import type { Shape, Shapes } from './shapes.js'
import * as tokens from './tokens.js'
import { BEYOND_BYTE, packNumber, packString } from './tokens.js'

/** Thrown where a session is nested deeper than MAX_DEPTH; a cycle is nested without end. */
export const TOO_DEEP = new Error('Nested too deeply')

/** What a value is packed as that JSON leaves out. */
const NOTHING = ''

// What is being packed belongs to `shapes`; a call from within a `toJSON` may change it for a while.
let shapes: Shapes
let careful = false
let metWide = false
/** How many fields of the objects that are being packed turned out to be left out. */
let left = 0

/**
 * The text of all that `session` holds but `cookie`, `id` and `req`. Unless `careful`, strings with
 * characters beyond a byte stand in it as they are; otherwise each character of the text is one.
 */
export function packSession(
  session: object,
  sharedShapes: Shapes,
  isCareful: boolean,
): { text: string; wide: boolean } {
  const outer = { shapes, careful, metWide, left }
  shapes = sharedShapes
  careful = isCareful
  metWide = false
  try {
    const text = packKeyed(session, 0, '', true)
    return { text, wide: metWide }
  } finally {
    ;({ shapes, careful, metWide, left } = outer)
  }
}

/** The text of `value`, which is found under `key`; '' if JSON leaves it out. */
export function packField(value: unknown, depth: number, key: string | number): string {
  switch (typeof value) {
    case 'string':
      if (careful && BEYOND_BYTE.test(value)) {
        metWide = true
        return tokens.packWide(value)
      }
      return packString(value)
    case 'number':
      return packNumber(value)
    case 'boolean':
      return value ? '\xc3' : '\xc2'
    case 'object':
      return value === null ? '\xc0' : packObject(value, depth, key, false)
    case 'undefined':
      return tokens.tagHead(tokens.UNDEFINED)
    case 'bigint':
      return tokens.packBigInt(value)
    case 'function':
    case 'symbol':
      return packSeen(data.visible(value, String(key)), depth)
  }
}

/** Packs what a `toJSON` returned, whose own is not asked for again. */
function packSeen(value: unknown, depth: number): string {
  if (value === data.DROPPED) {
    left++
    return NOTHING
  }
  return typeof value === 'object' && value !== null
    ? packObject(value, depth, '', true)
    : packField(value, depth, '')
}

function packObject(value: object, depth: number, key: string | number, seen: boolean): string {
  if (depth > data.MAX_DEPTH) throw TOO_DEEP
  if (data.isPlain(value)) return packKeyed(value, depth, key, seen)
  if (!seen && (value as { toJSON?: unknown }).toJSON !== undefined) {
    return packSeen(data.visible(value, String(key)), depth)
  }
  return Array.isArray(value) ? packArray(value, depth) : packSpecial(value, depth)
}

function packArray(array: readonly unknown[], depth: number): string {
  const { length } = array
  let text = tokens.arrayHead(length)
  for (let index = 0; index < length; index++) {
    const value = array[index]
    const item = packField(value, depth + 1, index)
    if (item === NOTHING) left--
    text += item === NOTHING || (value === undefined && !(index in array)) ? '\xc0' : item
  }
  return text
}

/** Packs an object by its keys. At depth 0 it is the session, some of whose keys are left out. */
function packKeyed(object: object, depth: number, key: string | number, seen: boolean): string {
  const keys = Object.keys(object)
  let shape: Shape | undefined = shapes.root
  for (let index = 0; index < keys.length && shape !== undefined; index++) {
    const name = keys[index] as string
    if (shape.key === name) shape = shape.next
    else if (depth > 0 || !data.isReserved(name)) shape = shapes.step(shape, name)
  }
  if (shape?.write !== undefined) {
    const before = left
    const text = shape.write(object, depth + 1)
    if (text !== NOTHING && left === before) return text
    left = before
  }
  if (!seen && (object as { toJSON?: unknown }).toJSON !== undefined) {
    return packSeen(data.visible(object, String(key)), depth)
  }
  return packMap(
    object,
    depth > 0 ? keys : keys.filter((name) => !data.isReserved(name)),
    depth,
    shape,
  )
}

function packMap(
  object: object,
  keys: readonly string[],
  depth: number,
  shape: Shape | undefined,
): string {
  let size = 0
  let text = ''
  for (const key of keys) {
    const item = packField((object as Record<string, unknown>)[key], depth + 1, key)
    if (item === NOTHING) left--
    else {
      size++
      text += packField(key, depth, '') + item
    }
  }
  if (shape !== undefined && size === keys.length) shapes.meet(shape, keys)
  return tokens.mapHead(size) + text
}

/** What is neither plain nor an array: an object with a meaning of its own, or of some class. */
function packSpecial(value: object, depth: number): string {
  if (types.isDate(value)) return tokens.packDate(value.getTime())
  if (types.isMap(value)) return packTagged(tokens.MAP, data.mapEntries(value), depth)
  if (types.isSet(value)) return packTagged(tokens.SET, data.setElements(value), depth)
  if (types.isRegExp(value)) {
    return packTagged(tokens.REGEXP, [value.source, value.flags], depth)
  }
  if (Buffer.isBuffer(value)) return tokens.bufferHead(value.length) + tokens.bytes(value)
  if (types.isTypedArray(value)) {
    return packBytes(tokens.TYPED_ARRAYS.indexOf(value[Symbol.toStringTag]), value)
  }
  if (types.isDataView(value)) return packBytes(tokens.DATA_VIEW, value)
  if (types.isArrayBuffer(value)) return packBytes(tokens.ARRAY_BUFFER, new Uint8Array(value))
  if (types.isBoxedPrimitive(value) && !types.isSymbolObject(value)) {
    return packField(data.unbox(value), depth, '')
  }
  return packKeyed(value, depth, '', true)
}

function packTagged(type: number, list: readonly unknown[], depth: number): string {
  let text = tokens.tagHead(type) + tokens.arrayHead(list.length)
  for (const value of list) text += packSeen(value, depth + 1)
  return text
}

function packBytes(kind: number, view: ArrayBufferView): string {
  const raw = new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
  return (
    tokens.extensionHead(raw.length + 1, tokens.TYPED) +
    String.fromCharCode(kind) +
    tokens.bytes(raw)
  )
}
