/**
 * What the files of a store hold, as any MessagePack decoder reads them.
 */
import { Unpackr } from 'msgpackr'
import { FrameKind } from '../../src/core/format.js'
import type { MemoryFiles } from './memory-files.js'

const plain = new Unpackr({ useRecords: false, int64AsType: 'number' })
const NAMES = ['', 'structure', 'cookie', 'set', 'touch', 'removal', 'clear', 'needs']

/** The changes in all journals of a plain store, in order, as `set a`. */
export function changesIn(files: MemoryFiles): string[] {
  const journals = [...files.contents].filter(([path]) => /\.journal-\d+$/.test(path))
  const number = (path: string) => Number(/\d+$/.exec(path))
  journals.sort(([a], [b]) => number(a) - number(b))
  return journals.flatMap(([, bytes]) => recordsIn(bytes).map(tell)).filter((told) => told !== '')
}

/** The records of a plain file. */
export function recordsIn(bytes: Buffer): unknown[][] {
  const frames = plain.unpackMultiple(bytes) as [kind: number, number, number, payload: Buffer][]
  return frames.flatMap(([kind, , , payload]) =>
    kind === FrameKind.records || kind === FrameKind.removals
      ? (plain.unpackMultiple(payload) as unknown[][])
      : [],
  )
}

function tell([kind, sid]: unknown[]): string {
  const name = NAMES[kind as number]!
  const text = Buffer.isBuffer(sid) ? sid.toString('base64url') : String(sid)
  return name === 'clear' ? name : /set|touch|removal/.test(name) ? `${name} ${text}` : ''
}
