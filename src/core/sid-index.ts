/**
 * sid → slot: an open hash table of numbers, in parts.
 *
 * Of each sid its hash and its slot are here, eight bytes; the sid itself lies with its entry, and the
 * caller says whether it is the one that is looked for. A map of strings takes ten times that, and
 * the garbage collector visits all of it. Parts take turns with growing: a table for a million
 * would stop the event loop for it. Linear probing, gaps closed at once (Knuth, 6.4, algorithm R).
 */
import { SidKey } from './sid-key.js'

const PART_BITS = 8
const PARTS = 1 << PART_BITS
/** The bits of a hash that say where in its part a sid belongs; the others say which part. */
const PLACE_BITS = 32 - PART_BITS
const PLACES = 1 << PLACE_BITS
/** Cells of a part that is new. */
const FIRST_CELLS = 16
/** A part grows by half when three quarters of its cells are taken. */
const GROWTH = 1.5
const FULLEST = 0.75
/** Numbers of a cell: the hash, and one more than the slot; 0: nothing is there. */
const CELL = 2

class Part {
  cells = new Uint32Array(FIRST_CELLS * CELL)
  capacity = FIRST_CELLS
  size = 0

  /** Where a sid belongs, counted in numbers. */
  home(hash: number): number {
    return CELL * Math.floor(((hash & (PLACES - 1)) * this.capacity) / PLACES)
  }

  next(at: number): number {
    return at + CELL === this.cells.length ? 0 : at + CELL
  }

  /** The next place from `at` on that holds this hash, or nothing. */
  seek(hash: number, at: number): number {
    const { cells } = this
    while (cells[at + 1] !== 0 && cells[at] !== hash) at = this.next(at)
    return at
  }

  add(hash: number, slot: number): void {
    if (this.size >= this.capacity * FULLEST) this.#grow()
    this.size++
    this.#place(hash, slot + 1)
  }

  delete(hash: number, slot: number): boolean {
    const { cells } = this
    let gap = this.home(hash)
    while (cells[gap + 1] !== slot + 1) {
      if (cells[gap + 1] === 0) return false
      gap = this.next(gap)
    }
    for (let at = this.next(gap); cells[at + 1] !== 0; at = this.next(at)) {
      const home = this.home(cells[at]!)
      // Whoever belongs behind the gap, and before where it is, stays.
      const stays = gap < at ? gap < home && home <= at : gap < home || home <= at
      if (stays) continue
      cells[gap] = cells[at]!
      cells[gap + 1] = cells[at + 1]!
      gap = at
    }
    cells[gap + 1] = 0
    this.size--
    return true
  }

  #place(hash: number, occupant: number): void {
    const { cells } = this
    let at = this.home(hash)
    while (cells[at + 1] !== 0) at = this.next(at)
    cells[at] = hash
    cells[at + 1] = occupant
  }

  #grow(): void {
    const { cells } = this
    this.capacity = Math.ceil(this.capacity * GROWTH)
    this.cells = new Uint32Array(this.capacity * CELL)
    for (let at = 0; at < cells.length; at += CELL) {
      if (cells[at + 1] !== 0) this.#place(cells[at]!, cells[at + 1]!)
    }
  }
}

/** Whoever asks for a sid. */
export interface Wanted {
  readonly sid: string
}

export class SidIndex {
  /** Made when they are first needed. */
  #parts = new Array<Part | undefined>(PARTS).fill(undefined)
  #size = 0
  readonly #isAt: (slot: number, sid: string, key: SidKey) => boolean
  readonly #own = new SidKey()
  /** What was asked for last, since a request asks for the same sid several times, and its slot. */
  #key = this.#own
  #slot = -1
  /** Keys that are likely to be asked for in this order, and how many of them have been. */
  readonly #guessed: SidKey[] = []
  #asked = 0

  /** @param isAt whether it is this sid, whose key is `key`, that the slot holds */
  constructor(isAt: (slot: number, sid: string, key: SidKey) => boolean) {
    this.#isAt = isAt
  }

  get size(): number {
    return this.#size
  }

  /** The slot of `sid`, or -1. */
  get(sid: string): number {
    if (this.#ask(sid)) this.#slot = this.#find(sid)
    return this.#slot
  }

  /** The key of `sid`, until another one is asked for. */
  keyOf(sid: string): SidKey {
    this.get(sid)
    return this.#key
  }

  /**
   * Where sids most likely are, as many from `from` on as there is room for in `occupants`: one more
   * than the slot of the same hash, 0 where there is none. No slot is asked for its sid in between, so
   * that the processor waits for the memory of several at a time.
   */
  guess(wanted: readonly Wanted[], from: number, occupants: Uint32Array): void {
    const count = Math.min(wanted.length - from, occupants.length)
    this.#forget()
    for (let i = 0; i < count; i++) {
      const key = (this.#guessed[i] ??= new SidKey())
      occupants[i] = key.read(wanted[from + i]!.sid).hash
    }
    for (let i = 0; i < count; i++) occupants[i] = this.#occupantOf(occupants[i]!)
  }

  /** Inserts a sid that is not here; the slot can be asked for it. */
  add(sid: string, slot: number): void {
    this.#ask(sid)
    const { hash } = this.#key
    const part = (this.#parts[hash >>> PLACE_BITS] ??= new Part())
    part.add(hash, slot)
    this.#size++
    this.#slot = slot
  }

  /** Drops a sid and its slot. */
  delete(sid: string, slot: number): void {
    this.#ask(sid)
    const { hash } = this.#key
    if (this.#parts[hash >>> PLACE_BITS]?.delete(hash, slot)) this.#size--
    this.#slot = -1
  }

  /** @returns whether it is another sid than before, whose slot is to be found */
  #ask(sid: string): boolean {
    if (sid === this.#key.sid) return false
    const guessed = this.#guessed[this.#asked]
    if (guessed?.sid === sid) {
      this.#asked++
      this.#key = guessed
    } else this.#key = this.#own.read(sid)
    return true
  }

  /** The keys that were guessed are others from now on. */
  #forget(): void {
    this.#asked = 0
    this.#key = this.#own
    this.#own.sid = undefined
  }

  #find(sid: string): number {
    const { hash } = this.#key
    const part = this.#parts[hash >>> PLACE_BITS]
    if (!part) return -1
    const { cells } = part
    let at = part.seek(hash, part.home(hash))
    for (let occupant; (occupant = cells[at + 1]!) !== 0; at = part.seek(hash, part.next(at))) {
      if (this.#isAt(occupant - 1, sid, this.#key)) return occupant - 1
    }
    return -1
  }

  #occupantOf(hash: number): number {
    const part = this.#parts[hash >>> PLACE_BITS]
    return part ? part.cells[part.seek(hash, part.home(hash)) + 1]! : 0
  }
}
