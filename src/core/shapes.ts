/**
 * The shapes of objects: which sequences of keys recur, and the list of those that are shared.
 *
 * Objects are walked key by key along a trie of what is shared. What isn't there is on trial, in a
 * trie of its own; a shape that several sessions have moves to the list of shared structures, which
 * only grows, and from then on its objects are written without their keys. Objects keyed by data
 * never recur, so they never fill the list, and all that is on trial is dropped when it becomes too
 * much. Never keeps a value.
 */

/** An object is given a structure when its shape has been met this often. */
const SIGHTINGS = 8
const MOST_KEYS = 64
/** Longer keys are data. */
const LONGEST_KEY = 64
/** Keys on trial at most. */
const MOST_CANDIDATES = 8192
/** One object in so many is on trial when most keys have turned out to be data. */
const WARY = 16
const MOST_STRUCTURES = 1024
/** A structure in a file may be larger than those we make, within reason. */
const MOST_KEYS_READ = 4096

/** One key on the way from the empty object to a shape. */
class Shape {
  /** The shared structure of objects that end here; -1: none. */
  id = -1
  readonly depth: number
  #sightings = 0
  #last: string | undefined
  /** The first key met behind this one, and where it leads; the others are in the map. */
  #key = ''
  #next: Shape | undefined
  #more: Map<string, Shape> | undefined

  constructor(depth: number) {
    this.depth = depth
  }

  child(key: string): Shape | undefined {
    return this.#key === key ? this.#next : this.#more?.get(key)
  }

  add(key: string): Shape {
    const shape = new Shape(this.depth + 1)
    if (this.#next === undefined) {
      this.#key = key
      this.#next = shape
    } else {
      this.#more ??= new Map()
      this.#more.set(key, shape)
    }
    return shape
  }

  /**
   * Counts one more object, where it is of another session than the last: the same session is saved
   * again and again, and its keys may be data all the same.
   *
   * @returns whether it was the one that makes the shape worth sharing
   */
  meet(sid: string | undefined): boolean {
    if (sid !== undefined && sid === this.#last) return false
    this.#last = sid
    return ++this.#sightings === SIGHTINGS
  }
}

/** The trie and the list. */
export class Shapes {
  /** While true the list takes up nothing but what is adopted. */
  frozen = false
  readonly #list: (readonly string[])[] = []
  readonly #shared = new Shape(0)
  #tried = new Shape(0)
  #candidates = 0
  #wary = false
  #skipped = 0

  /** The shared structures, each its keys in order, by id. */
  get list(): readonly (readonly string[])[] {
    return this.#list
  }

  /**
   * The shared structure of an object with these keys; -1: none has them, now at least.
   *
   * @param sid whose session it is of
   */
  recordOf(keys: readonly string[], sid: string | undefined): number {
    let shape: Shape | undefined = this.#shared
    const { length } = keys
    for (let i = 0; i < length && shape !== undefined; i++) shape = shape.child(keys[i]!)
    if (shape !== undefined && shape.id >= 0) return shape.id
    return this.#worthSharing(keys, sid) ? this.#share(keys) : -1
  }

  /**
   * Takes over a list, or what stands in it from id `from` on. Returns true if from then on its ids
   * mean the same here: it is part of ours, or goes on where ours ends, which is then extended.
   * Returns false and changes nothing otherwise.
   */
  adopt(structures: readonly (readonly string[])[], from = 0): boolean {
    const common = Math.min(structures.length, this.#list.length - from)
    if (common < 0) return false
    for (let i = 0; i < common; i++) {
      if (!sameKeys(structures[i]!, this.#list[from + i]!)) return false
    }
    for (const keys of structures.slice(common)) this.#share(keys)
    return true
  }

  /**
   * Meets an object whose shape isn't shared. It adds one key at most, so that a shape is learnt over
   * several objects, and those keyed by data cost next to nothing. Where these have filled the trie
   * before, only some objects are looked at.
   */
  #worthSharing(keys: readonly string[], sid: string | undefined): boolean {
    if (this.frozen || this.#list.length >= MOST_STRUCTURES) return false
    if (this.#wary && ++this.#skipped % WARY !== 0) return false
    let shape = this.#tried
    for (const key of keys) {
      const next = shape.child(key)
      if (next === undefined) {
        this.#try(shape, key)
        return false
      }
      shape = next
    }
    return shape.depth > 0 && shape.meet(sid)
  }

  #try(shape: Shape, key: string): void {
    if (shape.depth >= MOST_KEYS || key.length > LONGEST_KEY || !isPlainKey(key)) return
    if (++this.#candidates <= MOST_CANDIDATES) shape.add(key)
    else {
      this.#tried = new Shape(0)
      this.#candidates = 0
      this.#wary = true
    }
  }

  /** @returns the id */
  #share(keys: readonly string[]): number {
    let shape = this.#shared
    for (const key of keys) shape = shape.child(key) ?? shape.add(key)
    shape.id = this.#list.length
    this.#list.push(Object.freeze([...keys]))
    return shape.id
  }
}

/** Whether what a file holds can be a list of structures, or what stands in it from id `from` on. */
export function isStructureList(structures: unknown, from = 0): structures is string[][] {
  return (
    Array.isArray(structures) &&
    from + structures.length <= MOST_STRUCTURES &&
    structures.every(
      (keys: unknown) =>
        Array.isArray(keys) &&
        keys.length > 0 &&
        keys.length <= MOST_KEYS_READ &&
        keys.every((key) => typeof key === 'string' && isPlainKey(key)) &&
        new Set(keys).size === keys.length,
    )
  )
}

/** The keys of a session that are stored. */
export function dataKeys(session: object): string[] {
  return Object.keys(session).filter((key) => key !== 'cookie' && key !== 'id' && key !== 'req')
}

/** Whether a key can be part of a structure: of a plain object, and of text that files can carry. */
function isPlainKey(key: string): boolean {
  return key !== '__proto__' && key.isWellFormed()
}

export function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((key, index) => key === b[index])
}
