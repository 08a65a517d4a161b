/**
 * Files taken apart into frames, and damaged where a test wants it.
 */
import {
  FRAME_HEADER,
  type FrameKind,
  parseFrameHeader,
  RecordKind,
} from '../../src/core/format.js'
import { recordsIn } from './journals.js'
import type { MemoryFiles } from './memory-files.js'

export interface FoundFrame {
  kind: FrameKind
  sequence: number
  offset: number
  /** Bytes, its head included. */
  length: number
}

/** The frames of a whole file, both copies of the header included. */
export function framesIn(bytes: Buffer): FoundFrame[] {
  const frames: FoundFrame[] = []
  for (let offset = 0; offset < bytes.length;) {
    const head = parseFrameHeader(bytes, offset)
    if (!head) throw new Error(`no frame at ${offset}`)
    const length = FRAME_HEADER + head.length
    frames.push({ kind: head.kind, sequence: head.sequence, offset, length })
    offset += length
  }
  return frames
}

/** Changes the file at `path`. */
function rewrite(files: MemoryFiles, path: string, change: (bytes: Buffer) => Buffer): void {
  files.contents.set(path, change(Buffer.from(files.get(path))))
}

/** Flips a byte in the payload of each frame that is meant; returns where those begin. */
export function flipFrames(
  files: MemoryFiles,
  path: string,
  meant: (frame: FoundFrame, index: number) => boolean,
): number[] {
  const hit = framesIn(files.get(path)).filter(meant)
  if (hit.length === 0) throw new Error('no such frame')
  rewrite(files, path, (bytes) => {
    for (const { offset } of hit) bytes[offset + FRAME_HEADER]! ^= 0x80
    return bytes
  })
  return hit.map(({ offset }) => offset)
}

/** Flips a byte in each frame that holds entries; for plain files. */
export function flipEntries(files: MemoryFiles, path: string): number[] {
  const bytes = files.get(path)
  return flipFrames(files, path, ({ offset, length }) =>
    recordsIn(bytes.subarray(offset, offset + length)).some(([kind]) => kind === RecordKind.entry),
  )
}

/** Flips the byte at `offset`. */
export function flip(files: MemoryFiles, path: string, offset: number): void {
  rewrite(files, path, (bytes) => {
    bytes[offset]! ^= 0x01
    return bytes
  })
}

/** Cuts the last `bytes` bytes off. */
export function cut(files: MemoryFiles, path: string, bytes: number): void {
  rewrite(files, path, (whole) => whole.subarray(0, whole.length - bytes))
}
