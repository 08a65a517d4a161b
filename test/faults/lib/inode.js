/**
 * A file as a disk sees it: what was written, and what of it would survive the power going.
 */
const SECTOR = 512

/** The bytes of one file, whatever names it has. */
export class Inode {
  static #count = 0
  id = ++Inode.#count
  /** As a reader sees it now. */
  data = Buffer.alloc(0)
  /** Bytes from its beginning on that no power loss may have taken, or torn. */
  certain = Infinity
  /** As it was at the last sync. */
  #synced = Buffer.alloc(0)
  /** What has been done since. @type {({ at: number, bytes: Buffer } | { length: number })[]} */
  #pending = []
  #forgotten = false

  static durable(data) {
    const inode = new Inode()
    inode.data = Buffer.from(data)
    inode.#synced = inode.data
    return inode
  }

  append(bytes) {
    const own = Buffer.from(bytes)
    this.#pending.push({ at: this.data.length, bytes: own })
    this.data = Buffer.concat([this.data, own])
  }

  truncate(length) {
    this.#pending.push({ length })
    this.data = this.data.subarray(0, length)
  }

  /** A sync that failed: the kernel has forgotten that there was anything to write. */
  failSync() {
    this.#forgotten = true
  }

  sync() {
    if (this.#forgotten) return
    this.#synced = this.data
    this.#pending = []
    this.certain = Infinity
  }

  /** What a kill leaves: everything written. */
  afterKill() {
    const copy = Inode.durable(this.data)
    copy.#synced = this.#synced
    copy.#pending = [...this.#pending]
    copy.#forgotten = this.#forgotten
    copy.certain = Math.min(this.certain, this.#pending.length > 0 ? this.#synced.length : Infinity)
    return copy
  }

  /** What is on the platters: all that was synced, and of the rest whatever had got there. */
  afterPowerLoss(random) {
    const left = Inode.durable(this.#left(random))
    left.certain = Math.min(this.certain, this.#synced.length)
    return left
  }

  #left(random) {
    const way = random.below(4)
    if (way === 0) return this.#synced
    if (way === 1) return this.data
    return way === 2 ? this.#prefix(random) : this.#sectors(random)
  }

  #prefix(random) {
    const done = random.below(this.#pending.length + 1)
    let bytes = this.#synced
    for (const [i, step] of this.#pending.entries()) {
      if (i > done) break
      if ('length' in step) bytes = bytes.subarray(0, step.length)
      else {
        const part = i < done ? step.bytes : step.bytes.subarray(0, random.below(step.bytes.length))
        bytes = Buffer.concat([bytes.subarray(0, step.at), part])
      }
    }
    return bytes
  }

  /** Sectors reach the platters in any order; the length may tell of some that never came. */
  #sectors(random) {
    const length = random.chance(0.5)
      ? this.data.length
      : random.between(Math.min(this.#synced.length, this.data.length), this.data.length)
    const bytes = Buffer.alloc(length)
    for (let at = 0; at < length; at += SECTOR) {
      const end = Math.min(at + SECTOR, length)
      const old = this.#synced.subarray(at, end)
      const written = this.data.subarray(at, end)
      bytes.set(old.equals(written) || random.chance(0.5) ? written : old, at)
    }
    return bytes
  }
}
