/**
 * A file → the frames in it that are whole.
 *
 * Steps through a file of any size, hands on only frames that pass their checksum (and, encrypted,
 * their tag), and goes on behind damage where whole frames follow. Believes no length beyond the end
 * of the file and knows nothing of what records mean.
 */
import { crc32 } from 'node:zlib'
import type { FrameCipher, KeyRing } from './cipher.js'
import { StoreError } from './errors.js'
import type { Files, ReadableFile } from './file.js'
import {
  FRAME_HEADER,
  FrameKind,
  frameChecksum,
  MalformedError,
  parseFrameHeader,
} from './format.js'
import { FIRST_SEQUENCE, HEAD_LENGTH } from './frames.js'
import { decodeHeaderPayload, type FileHeader, FORMAT_NAME, HEADER_FRAME } from './header.js'
import { Window } from './window.js'

/** Bytes made to look like frames may cost a checksum of so many bytes beyond four times the file. */
const SEARCHED_MOST = 256 * 1024 * 1024

/** A stretch of a file that is not whole frames. */
export interface Damage {
  offset: number
  bytes: number
  /** The sequence number of the first frame missing there, and of the next one that is not. */
  sequence: number
  next: number
}

/** How far a reading got. */
export interface FrameScan {
  /** Where the last whole frame ends. */
  end: number
  /** The sequence number that would come next. */
  sequence: number
  /** Stretches with whole frames behind them. */
  damage: Damage[]
  /** A tail that is not a whole frame, if there is one. */
  torn: Damage | undefined
}

/** Told each whole frame; throws MalformedError for one whose contents are not the format. */
export type OnFrame = (kind: FrameKind, payload: Buffer, sequence: number) => void

/** A file of ours, opened. */
export class FramedFile {
  readonly path: string
  readonly header: FileHeader
  readonly size: number
  /** Whether one of the two copies of the header is damaged. */
  readonly headDamaged: boolean
  /** Whether the file is as encrypted, or as plain, as new files will be. */
  readonly currentKey: boolean
  readonly #file: ReadableFile
  readonly #cipher: FrameCipher | undefined
  readonly #idChecksum: number

  private constructor(
    path: string,
    file: ReadableFile,
    found: { header: FileHeader; headDamaged: boolean },
    cipher: FrameCipher | undefined,
    currentKey: boolean,
  ) {
    this.path = path
    this.header = found.header
    this.headDamaged = found.headDamaged
    this.size = file.size
    this.currentKey = currentKey
    this.#file = file
    this.#cipher = cipher
    this.#idChecksum = crc32(found.header.id)
  }

  /**
   * Opens `path` and reads its header.
   *
   * @throws StoreError `ERR_FORMAT_FOREIGN`, `ERR_FORMAT_VERSION`, `ERR_KEY`, `ERR_DAMAGED` where
   * both copies of the header are damaged; errors of the file system as they are
   */
  static async open(files: Files, path: string, keys: KeyRing): Promise<FramedFile> {
    const file = await files.open(path)
    try {
      const room = Buffer.allocUnsafe(HEAD_LENGTH)
      const head = room.subarray(0, await file.read(0, room))
      const found = readHead(head, path)
      const { header, map, check } = found
      if (!header.salt) return new FramedFile(path, file, found, undefined, !keys.enabled)
      const opened = await keys.reader(header.id, header.salt, map, check)
      if (!opened) {
        throw new StoreError(
          'ERR_KEY',
          keys.enabled
            ? `Expected an \`encryptionKey\` that opens ${path}, found that none of those given does`
            : `Expected an \`encryptionKey\`: ${path} is encrypted. Give the key it was written with`,
          { path },
        )
      }
      return new FramedFile(path, file, found, opened.cipher, opened.current)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  /**
   * Reads from `offset`, where the frame `sequence` is expected, to the end of the file.
   *
   * @param live the file is still being appended to: what is not whole at its end is not damage
   */
  async read(
    onFrame: OnFrame,
    { offset = HEAD_LENGTH, sequence = FIRST_SEQUENCE, live = false } = {},
  ): Promise<FrameScan> {
    const scan: FrameScan = { end: offset, sequence, damage: [], torn: undefined }
    const window = new Window(this.#file)
    while (scan.end < this.size) {
      const length = await this.#tell(window, scan, onFrame)
      if (length > 0) {
        scan.end += length
        continue
      }
      const next = live && length < 0 ? -1 : await this.#resync(window, scan)
      const bytes = (next < 0 ? this.size : next) - scan.end
      const damage = { offset: scan.end, bytes, sequence: scan.sequence, next: Infinity }
      if (next < 0) {
        scan.torn = damage
        break
      }
      scan.damage.push(damage)
      scan.end = next
    }
    return scan
  }

  /** Tells the frame at `scan.end`. @returns its length; 0: damaged; -1: goes past the end. */
  async #tell(window: Window, scan: FrameScan, onFrame: OnFrame): Promise<number> {
    const at = scan.end
    const head = await window.at(at, FRAME_HEADER)
    if (head.length < FRAME_HEADER) return -1
    const frame = parseFrameHeader(head, 0)
    if (!frame || frame.sequence < scan.sequence) return 0
    const length = FRAME_HEADER + frame.length
    if (at + length > this.size) return -1
    const bytes = await window.at(at, length)
    const sealed = bytes.subarray(FRAME_HEADER, length)
    if (frameChecksum(this.#idChecksum, bytes, sealed) !== frame.checksum) return 0
    const payload = this.#cipher ? this.#cipher.open(frame.kind, frame.sequence, sealed) : sealed
    if (!payload) return 0
    const last = scan.damage.at(-1)
    const { sequence } = frame
    if (last?.next === Infinity) last.next = sequence
    else if (sequence > scan.sequence) {
      scan.damage.push({ offset: at, bytes: 0, sequence: scan.sequence, next: sequence })
    }
    scan.sequence = sequence + 1
    try {
      onFrame(frame.kind, payload, frame.sequence)
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      scan.damage.push({ offset: at, bytes: length, sequence, next: sequence + 1 })
    }
    return length
  }

  /** Where the next whole frame behind `scan.end` starts; -1: nowhere; the file's end: too much looks like one. */
  async #resync(window: Window, scan: FrameScan): Promise<number> {
    let budget = this.size * 4 + SEARCHED_MOST
    for (let at = scan.end + 1; at + FRAME_HEADER <= this.size;) {
      const bytes = await window.rest(at)
      const found = findHead(bytes)
      if (found < 0) {
        at += Math.max(1, bytes.length - FRAME_HEADER + 1)
        continue
      }
      at += found
      const head = await window.at(at, FRAME_HEADER)
      const frame = head.length < FRAME_HEADER ? undefined : parseFrameHeader(head, 0)
      // No more frames can be lost than have room in between.
      const lost = frame ? frame.sequence - scan.sequence : -1
      const possible = lost >= 0 && lost <= (at - scan.end) / FRAME_HEADER
      if (frame && possible && at + FRAME_HEADER + frame.length <= this.size) {
        budget -= frame.length
        if (budget < 0) return this.size
        const whole = await window.at(at, FRAME_HEADER + frame.length)
        const checksum = frameChecksum(this.#idChecksum, whole, whole.subarray(FRAME_HEADER))
        if (checksum === frame.checksum) return at
      }
      at++
    }
    return -1
  }
}

/** Where the fixed bytes of a frame's head are, with all of the head behind them; or -1. */
function findHead(bytes: Buffer): number {
  let found = bytes.indexOf(0x94)
  while (found >= 0 && found + FRAME_HEADER <= bytes.length) {
    if (parseFrameHeader(bytes, found)) return found
    found = bytes.indexOf(0x94, found + 1)
  }
  return -1
}

function readHead(
  head: Buffer,
  path: string,
): ReturnType<typeof decodeHeaderPayload> & {
  headDamaged: boolean
} {
  const copies = [0, 1].map((copy) => readHeadCopy(head, copy, path))
  const found = copies[0] ?? copies[1]
  if (found) return { ...found, headDamaged: !copies[0] || !copies[1] }
  if (head.includes(FORMAT_NAME)) {
    throw new StoreError('ERR_DAMAGED', `Expected a header in ${path}, found it damaged`, {
      path,
      offset: 0,
    })
  }
  throw new StoreError(
    'ERR_FORMAT_FOREIGN',
    `Expected ${path} to be a file of this package, found ${
      head.length === 0 ? 'an empty file' : 'something else'
    }. Move it away or set \`snapshotPath\` to another path`,
    { path },
  )
}

function readHeadCopy(head: Buffer, copy: number, path: string) {
  const at = copy * HEADER_FRAME
  const bytes = head.subarray(at, at + HEADER_FRAME)
  if (bytes.length < HEADER_FRAME) return undefined
  const frame = parseFrameHeader(bytes, 0)
  const payload = bytes.subarray(FRAME_HEADER)
  if (frame?.kind !== FrameKind.header || frame.sequence !== copy) return undefined
  if (frame.length !== payload.length) return undefined
  if (frameChecksum(0, bytes, payload) !== frame.checksum) return undefined
  try {
    return decodeHeaderPayload(payload, path)
  } catch (error) {
    if (error instanceof MalformedError) return undefined
    throw error
  }
}
