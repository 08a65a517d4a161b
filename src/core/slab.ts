/**
 * Where bodies lie, and sids that can't be packed: a slab allocator, outside of the garbage collector's heap.
 *
 * What is kept as a string is moved twice by the collector before it stays, which holds the loop for
 * ten milliseconds at twenty thousand changes a second, and it carries a header. Here it is copied
 * once, into a cell of its size class in a page of such cells. Knows nothing of what cells hold.
 */
import type { Span } from './span.js'

/** Classes are this far apart, in bytes, up to {@link FINE}; beyond, a 32nd of a power of two. */
const GRANULE = 8
const FINE_BITS = 10
const FINE = 1 << FINE_BITS
const FINE_CLASSES = FINE / GRANULE
const STEP_BITS = 5
const STEPS = 1 << STEP_BITS
/** Bytes of a page, once its class has as many. */
const PAGE = 256 * 1024
/** What is larger has a page to itself. */
const LARGEST_CELL = PAGE / 4
/** The first page of a class has so many cells. */
const FIRST_CELLS = 4
const NONE = 0xffffffff

/** The numbers that say where a cell lies, as they stand in the caller's row. */
export const PLACE = 3
const PAGE_NUMBER = 0
const OFFSET = 1
const LENGTH = 2

interface Page {
  readonly bytes: Buffer
  readonly number: number
  /** Bytes of a cell. */
  readonly cell: number
  /** Cells in use. */
  used: number
  /** Where the first free cell lies, which holds where the next one does; NONE: none is free. */
  free: number
  /** Where the cells begin that were never used. */
  fresh: number
  /** Where it stands among the pages of its class that have room; -1: it has none. */
  roomy: number
}

/** The pages of one size. */
class SizeClass {
  readonly roomy: Page[] = []
  /** Bytes of all of its pages. */
  bytes = 0
}

/** Holds cells; the caller holds their places, {@link PLACE} numbers each. */
export class Slab {
  #pages: (Page | undefined)[] = []
  #unused: number[] = []
  #classes: SizeClass[] = []
  readonly #span: Span = { bytes: Buffer.alloc(0), start: 0, end: 0 }

  /** Bytes of all pages. */
  get reserved(): number {
    return this.#pages.reduce((sum, page) => sum + (page?.bytes.length ?? 0), 0)
  }

  /** Takes a cell and writes its place at `at`; its bytes are whatever they are. */
  add(length: number, places: Uint32Array, at: number): void {
    const page = this.#pageFor(length)
    places[at + PAGE_NUMBER] = page.number
    places[at + OFFSET] = this.#takeCell(page)
    places[at + LENGTH] = length
  }

  /** Makes a cell longer or shorter, and moves it if need be. Its first `kept` bytes stay. */
  resize(length: number, kept: number, places: Uint32Array, at: number): void {
    const before = places[at + LENGTH]!
    if (length > LARGEST_CELL || before > LARGEST_CELL || classOf(length) !== classOf(before)) {
      const page = this.#pages[places[at + PAGE_NUMBER]!]!
      const offset = places[at + OFFSET]!
      this.add(length, places, at)
      const { bytes } = this.#pages[places[at + PAGE_NUMBER]!]!
      page.bytes.copy(bytes, places[at + OFFSET], offset, offset + kept)
      this.#giveBack(page, offset, before)
    }
    places[at + LENGTH] = length
  }

  /** Gives a cell back. The numbers of its place are the caller's from then on. */
  remove(places: Uint32Array, at: number): void {
    const page = this.#pages[places[at + PAGE_NUMBER]!]!
    this.#giveBack(page, places[at + OFFSET]!, places[at + LENGTH]!)
  }

  /** The cell of this place. The answer is one object, and holds until the next call. */
  at(places: Uint32Array, at: number): Span {
    const span = this.#span
    span.bytes = this.#pages[places[at + PAGE_NUMBER]!]!.bytes
    span.start = places[at + OFFSET]!
    span.end = span.start + places[at + LENGTH]!
    return span
  }

  #giveBack(page: Page, offset: number, length: number): void {
    page.used--
    if (length > LARGEST_CELL) {
      this.#drop(page)
      return
    }
    const sizeClass = this.#classOf(length)
    page.bytes.writeUInt32LE(page.free, offset)
    page.free = offset
    if (page.roomy < 0) page.roomy = sizeClass.roomy.push(page) - 1
    // The last one stays, or a session that comes and goes would make and drop it again and again.
    else if (page.used === 0 && sizeClass.roomy.length > 1) {
      this.#full(sizeClass, page)
      sizeClass.bytes -= page.bytes.length
      this.#drop(page)
    }
  }

  #pageFor(length: number): Page {
    if (length > LARGEST_CELL) return this.#make(length, length)
    const sizeClass = this.#classOf(length)
    const { roomy } = sizeClass
    if (roomy.length > 0) return roomy[roomy.length - 1]!
    const cell = cellOf(classOf(length))
    // Twice as much each time: a small store takes little, and a large one has few pages.
    const wanted = Math.min(Math.max(FIRST_CELLS * cell, sizeClass.bytes), PAGE)
    const page = this.#make(cell, wanted - (wanted % cell))
    sizeClass.bytes += page.bytes.length
    page.roomy = roomy.push(page) - 1
    return page
  }

  #make(cell: number, size: number): Page {
    const number = this.#unused.pop() ?? this.#pages.length
    const bytes = Buffer.allocUnsafeSlow(size)
    const page = { bytes, number, cell, used: 0, free: NONE, fresh: 0, roomy: -1 }
    this.#pages[number] = page
    return page
  }

  #drop(page: Page): void {
    this.#pages[page.number] = undefined
    this.#unused.push(page.number)
  }

  #takeCell(page: Page): number {
    page.used++
    let offset = page.free
    if (offset === NONE) {
      offset = page.fresh
      page.fresh += page.cell
    } else page.free = page.bytes.readUInt32LE(offset)
    const full = page.free === NONE && page.fresh + page.cell > page.bytes.length
    if (full && page.roomy >= 0) this.#full(this.#classOf(page.cell), page)
    return offset
  }

  #full({ roomy }: SizeClass, page: Page): void {
    const last = roomy.pop()!
    if (last !== page) {
      roomy[page.roomy] = last
      last.roomy = page.roomy
    }
    page.roomy = -1
  }

  #classOf(length: number): SizeClass {
    return (this.#classes[classOf(length)] ??= new SizeClass())
  }
}

/** The size class of a cell of at most {@link LARGEST_CELL} bytes. */
function classOf(length: number): number {
  if (length <= FINE) return length === 0 ? 1 : Math.ceil(length / GRANULE)
  const power = 31 - Math.clz32(length - 1)
  const step = (length - 1 - (1 << power)) >>> (power - STEP_BITS)
  return FINE_CLASSES + (power - FINE_BITS) * STEPS + step + 1
}

/** Bytes of a cell of this class. */
function cellOf(index: number): number {
  if (index <= FINE_CLASSES) return index * GRANULE
  const beyond = index - FINE_CLASSES - 1
  const power = FINE_BITS + Math.floor(beyond / STEPS)
  return (1 << power) + ((beyond % STEPS) + 1) * (1 << (power - STEP_BITS))
}
