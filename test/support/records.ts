/**
 * Records and files for tests: entries with as little said as a test needs, headers, targets to
 * read into, and files written frame by frame as the test wants them.
 */
import fc from 'fast-check'
import type { Changes } from '../../src/core/changes.js'
import { type FrameCipher, KeyRing } from '../../src/core/cipher.js'
import { Codec, type SessionCodec } from '../../src/core/codec.js'
import { type CookieShape, CookieShapes, shapeText } from '../../src/core/cookie.js'
import type { EntryRecord, FrameKind, RecordSink } from '../../src/core/format.js'
import { RecordWriter } from '../../src/core/record-writer.js'
import { FramedFile } from '../../src/core/framed-file.js'
import { FrameEncoder } from '../../src/core/frames.js'
import type { FileHeader } from '../../src/core/header.js'
import { Merge, type MergeOptions, type MergeTarget } from '../../src/core/merge.js'
import { readRecords } from '../../src/core/reading.js'
import type { Span } from '../../src/core/span.js'
import { Table } from '../../src/core/table.js'
import { type Removal, Tombstones } from '../../src/core/tombstones.js'
import { textOf } from './bodies.js'
import type { MemoryFiles } from './memory-files.js'
import { NOON } from './stub-clock.js'

export const shapes = new CookieShapes()
export const HOUR = 3_600_000

/** An entry's record; alive for an hour after noon where nothing is said. */
export function recordOf(fields: Partial<EntryRecord> & { sid: string }): EntryRecord {
  const stamp = fields.stamp ?? 1
  return {
    expires: NOON + HOUR,
    stamp,
    used: stamp,
    cookie: undefined,
    cookieExpires: NaN,
    ...fields,
  }
}

export function headerOf(fields: Partial<FileHeader> = {}): FileHeader {
  return {
    kind: 'snapshot',
    id: Buffer.alloc(16, 1),
    store: Buffer.alloc(16, 2),
    lineage: Buffer.alloc(16, 3),
    generation: 1,
    created: NOON,
    stamp: 0,
    encoding: 'msgpack',
    sessions: 0,
    tail: false,
    pid: 1,
    term: 0,
    salt: undefined,
    ...fields,
  }
}

/** What a file is made of: frames, each a kind and its payload, or what is written into it. */
export type Part = readonly [kind: FrameKind, payload: Buffer | ((writer: RecordWriter) => void)]

/** The bytes of a file of these frames. */
export function fileOf(header: FileHeader, parts: Part[], cipher?: FrameCipher): Buffer {
  const encoder = new FrameEncoder(header, cipher)
  const writer = new RecordWriter()
  const frames = parts.map(([kind, payload]) => {
    if (typeof payload !== 'function') return encoder.frame(kind, payload)
    writer.reset()
    payload(writer)
    return encoder.frame(kind, writer.payload())
  })
  return Buffer.concat([encoder.head(), ...frames])
}

export const noKeys = new KeyRing([])

export function openFile(files: MemoryFiles, path: string, keys = noKeys): Promise<FramedFile> {
  return FramedFile.open(files, path, keys)
}

/** An empty store to read into. */
export function targetOf(limits = { max: 0, maxBytes: 0 }): MergeTarget & { evicted: string[] } {
  const evicted: string[] = []
  const table: Table = new Table(limits, (slot) => evicted.push(table.sid(slot)))
  return {
    table,
    tombstones: new Tombstones(),
    codec: new Codec(),
    lineage: Buffer.alloc(16, 3),
    makeCodec: () => new Codec(),
    evicted,
  }
}

/** Encodes sessions of one shape until it is shared; returns a body that needs the structure. */
export function teach(codec: SessionCodec, data: object): string {
  const known = codec.structures.length
  for (let i = 0; i < 1000 && codec.structures.length === known; i++) codec.encode(data)
  return textOf(codec.encode(data))
}

/** The structures of a codec as a file would tell them. */
export function structuresOf(codec: SessionCodec): string[][] {
  return codec.structures.map((keys) => [...keys])
}

/** Puts a session as the engine would, with a stamp and a life of an hour where nothing is said. */
export function putSession(
  target: Pick<MergeTarget, 'table' | 'codec'>,
  sid: string,
  data: object,
  fields: Partial<EntryRecord> = {},
): number {
  return target.table.put(recordOf({ sid, ...fields }), target.codec.encode(data))
}

/** Reads whole files into a target, in the order given; undecided records are where they stand. */
export async function readInto(
  target: MergeTarget,
  files: MemoryFiles,
  paths: string[],
  options: Partial<MergeOptions> = {},
): Promise<Merge> {
  const merge = new Merge(target, { now: () => NOON, ...options })
  for (const path of paths) {
    const file = await openFile(files, path)
    const scan = await readRecords({ shapes }, file, merge)
    if (scan.damage.length > 0 || scan.torn) throw new Error(`${path} is not whole`)
  }
  return merge
}

/** What notes ask to be told of each session; undefined: that it is gone, if anybody knows how. */
export function toldBy(table: Table, changes: Changes) {
  const told: Record<string, 'set' | 'touch' | Removal | undefined> = Object.create(null)
  for (const slot of changes.slots()) told[table.sid(slot)] = changes.whole(slot) ? 'set' : 'touch'
  for (const [sid, removal] of changes.gone) {
    if (Object.hasOwn(told, sid)) throw new Error(`${sid} is noted twice`)
    told[sid] = removal
  }
  return { ...told }
}

/** The entries of a table by sid, with all that is to be the same after a restart. */
export function contentsOf({ table, codec }: Pick<MergeTarget, 'table' | 'codec'>) {
  const found: Record<string, unknown> = {}
  for (let slot = 0; slot < table.slots; slot++) {
    if (!table.has(slot)) continue
    found[table.sid(slot)] = {
      data: codec.decode(table.body(slot)),
      expires: table.expires(slot),
      stamp: table.stamp(slot),
      cookie: cookieText(table.cookie(slot)),
      cookieExpires: table.cookieExpires(slot),
    }
  }
  return found
}

/** A sink that writes down what it is told. */
export class ListSink implements RecordSink {
  readonly told: unknown[] = []

  structure(id: number, keys: string[]): void {
    this.told.push(['structure', id, keys])
  }

  needs(count: number): void {
    this.told.push(['needs', count])
  }

  entry(record: EntryRecord, body: Span | undefined): void {
    this.told.push([body ? 'entry' : 'touch', { ...record }, body && textOf(body)])
  }

  removal(sid: string, stamp: number, until: number): void {
    this.told.push(['removal', sid, stamp, until])
  }

  clear(stamp: number): void {
    this.told.push(['clear', stamp])
  }
}

/** Text of any code units that UTF-8 can tell. */
export const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.stringMatching(/^[\w-]{12,28}$/),
  fc.constantFrom('a'.repeat(340), 'a'.repeat(344), '_'.repeat(16), `${'b'.repeat(31)}=`),
  fc.constantFrom('', '\0', 'é', '日本', '🎁', 'x'.repeat(85), 'x'.repeat(86), '\u2028'.repeat(90)),
)
/** Times and stamps as far as they may go. */
export const anyNumber = fc.oneof(
  fc.nat(),
  fc.maxSafeNat(),
  fc.constantFrom(0, 127, 128, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER, -1, 0.5, 1e300),
  fc.nat(40_000).map((less) => Number.MAX_SAFE_INTEGER - less),
  // A zero is a zero: the moment is the same.
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value || 0),
)
/** A body: text of one-byte characters. */
export const anyBody = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  fc.constantFrom('', '\xff', 'y'.repeat(0xffff), 'y'.repeat(0x10000), 'y'.repeat(200_000)),
)

function cookieText(cookie: CookieShape | undefined): string | undefined {
  return cookie && shapeText(cookie)
}
