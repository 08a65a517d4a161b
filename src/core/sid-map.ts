/**
 * A map by sid, in parts.
 *
 * A map that outgrows its table moves all of its entries at once, which at a million of them stops
 * the event loop for a tenth of a second, in the middle of a login. Many small ones, by the last
 * characters of the sid, take turns with it. No order: entries come part by part.
 */

const PART_BITS = 8
const PARTS = 1 << PART_BITS

/** As much of a Map as is needed here; entries may come and go while it is walked. */
export class SidMap<V> {
  /** Made when they are first needed: most of these maps stay small. */
  #parts: (Map<string, V> | undefined)[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  get(sid: string): V | undefined {
    return this.#parts[partOf(sid)]?.get(sid)
  }

  has(sid: string): boolean {
    return this.#parts[partOf(sid)]?.has(sid) ?? false
  }

  set(sid: string, value: V): void {
    if (this.#parts.length === 0)
      this.#parts = new Array<Map<string, V> | undefined>(PARTS).fill(undefined)
    const part = (this.#parts[partOf(sid)] ??= new Map<string, V>())
    const before = part.size
    part.set(sid, value)
    this.#size += part.size - before
  }

  delete(sid: string): void {
    if (this.#parts[partOf(sid)]?.delete(sid)) this.#size--
  }

  clear(): void {
    this.#parts = []
    this.#size = 0
  }

  *[Symbol.iterator](): IterableIterator<[string, V]> {
    for (const part of this.#parts) if (part) yield* part
  }

  *keys(): IterableIterator<string> {
    for (const part of this.#parts) if (part) yield* part.keys()
  }
}

/** The part that a sid belongs to. Ids that end alike share one, and lose nothing by it but the turns. */
function partOf(sid: string): number {
  const last = sid.length - 1
  // Before the first character NaN is found, which counts as 0 here.
  const before =
    (sid.charCodeAt(last - 3) << 14) ^ (sid.charCodeAt(last - 2) << 7) ^ sid.charCodeAt(last - 1)
  // Digits and letters make use of few of their bits; the highest ones of a product depend on all.
  const mixed = Math.imul(before, 0x9e3779b1) >>> (32 - PART_BITS)
  return (mixed + sid.charCodeAt(last)) & (PARTS - 1)
}
