/**
 * A file of any size, a stretch of it in memory at a time.
 */
import type { ReadableFile } from './file.js'
import { FRAME_HEADER } from './format.js'

/** Bytes that are read at once. */
const STRETCH = 256 * 1024
/** The most of a frame that is carried over from one stretch to the next; longer ones are read again. */
const CARRY = 128 * 1024

/**
 * A stretch of the file kept in memory, moved on as reading goes. What comes next is read while the
 * caller makes use of what is there, into the one of two rooms that is not in use.
 */
export class Window {
  readonly #file: ReadableFile
  /** Each with space in front, for the rest of a frame whose beginning is in the other. */
  readonly #rooms: Buffer[] = []
  #room = 0
  #start = 0
  #bytes: Buffer = Buffer.alloc(0)
  /** What is being read, from `#bytes` on. */
  #ahead: Promise<number> | undefined

  constructor(file: ReadableFile) {
    this.#file = file
  }

  /** Exactly `length` bytes at `offset`, fewer at the end of the file; until the next call. */
  async at(offset: number, length: number): Promise<Buffer> {
    let from = offset - this.#start
    if (from < 0 || from + length > this.#bytes.length) {
      await this.#move(offset, length)
      from = 0
    }
    return this.#bytes.subarray(from, from + length)
  }

  /** What is at hand from `offset` on, or read for it: room for the head of a frame at least. */
  async rest(offset: number): Promise<Buffer> {
    const from = offset - this.#start
    const left = from < 0 ? 0 : this.#bytes.length - from
    return left > FRAME_HEADER ? this.#bytes.subarray(from) : this.at(offset, STRETCH)
  }

  async #move(offset: number, length: number): Promise<void> {
    const from = offset - this.#start
    const left = this.#bytes.length - from
    const read = await this.#ahead
    this.#ahead = undefined
    if (read !== undefined && from >= 0 && left >= 0 && left <= CARRY && length <= left + read) {
      this.#room = 1 - this.#room
      const room = this.#rooms[this.#room]!
      this.#bytes.copy(room, CARRY - left, from)
      this.#bytes = room.subarray(CARRY - left, CARRY + read)
    } else {
      const wanted = Math.min(Math.max(length, STRETCH), Math.max(0, this.#file.size - offset))
      const bytes = Buffer.allocUnsafe(wanted)
      this.#bytes = bytes.subarray(0, await this.#file.read(offset, bytes))
    }
    this.#start = offset
    this.#readAhead()
  }

  #readAhead(): void {
    const next = this.#start + this.#bytes.length
    const left = this.#file.size - next
    if (left <= 0) return
    const room = (this.#rooms[1 - this.#room] ??= Buffer.allocUnsafeSlow(CARRY + STRETCH))
    this.#ahead = this.#file.read(next, room.subarray(CARRY, CARRY + Math.min(left, STRETCH)))
    // Told to whoever comes to need it.
    this.#ahead.catch(ignore)
  }
}

function ignore(): void {
  // See there.
}
