/**
 * Slots in the order of use, in parts: whoever was used least recently of all comes out first.
 *
 * Each part is an lru-cache, which holds its slots and their order. One for all would now and then
 * move a million entries at once, as its map does when it has filled up, and stop the event loop for
 * it; parts take turns. Which of them holds the oldest is told by the moments at which slots were
 * used, counted here. Knows no limits; slots are small numbers of the caller's.
 */
import { LRUCache } from 'lru-cache'

type Part = LRUCache<number, true>

const PART_BITS = 8
const PARTS = 1 << PART_BITS
/** Room in a part that is new. */
const FIRST_ROOM = 16
const CHUNK_BITS = 13
const CHUNK = 1 << CHUNK_BITS
const MASK = CHUNK - 1

export class LruIndex {
  /** Made when they are first needed; `max` of each is its room, never what evicts. */
  #parts = new Array<Part | undefined>(PARTS).fill(undefined)
  #size = 0
  /** When each slot was last used, in chunks that are never copied; 0 where it holds nothing. */
  #moments: Float64Array[] = []
  #now = 0
  #queue = new PartQueue()
  /** Room that a part is likely to need in the end. */
  #share: number

  /** @param expected entries, if it is known how many there will be; none is made room for before it comes */
  constructor(expected = 0) {
    const mean = expected / PARTS
    // By chance one part gets more than another: in all but few, less than this.
    this.#share = Math.ceil(mean + 4 * Math.sqrt(mean))
  }

  get size(): number {
    return this.#size
  }

  /** Makes a slot the most recently used, whether it is here or not. */
  use(slot: number): void {
    const at = partOf(slot)
    const part = this.#roomy(at, slot)
    const before = part.size
    part.set(slot, true)
    this.#size += part.size - before
    this.#mark(slot, ++this.#now)
    this.#queue.add(at, slot, this.#now)
  }

  delete(slot: number): void {
    if (!this.#parts[partOf(slot)]?.delete(slot)) return
    this.#size--
    this.#mark(slot, 0)
  }

  /** Takes out the least recently used of all; -1 where there is none. */
  pop(): number {
    const queue = this.#queue
    while (queue.length > 0) {
      const part = this.#parts[queue.first]!
      // Slots are given again and moments are not: one that stands as noted has stayed the oldest.
      if (this.#moment(queue.slot) === queue.moment) {
        const { slot } = queue
        this.delete(slot)
        return slot
      }
      const oldest = part.rkeys().next().value
      if (oldest === undefined) queue.shift()
      else queue.correct(oldest, this.#moment(oldest))
    }
    return -1
  }

  /** The part, with room for `slot`: lru-cache sets aside all of a part's room at once, so it grows. */
  #roomy(at: number, slot: number): Part {
    const part = this.#parts[at]
    if (part && (part.size < part.max || part.has(slot))) return part
    const room = part?.max ?? 0
    const max = room < this.#share ? Math.min(room * 4, this.#share) : room * 2
    const larger: Part = new LRUCache({ max: Math.max(max, FIRST_ROOM) })
    if (part) for (const known of part.rkeys()) larger.set(known, true)
    this.#parts[at] = larger
    return larger
  }

  #moment(slot: number): number {
    return this.#moments[slot >>> CHUNK_BITS]![slot & MASK]!
  }

  #mark(slot: number, moment: number): void {
    const chunk = slot >>> CHUNK_BITS
    while (chunk >= this.#moments.length) this.#moments.push(new Float64Array(CHUNK))
    this.#moments[chunk]![slot & MASK] = moment
  }
}

/**
 * The part of a slot, by MurmurHash3's finalizer. Dealt out in turn, slots would have all parts fill
 * up, and their maps move their entries, at the same moment.
 */
function partOf(slot: number): number {
  let mixed = Math.imul(slot ^ (slot >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> (32 - PART_BITS)
}

/**
 * The parts by the moment of their oldest entry, as a binary heap. A moment may be out of date, but
 * the oldest entry of a part only ever gets younger: it is enough to correct the first.
 */
class PartQueue {
  length = 0
  #heap = new Uint16Array(PARTS)
  #queued = new Uint8Array(PARTS)
  #slots = new Uint32Array(PARTS)
  #moments = new Float64Array(PARTS)

  /** The part whose oldest entry may be the oldest of all. */
  get first(): number {
    return this.#heap[0]!
  }

  /** The slot of that entry, as noted. */
  get slot(): number {
    return this.#slots[this.#heap[0]!]!
  }

  /** The moment of that entry, as noted. */
  get moment(): number {
    return this.#moments[this.#heap[0]!]!
  }

  /** Notes an entry that is younger than all others, in a part that had none. */
  add(part: number, slot: number, moment: number): void {
    if (this.#queued[part] === 1) return
    this.#queued[part] = 1
    this.#slots[part] = slot
    this.#moments[part] = moment
    // The youngest belongs behind all others.
    this.#heap[this.length++] = part
  }

  /** Notes what the oldest entry of the first part has become. */
  correct(slot: number, moment: number): void {
    const part = this.#heap[0]!
    this.#slots[part] = slot
    this.#moments[part] = moment
    this.#sink(part)
  }

  /** Drops the first part, which has no entries left. */
  shift(): void {
    this.#queued[this.#heap[0]!] = 0
    const last = this.#heap[--this.length]!
    if (this.length > 0) this.#sink(last)
  }

  /** Puts `part` where it belongs, from the front. */
  #sink(part: number): void {
    const heap = this.#heap
    const moments = this.#moments
    const moment = moments[part]!
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.length) break
      if (child + 1 < this.length && moments[heap[child + 1]!]! < moments[heap[child]!]!) child++
      if (moments[heap[child]!]! >= moment) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = part
  }
}
