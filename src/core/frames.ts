/**
 * Payloads → frames, for snapshots and journals alike.
 *
 * Numbers, seals and checksums what it is given. Knows nothing of what records mean.
 */
import { crc32 } from 'node:zlib'
import type { FrameCipher } from './cipher.js'
import { FrameKind, makeFrame } from './format.js'
import { encodeHeaderMap, encodeHeaderPayload, type FileHeader, HEADER_FRAME } from './header.js'

/** Where the records of a file begin: behind both copies of the header. */
export const HEAD_LENGTH = HEADER_FRAME * 2
/** The sequence number of the first frame behind them. */
export const FIRST_SEQUENCE = 2

/** Makes the frames of one file, in order. */
export class FrameEncoder {
  readonly header: FileHeader
  readonly #cipher: FrameCipher | undefined
  readonly #idChecksum: number
  #sequence = FIRST_SEQUENCE

  constructor(header: FileHeader, cipher: FrameCipher | undefined) {
    this.header = header
    this.#cipher = cipher
    this.#idChecksum = crc32(header.id)
  }

  /** The sequence number of the next frame. */
  get sequence(): number {
    return this.#sequence
  }

  /** Both copies of the header. */
  head(): Buffer {
    const map = encodeHeaderMap(this.header)
    const payload = encodeHeaderPayload(map, this.#cipher?.check(map))
    return Buffer.concat([0, 1].map((copy) => makeFrame(FrameKind.header, copy, 0, payload)))
  }

  /** The next frame, in `room` if it fits there and in a buffer of its own otherwise. */
  frame(kind: FrameKind, payload: Buffer, room?: Buffer): Buffer {
    const sequence = this.#sequence++
    const sealed = this.#cipher ? this.#cipher.seal(kind, sequence, payload) : payload
    return makeFrame(kind, sequence, this.#idChecksum, sealed, room)
  }
}
