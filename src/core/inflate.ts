/**
 * Tokens and text → a session, fresh.
 *
 * The tokens may be anything that bytes can be unpacked to: each is checked, nothing is believed of
 * lengths, and what is left over or missing is an error like any other. Makes no more than the
 * tokens and the text are worth.
 */
import { define, ObjectMaker } from './object-maker.js'
import type { Shapes } from './shapes.js'
import type { Span } from './span.js'
import { TokenReader } from './token-reader.js'
import { DEEPEST, Kind, Special, special, VIEWS } from './tokens.js'
import { WIDE } from './packing.js'

const OBJECT = special(Special.object)
const PACKED = special(Special.packed)
/** Stands for what is left out; never part of a session. */
const ABSENT = Symbol('absent')

/** What is no flattened session. The codec answers it; it says nothing of the session. */
export class NoSessionError extends Error {}

/** Makes sessions anew, one after the other. */
export class Inflater {
  readonly #shapes: Shapes
  /** Of records, by the id of their structure, whose keys were checked when it was adopted. */
  readonly #makers: ObjectMaker[] = []
  /** Of records that are sessions, with room for the cookie: adding it to one costs as much again. */
  readonly #sessionMakers: ObjectMaker[] = []
  readonly #next = (depth: number): unknown => this.#value(depth)
  /** Elements that arrays under way still wait for. */
  #owed = 0
  /** Whether a key of a record may have been left out. */
  #lacking = false
  readonly #tokens = new TokenReader()
  #text = ''
  #position = 0
  #packed = ''
  #packedAt = 0

  constructor(shapes: Shapes) {
    this.#shapes = shapes
  }

  /**
   * The session of `tokens`, and of all of `text` and `packed`.
   *
   * @param packed the characters that were packed, of all strings behind each other
   * @param cookie what the session gets as its `cookie`; `undefined`: it gets none
   * @throws NoSessionError, NoTokensError, and what the language throws at impossible values
   */
  session(tokens: Span, text: string, packed: string, cookie?: object): Record<string, unknown> {
    this.#tokens.begin(tokens)
    this.#text = text
    this.#position = 0
    this.#packed = packed
    this.#packedAt = 0
    this.#owed = 0
    this.#lacking = false
    const session = this.#session(cookie)
    const whole =
      this.#tokens.done && this.#position === text.length && this.#packedAt === packed.length
    if (!whole) throw new NoSessionError()
    return session
  }

  #session(cookie: object | undefined): Record<string, unknown> {
    const token = this.#raw()
    if (token === OBJECT) {
      const session = this.#object(1)
      if (cookie) session['cookie'] = cookie
      return session
    }
    if (token % 4 !== Kind.record) throw new NoSessionError()
    return this.#record((token - Kind.record) / 4, 1, cookie)
  }

  #value(depth: number): unknown {
    const first = this.#tokens.first()
    if (first <= 0x7f) return this.#meant(first, depth)
    // A token of one byte that is negative: −1 − n.
    if (first >= 0xe0) return 0xff - first
    const token = this.#tokens.rest(first)
    if (typeof token !== 'number') return token
    if (token < 0) return Number.isSafeInteger(token) ? -1 - token : token
    if (!Number.isInteger(token)) return token
    if (token > 0x7fffffff) throw new NoSessionError()
    return this.#meant(token, depth)
  }

  #meant(token: number, depth: number): unknown {
    const n = token >>> 2
    switch (token & 3) {
      case Kind.text:
        return this.#characters(n)
      case Kind.record:
        return this.#record(n, this.#deeper(depth))
      case Kind.array:
        return this.#array(n, this.#deeper(depth))
      default:
        return this.#special(n, depth)
    }
  }

  #record(id: number, depth: number, cookie?: object): Record<string, unknown> {
    const keys = this.#shapes.list[id]
    if (!keys) throw new NoSessionError()
    const maker = cookie
      ? (this.#sessionMakers[id] ??= new ObjectMaker(keys, 'cookie'))
      : (this.#makers[id] ??= new ObjectMaker(keys))
    const record = maker.make(this.#next, depth, cookie)
    if (!this.#lacking) return record
    return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== ABSENT))
  }

  #array(length: number, depth: number): unknown[] {
    // Arrays within each other could each claim all that is left, and be made room for.
    this.#expect(length + this.#owed)
    const array = new Array<unknown>(length)
    this.#owed += length
    for (let i = 0; i < length; i++) {
      this.#owed--
      array[i] = this.#present(depth)
    }
    return array
  }

  #special(what: number, depth: number): unknown {
    switch (what) {
      case Special.object:
        return this.#object(this.#deeper(depth))
      case Special.number:
        return this.#raw()
      case Special.undefined:
        return undefined
      case Special.absent:
        this.#lacking = true
        return ABSENT
      case Special.negativeZero:
        return -0
      case Special.date:
        return new Date(this.#raw())
      case Special.bigint:
        return parseBigInt(this.#characters(this.#length()))
      case Special.regexp: {
        const source = this.#characters(this.#length())
        return new RegExp(source, this.#characters(this.#length()))
      }
      case Special.map:
        return this.#map(this.#deeper(depth))
      case Special.set:
        return this.#set(this.#deeper(depth))
      case Special.buffer:
        return this.#bytes()
      case Special.bytes: {
        const view = VIEWS[this.#length()]
        if (!view) throw new NoSessionError()
        const { buffer, byteOffset, length } = this.#bytes()
        return view.make(buffer.slice(byteOffset, byteOffset + length) as ArrayBuffer)
      }
      case Special.packed:
        return this.#opaque()
      case Special.dotted:
        return this.#dotted()
      default:
        throw new NoSessionError()
    }
  }

  #opaque(): string {
    const length = this.#length()
    const from = this.#packedAt
    const to = from + length - (length & 3)
    if (to > this.#packed.length) throw new NoSessionError()
    this.#packedAt = to
    return this.#packed.slice(from, to) + this.#characters(length & 3)
  }

  #dotted(): string {
    const count = this.#length()
    this.#expect(count)
    const parts: string[] = []
    for (let i = 0; i < count; i++) {
      const token = this.#length()
      if (token === PACKED) parts.push(this.#opaque())
      else if (token % 4 === Kind.text) parts.push(this.#characters(token / 4))
      else throw new NoSessionError()
    }
    return parts.join('.')
  }

  #object(depth: number): Record<string, unknown> {
    const count = this.#length()
    this.#expect(count)
    const object: Record<string, unknown> = count > 1 ? dictionary() : {}
    for (let i = 0; i < count; i++) {
      const key = this.#characters(this.#length())
      const value = this.#value(depth)
      if (value === ABSENT) continue
      give(object, key, value)
    }
    return object
  }

  #map(depth: number): Map<unknown, unknown> {
    const map = new Map<unknown, unknown>()
    const count = this.#length()
    this.#expect(count)
    for (let i = 0; i < count; i++) {
      const key = this.#value(depth)
      const value = this.#value(depth)
      if (key !== ABSENT && value !== ABSENT) map.set(key, value)
    }
    return map
  }

  #set(depth: number): Set<unknown> {
    const set = new Set<unknown>()
    const count = this.#length()
    this.#expect(count)
    for (let i = 0; i < count; i++) {
      const value = this.#value(depth)
      if (value !== ABSENT) set.add(value)
    }
    return set
  }

  #present(depth: number): unknown {
    const value = this.#value(depth)
    if (value === ABSENT) throw new NoSessionError()
    return value
  }

  #bytes(): Buffer {
    const characters = this.#characters(this.#length())
    if (WIDE.test(characters)) throw new NoSessionError()
    return Buffer.from(characters, 'latin1')
  }

  #characters(length: number): string {
    const from = this.#position
    const to = from + length
    if (to > this.#text.length) throw new NoSessionError()
    this.#position = to
    return this.#text.slice(from, to)
  }

  #length(): number {
    const length = this.#raw()
    if (!Number.isSafeInteger(length) || length < 0) throw new NoSessionError()
    return length
  }

  #raw(): number {
    const raw = this.#tokens.next()
    if (typeof raw !== 'number') throw new NoSessionError()
    return raw
  }

  /** Each element is a token at least. */
  #expect(elements: number): void {
    if (elements > this.#tokens.left) throw new NoSessionError()
  }

  #deeper(depth: number): number {
    if (depth > DEEPEST) throw new NoSessionError()
    return depth + 1
  }
}

/**
 * A plain object that V8 keeps as a hash table from the start. Keys that are data would otherwise
 * make it a hidden class each, which takes six times as long as reading them (Node 20 to 24). All of
 * these share one, which changing the prototype of an object without one would not let them.
 */
function dictionary(): Record<string, unknown> {
  const object: { first?: number; second?: number } = { first: 0, second: 0 }
  delete object.first
  delete object.second
  return object
}

function parseBigInt(digits: string): bigint {
  return digits.startsWith('-') ? -BigInt(`0x${digits.slice(1)}`) : BigInt(`0x${digits}`)
}

/** Gives an object a key of its own. */
function give(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') {
    try {
      object[key] = value
      return
    } catch {
      // Object.prototype is frozen, and has the key. To ask first takes a quarter of a `get`.
    }
  }
  define(object, key, value)
}
