/**
 * The shapes of objects: which sequences of keys recur, and under which number each is shared.
 *
 * In come the keys of objects as they are packed, one after the other; out goes the shared structure
 * that they make up, if they do. A structure is a list of keys that bodies refer to by its index, so
 * the list only ever grows. Shapes seen once, such as objects keyed by data, never enter it: a path
 * through the trie grows by one key per sighting, and a whole one has to be met `SIGHTINGS` times
 * more. Never keeps a value, never more than `MAX_CANDIDATES` keys on trial.
 */

import type { RecordReader, RecordWriter } from './compiled.js'
import { StoreError } from './errors.js'

/** Makes what reads and what writes the records of a structure. */
export interface RecordFactory {
  reader(keys: readonly string[]): RecordReader
  writer(keys: readonly string[], token: string): RecordWriter
}

/** What the two bytes of a record token can tell apart. */
export const STRUCTURE_LIMIT = 32 + 256 * 32

const SIGHTINGS = 8
const MAX_KEYS = 64
/** Longer keys are data. */
const MAX_KEY_LENGTH = 64
const MAX_CANDIDATES = 16384
/** A structure in a file may be larger than those we make, within reason. */
const MAX_FOREIGN_KEYS = 4096

/** One key on the way from the empty object to a shape. */
export class Shape {
  /** The first key met after this one, and where it leads; the others are in `more`. */
  key: string | undefined = undefined
  next: Shape | undefined = undefined
  more: Map<string, Shape> | undefined = undefined
  /** Writes the records of this shape if it is a shared structure. */
  write: RecordWriter | undefined = undefined
  sightings = 0
  readonly depth: number

  constructor(depth: number) {
    this.depth = depth
  }

  child(key: string): Shape | undefined {
    return this.key === key ? this.next : this.more?.get(key)
  }

  add(key: string): Shape {
    const shape = new Shape(this.depth + 1)
    if (this.next === undefined) {
      this.key = key
      this.next = shape
    } else {
      this.more ??= new Map()
      this.more.set(key, shape)
    }
    return shape
  }
}

/** The token depends on the index alone, never on how many structures there are. */
function tokenOf(index: number): string {
  return index < 32
    ? String.fromCharCode(0x40 + index)
    : String.fromCharCode(0x60 + (index & 31), (index - 32) >> 5)
}

/** A key as the engine keeps it for property names, so that comparing it is comparing pointers. */
function asPropertyName(key: string): string {
  return Object.keys({ [key]: 0 })[0] ?? key
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((key, index) => key === b[index])
}

/** The shared structures of one codec and the trie that finds them. */
export class Shapes {
  /** Where every object starts. Replaced when the candidates are dropped. */
  root = new Shape(0)
  /** While true nothing is admitted and nothing tried. */
  frozen = false
  /** The keys of each structure, in index order; append-only. */
  readonly structures: (readonly string[])[] = []
  /** The reader of each structure, under the same index. */
  readonly readers: RecordReader[] = []
  readonly #writers: RecordWriter[] = []
  readonly #max: number
  readonly #records: RecordFactory
  #candidates = 0

  /** @param max - how many structures are admitted; adopted ones may be more */
  constructor(max: number, records: RecordFactory) {
    this.#max = Math.min(max, STRUCTURE_LIMIT)
    this.#records = records
  }

  /** Called where `shape.next` is not it: the shape after `key`, or undefined: a plain map then. */
  step(shape: Shape, key: string): Shape | undefined {
    const known = shape.more?.get(key)
    if (known !== undefined) return known
    if (
      this.frozen ||
      this.structures.length >= this.#max ||
      shape.depth >= MAX_KEYS ||
      key === '__proto__' ||
      key.length > MAX_KEY_LENGTH
    ) {
      return undefined
    }
    if (++this.#candidates > MAX_CANDIDATES) this.#rebuild()
    else shape.add(key)
    return undefined
  }

  /** Notes that a shape without a structure was met; admits it once that happened often enough. */
  meet(shape: Shape, keys: readonly string[]): void {
    if (this.frozen || this.structures.length >= this.#max || ++shape.sightings < SIGHTINGS) return
    shape.sightings = 0
    // The shape may have been dropped from the trie while its values were asked for.
    if (keys.length === 0 || this.#find(keys)?.write) return
    this.#append([...keys])
  }

  /** See `Codec.adopt`. */
  adopt(structures: readonly (readonly string[])[]): boolean {
    check(structures)
    const common = Math.min(structures.length, this.structures.length)
    for (let index = 0; index < common; index++) {
      const theirs = structures[index]
      const ours = this.structures[index]
      if (theirs === undefined || ours === undefined || !sameKeys(theirs, ours)) return false
    }
    for (const keys of structures.slice(common)) this.#append(keys.map(asPropertyName))
    return true
  }

  #append(keys: string[]): void {
    const index = this.structures.length
    this.structures.push(Object.freeze(keys))
    this.readers.push(this.#records.reader(keys))
    this.#writers.push(this.#records.writer(keys, tokenOf(index)))
    this.#insert(keys, index)
  }

  #insert(keys: readonly string[], index: number): void {
    let shape = this.root
    for (const key of keys) shape = shape.child(key) ?? shape.add(key)
    shape.write ??= this.#writers[index]
  }

  #find(keys: readonly string[]): Shape | undefined {
    let shape: Shape | undefined = this.root
    for (const key of keys) shape = shape?.child(key)
    return shape
  }

  #rebuild(): void {
    this.root = new Shape(0)
    this.#candidates = 0
    for (const [index, keys] of this.structures.entries()) this.#insert(keys, index)
  }
}

function check(structures: unknown): void {
  const whole =
    Array.isArray(structures) &&
    structures.length <= STRUCTURE_LIMIT &&
    structures.every(
      (keys: unknown) =>
        Array.isArray(keys) &&
        keys.length > 0 &&
        keys.length <= MAX_FOREIGN_KEYS &&
        keys.every((key) => typeof key === 'string' && key !== '__proto__') &&
        new Set(keys).size === keys.length,
    )
  if (!whole) throw new StoreError('ERR_DAMAGED', 'The list of shared structures is damaged')
}
