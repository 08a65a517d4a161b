/**
 * sid → slot, in parts.
 *
 * A map that outgrows its table moves all of its entries at once, which at a million of them stops
 * the event loop for a tenth of a second, in the middle of a login. Many small ones, by the last
 * characters of the sid, take turns with it.
 */

/** A power of two. */
const PARTS = 256

/** As much of a Map as the table needs. */
export class SidMap {
  readonly #parts = Array.from({ length: PARTS }, () => new Map<string, number>())
  #size = 0

  get size(): number {
    return this.#size
  }

  get(sid: string): number | undefined {
    return this.#part(sid).get(sid)
  }

  /** `sid` must not be there. */
  set(sid: string, slot: number): void {
    this.#part(sid).set(sid, slot)
    this.#size++
  }

  delete(sid: string): void {
    if (this.#part(sid).delete(sid)) this.#size--
  }

  /** Where a sid belongs. Ids that end alike share a part, and lose nothing by it but the turns. */
  #part(sid: string): Map<string, number> {
    const last = sid.length - 1
    // Before the first character NaN is found, which counts as 0 here.
    return this.#parts[((sid.charCodeAt(last - 1) << 4) ^ sid.charCodeAt(last)) & (PARTS - 1)]!
  }
}
