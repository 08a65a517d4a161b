/**
 * The shapes of objects: which sequences of keys recur and so are worth a shared structure.
 *
 * Objects are walked key by key along a trie; one that has ended at the same place often enough is
 * admitted. Objects keyed by data never recur, so they never fill the list, and the trie drops what
 * it has tried when that becomes too much. Never keeps a value.
 */

/** An object is given a structure when its shape has been met this often. */
const SIGHTINGS = 8
const MOST_KEYS = 64
/** Longer keys are data. */
const LONGEST_KEY = 64
/** Keys on trial at most. */
const MOST_CANDIDATES = 8192
/** One key in so many is tried when most have turned out to be data. */
const WARY = 16

/** One key on the way from the empty object to a shape. */
export class Shape {
  /** Whether objects that end here are written as records. */
  shared = false
  readonly depth: number
  #sightings = 0
  #last: string | undefined
  /** The first key met behind this one, and where it leads; the others are in the map. */
  #key: string | undefined
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

/** The trie. */
export class Shapes {
  #root = new Shape(0)
  #candidates = 0
  #wary = false
  #skipped = 0
  #structures: () => readonly (readonly string[])[]

  /** @param structures those that are shared already, put back whenever candidates are dropped */
  constructor(structures: () => readonly (readonly string[])[]) {
    this.#structures = structures
  }

  /** Where every object starts. */
  get root(): Shape {
    return this.#root
  }

  /**
   * Tries a key that no object had there before. An object adds one key at most, so that a shape is
   * learnt over several of them, and objects keyed by data cost next to nothing. Where those have
   * filled the trie before, only some of the keys are tried.
   */
  step(shape: Shape, key: string): void {
    if (shape.depth >= MOST_KEYS || key.length > LONGEST_KEY) return
    if (this.#wary && ++this.#skipped % WARY !== 0) return
    if (++this.#candidates <= MOST_CANDIDATES) shape.add(key)
    else {
      this.rebuild()
      this.#wary = true
    }
  }

  /** Forgets all candidates. */
  rebuild(): void {
    this.#root = new Shape(0)
    this.#candidates = 0
    for (const keys of this.#structures()) this.share(keys)
  }

  /** Marks a shape as shared. */
  share(keys: readonly string[]): void {
    let shape = this.#root
    for (const key of keys) shape = shape.child(key) ?? shape.add(key)
    shape.shared = true
  }
}
