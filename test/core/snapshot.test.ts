import { Packr, Unpackr } from 'msgpackr'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Changed } from '../../src/core/changes.js'
import { Codec } from '../../src/core/codec.js'
import { FRAME_TARGET, FrameKind, MalformedError } from '../../src/core/format.js'
import { FrameEncoder, HEAD_LENGTH } from '../../src/core/frames.js'
import type { MergeTarget } from '../../src/core/merge.js'
import { Pending } from '../../src/core/pending.js'
import { RecordReader } from '../../src/core/records.js'
import { decodeFooter, snapshotChunks, type SnapshotFooter } from '../../src/core/snapshot.js'
import { MemoryFiles, PATH } from '../support/memory-files.js'
import {
  contentsOf,
  headerOf,
  HOUR,
  ListSink,
  openFile,
  putSession,
  readInto,
  shapes,
  structuresOf,
  targetOf,
  teach,
} from '../support/records.js'
import { NOON } from '../support/stub-clock.js'
import { bodyOf } from '../support/bodies.js'

interface Written {
  files: MemoryFiles
  chunks: Buffer[]
  footer: SnapshotFooter
}

/** Writes a snapshot; `between` is called before each chunk is asked for. */
function write(
  target: MergeTarget,
  between: (chunk: number, before: Buffer | undefined) => void = () => undefined,
  changes?: () => Changed,
): Written {
  const encoder = new FrameEncoder(headerOf({ tail: changes !== undefined }), undefined)
  const { table, tombstones } = target
  const structures = () => target.codec.structures
  const source = { table, tombstones, now: NOON, structures, changes }
  const chunks: Buffer[] = []
  const generator = snapshotChunks(source, encoder)
  for (;;) {
    between(chunks.length, chunks.at(-1))
    const { value, done } = generator.next()
    if (done) {
      const files = new MemoryFiles()
      files.contents.set(PATH, Buffer.concat(chunks))
      return { files, chunks, footer: value }
    }
    chunks.push(Buffer.from(value))
  }
}

const session = fc.record({ user: fc.string(), views: fc.nat(), list: fc.array(fc.nat()) })
const cookie = shapes.of({ path: '/', expires: 0, httpOnly: true })

describe('a snapshot', () => {
  test('of any sessions brings them back, with cookies, expiries, recency and removals', async () => {
    const sessions = fc.dictionary(fc.string(), session, { maxKeys: 30 })
    await fc.assert(
      fc.asyncProperty(sessions, fc.array(fc.string()), async (all, removed) => {
        const target = targetOf()
        Object.entries(all).forEach(([sid, data], i) => {
          const cookieExpires = NOON + HOUR + i
          putSession(target, sid, data, { stamp: i + 1, cookie, cookieExpires, used: i + 50 })
        })
        const gone = removed.filter((sid) => !Object.hasOwn(all, sid))
        for (const sid of gone) target.tombstones.add(sid, 7, NOON + HOUR)
        const { files, footer } = write(target)
        const copy = targetOf()
        await readInto(copy, files, [PATH])
        expect(contentsOf(copy)).toEqual(contentsOf(target))
        for (const sid of Object.keys(all)) {
          expect(copy.table.used(copy.table.find(sid))).toBe(
            target.table.used(target.table.find(sid)),
          )
        }
        const removals = new Set(gone).size
        expect([...copy.tombstones.entries()]).toEqual([...target.tombstones.entries()])
        expect(footer).toMatchObject({ sessions: Object.keys(all).length, removals })
      }),
      { numRuns: 100 },
    )
  })

  test('is a sequence that any MessagePack decoder steps through, in the documented order', () => {
    const target = targetOf()
    target.tombstones.clear(3)
    target.tombstones.add('gone', 5, NOON + HOUR)
    teach(target.codec, { user: 1, name: 'n' })
    for (let i = 0; i < 40; i++) putSession(target, `sid-${i}`, { user: i, name: 'n' })
    const { files, footer } = write(target)
    const plain = new Unpackr({ useRecords: false })
    type Frame = [kind: number, sequence: number, checksum: number, payload: Buffer]
    const frames = plain.unpackMultiple(files.get(PATH)) as Frame[]
    expect(frames.map(([kind]) => kind)).toEqual([
      FrameKind.header,
      FrameKind.header,
      FrameKind.removals,
      FrameKind.records,
      FrameKind.records,
      FrameKind.records,
      FrameKind.footer,
    ])
    expect(frames.map(([, sequence]) => sequence)).toEqual([0, 1, 2, 3, 4, 5, 6])
    const kindsIn = (frame: number) =>
      (plain.unpackMultiple(frames[frame]![3]) as number[][]).map(([kind]) => kind)
    expect(kindsIn(2)).toEqual([6, 5])
    // The structures stand in front of the entries, and once more behind them.
    expect(new Set(kindsIn(3))).toEqual(new Set([1, 7]))
    expect(new Set(kindsIn(4))).toEqual(new Set([3, 7]))
    expect(kindsIn(5)).toEqual(kindsIn(3))
    expect(plain.unpack(frames[6]![3])).toEqual({ ...footer })
  })

  test('of many sessions is made in chunks of about a frame', () => {
    const target = targetOf()
    for (let i = 0; i < 5000; i++) putSession(target, `sid-${i}`, { text: ' '.repeat(200) })
    const { chunks } = write(target)
    expect(chunks.length).toBeGreaterThan(10)
    expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThan(FRAME_TARGET + 1024)
  })

  test('of a table with hardly anything left in it leaves room for others too', () => {
    const target = targetOf()
    for (let i = 0; i < 100_000; i++) putSession(target, `sid-${i}`, {})
    for (let i = 1; i < 100_000; i++) target.table.remove(target.table.find(`sid-${i}`))
    const { chunks } = write(target)
    expect(chunks.filter(({ length }) => length === 0).length).toBeGreaterThanOrEqual(3)
  })

  test('forgets removals that can matter no more, a few at a time', () => {
    const target = targetOf()
    for (let i = 0; i < 5000; i++) target.tombstones.add(`old-${i}`, 1, NOON)
    target.tombstones.add('new', 1, NOON + 1)
    const { chunks, footer } = write(target)
    expect([target.tombstones.size, footer.removals]).toEqual([1, 1])
    expect(chunks.filter(({ length }) => length === 0).length).toBeGreaterThanOrEqual(50)
  })
})

describe('what changes while a snapshot is written', () => {
  const sids = Array.from({ length: 24 }, (_, i) => `sid-${i}`)
  const step = fc.record({
    chunk: fc.nat(12),
    do: fc.constantFrom('set', 'set', 'touch', 'destroy', 'clear'),
    sid: fc.constantFrom(...sids, 'new one', 'another'),
  })

  test('is right in it when it is done', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const target = targetOf()
        const { table, tombstones } = target
        let stamp = 100
        const pending = new Pending(table)
        // Four entries fill a frame.
        const put = (sid: string) =>
          putSession(target, sid, { v: ++stamp, bulk: ' '.repeat(20_000) }, { stamp })
        for (const sid of sids) put(sid)
        const take = (one: (typeof steps)[number]) => {
          const slot = table.find(one.sid)
          if (one.do === 'clear') {
            table.clear()
            tombstones.clear(++stamp)
            pending.clear(stamp)
          } else if (one.do === 'set') pending.set(put(one.sid))
          else if (slot < 0) return
          else if (one.do === 'touch') {
            const expires = NOON + HOUR + ++stamp
            table.touch(slot, { ...readOf(target, slot), expires, stamp, used: stamp })
            pending.touch(slot)
          } else {
            pending.remove(one.sid, tombstones.add(one.sid, ++stamp, NOON + HOUR))
            table.remove(slot)
          }
        }
        const { files } = write(
          target,
          (chunk) => steps.filter((one) => one.chunk === chunk).forEach(take),
          () => pending.take(),
        )
        const copy = targetOf()
        await readInto(copy, files, [PATH])
        // Changes after the last round are told to the next snapshot.
        const { urgent } = pending
        const { slots, sids: gone } = pending.take()
        const late = new Set([...[...slots].map((slot) => table.sid(slot)), ...gone])
        const same = (target: MergeTarget) =>
          Object.entries(contentsOf(target)).filter(([sid]) => !late.has(sid))
        if (tombstones.cleared <= copy.tombstones.cleared || !urgent) {
          expect(new Map(same(copy))).toEqual(new Map(same(target)))
        }
      }),
      { numRuns: 150 },
    )
  })

  test('structures that come up meanwhile stand in front of the bodies that need them', async () => {
    const target = targetOf()
    const many = 32_768 + 10
    for (let i = 0; i < many; i++) putSession(target, `sid-${i}`, {})
    // What is left in front of the pause and behind it shares a frame.
    for (let i = 1; i < many - 5; i++) target.table.remove(target.table.find(`sid-${i}`))
    const { chunks, files } = write(target, (_, before) => {
      if (before?.length !== 0) return
      teach(target.codec, { fresh: 1, shape: 'of it' })
      putSession(target, `sid-${many - 1}`, { fresh: 1, shape: 'of it' })
    })
    expect(structuresOf(target.codec)).toEqual([['fresh', 'shape']])
    expect(chunks.some(({ length }) => length === 0)).toBe(true)
    const codec = new Codec()
    const known: string[][] = []
    const decoded: unknown[] = []
    const file = await openFile(files, PATH)
    let needs = 0
    await file.read((kind, payload) => {
      if (kind !== FrameKind.records) return
      const sink = new ListSink()
      new RecordReader(shapes).read(payload, sink)
      for (const [what, first, second] of sink.told as [string, unknown, unknown][]) {
        if (what === 'structure') known[first as number] = second as string[]
        else if (what === 'needs') needs = first as number
        else {
          expect(known.length).toBeGreaterThanOrEqual(needs)
          codec.adopt(known.slice(0, needs))
          decoded.push(codec.decode(bodyOf(second as string)))
        }
      }
    })
    expect(decoded.at(-1)).toEqual({ fresh: 1, shape: 'of it' })
  })
})

describe('a footer', () => {
  test.each([
    ['nothing', []],
    ['nil', [0xc0]],
    ['a number', [5]],
    ['cut off', [0x83, 0xa8]],
    ['without its counts', [0x80]],
    ['of other types', [...new Packr().pack({ sessions: '1', removals: 0, tailFrom: 0 })]],
  ])('that is %s is malformed', (_, bytes) => {
    expect(() => decodeFooter(Buffer.from(bytes))).toThrow(MalformedError)
  })

  test('says from where on changes stand', () => {
    const target = targetOf()
    const pending = new Pending(target.table)
    pending.set(putSession(target, 'a', {}))
    const { footer, files } = write(target, undefined, () => pending.take())
    expect(footer).toEqual({ sessions: 2, removals: 0, tailFrom: 4 })
    expect(files.get(PATH).length).toBeGreaterThan(HEAD_LENGTH)
  })
})

function readOf({ table }: MergeTarget, slot: number) {
  const record = { sid: '', expires: 0, stamp: 0, used: 0, cookie: undefined, cookieExpires: NaN }
  table.read(slot, record)
  return record
}
