/**
 * The vocabulary of a flattened session, shared by those who write and read it.
 *
 * A session is flattened to a list of numbers, booleans and nulls, which msgpackr packs, and one
 * text with all its strings behind each other. Whole numbers from 0 on are tokens; what a session
 * holds of them is written as −1 − n, so that neither is taken for the other. docs/format.md has
 * all of it.
 */

/** What a token says: its two lowest bits. The others are a number, `n`. */
export const Kind = {
  /** The next n characters of the text. */
  text: 0,
  /** An object with the keys of shared structure n; a value for each follows. */
  record: 1,
  /** An array; n values follow. */
  array: 2,
  /** What {@link Special} n says. */
  special: 3,
} as const

/** What the number of a special token says. A length is a plain number, as is a count. */
export const Special = {
  /** An object: a count, then so many times the length of a key and a value. */
  object: 0,
  /** A number that follows as it is: whole, and negative or beyond ±(2^53 − 2). */
  number: 1,
  undefined: 2,
  /** Nothing: the key before it is left out, as JSON leaves out functions. */
  absent: 3,
  negativeZero: 4,
  /** A Date: its time value. */
  date: 5,
  /** A BigInt: the length of its hexadecimal digits, with a sign. */
  bigint: 6,
  /** A RegExp: the lengths of its source and its flags. */
  regexp: 7,
  /** A Map: a count, then so many keys and values. */
  map: 8,
  /** A Set: a count, then so many values. */
  set: 9,
  /** A Buffer: its length; a character for each byte. */
  buffer: 10,
  /** Another view or buffer of bytes: its place in {@link VIEWS}, its length in bytes. */
  bytes: 11,
  /** A string whose first characters are packed, as many as there are fours of: its length. */
  packed: 12,
  /** A string of several with dots between them: a count, then so many strings. */
  dotted: 13,
} as const

/** The two lowest bits of a body's header: how the text stands in it, or that more is said of that. */
export const Mode = {
  /** A byte for each character. */
  latin1: 0,
  utf8: 1,
  /** Little-endian: where half of a surrogate pair stands alone, or it takes little more than UTF-8. */
  utf16: 2,
  /** Another number follows: how many bytes are packed, and how the text stands. */
  packed: 3,
} as const

/** One element of a flattened session. */
export type Token = number | boolean | null

/** The token of a {@link Special}. */
export function special(what: (typeof Special)[keyof typeof Special]): number {
  return what * 4 + Kind.special
}

/** How deep objects and arrays may lie within each other. */
export const DEEPEST = 500

/** How many values a session may have, the holes of arrays included. */
export const MOST_TOKENS = 2 ** 24

/** The largest number that is written as −1 − n: both are exact. */
export const MOST_NEGATED = Number.MAX_SAFE_INTEGER - 1

/** Kinds of {@link Special.bytes}, by their place in the list. */
export const VIEWS: readonly { name: string; make(buffer: ArrayBuffer): unknown }[] = [
  { name: 'ArrayBuffer', make: (buffer) => buffer },
  { name: 'DataView', make: (buffer) => new DataView(buffer) },
  { name: 'Int8Array', make: (buffer) => new Int8Array(buffer) },
  { name: 'Uint8Array', make: (buffer) => new Uint8Array(buffer) },
  { name: 'Uint8ClampedArray', make: (buffer) => new Uint8ClampedArray(buffer) },
  { name: 'Int16Array', make: (buffer) => new Int16Array(buffer) },
  { name: 'Uint16Array', make: (buffer) => new Uint16Array(buffer) },
  { name: 'Int32Array', make: (buffer) => new Int32Array(buffer) },
  { name: 'Uint32Array', make: (buffer) => new Uint32Array(buffer) },
  { name: 'Float32Array', make: (buffer) => new Float32Array(buffer) },
  { name: 'Float64Array', make: (buffer) => new Float64Array(buffer) },
  { name: 'BigInt64Array', make: (buffer) => new BigInt64Array(buffer) },
  { name: 'BigUint64Array', make: (buffer) => new BigUint64Array(buffer) },
]
export const UINT8_ARRAY = 3
