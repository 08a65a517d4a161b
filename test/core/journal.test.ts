import { Unpackr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { Changes } from '../../src/core/changes.js'
import { FRAME_TARGET, FrameKind } from '../../src/core/format.js'
import { FrameEncoder, HEAD_LENGTH } from '../../src/core/frames.js'
import { Journal } from '../../src/core/journal.js'
import type { MergeTarget } from '../../src/core/merge.js'
import { errno, MemoryFiles, PATH } from '../support/memory-files.js'
import {
  contentsOf,
  headerOf,
  HOUR,
  putSession,
  readInto,
  recordOf,
  shapes,
  structuresOf,
  targetOf,
  teach,
} from '../support/records.js'
import { NOON } from '../support/stub-clock.js'
import { textOf } from '../support/bodies.js'

const JOURNAL = `${PATH}.journal-1`

function create(files: MemoryFiles): Promise<Journal> {
  const encoder = new FrameEncoder(headerOf({ kind: 'journal' }), undefined)
  return Journal.create(files, JOURNAL, 1, encoder)
}

/** Appends what has changed, as an owner would, and syncs. */
async function append(journal: Journal, target: MergeTarget, note: (changes: Changes) => void) {
  const changes = new Changes()
  note(changes)
  const frames = [...journal.frames(target, changes)]
  for (const frame of frames) await journal.append(frame)
  await journal.sync()
  return frames
}

type Frame = [kind: number, sequence: number, checksum: number, payload: Buffer]
const plain = new Unpackr({ useRecords: false, int64AsType: 'number' })
/** The records of all frames of a journal, as any MessagePack decoder reads them. */
function recordsIn(files: MemoryFiles): unknown[][] {
  const frames = plain.unpackMultiple(files.get(JOURNAL)) as Frame[]
  expect(frames.map(([, sequence]) => sequence)).toEqual(frames.map((_, i) => i))
  expect(frames.slice(0, 2).map(([kind]) => kind)).toEqual([FrameKind.header, FrameKind.header])
  return frames.slice(2).flatMap(([, , , payload]) => plain.unpackMultiple(payload) as unknown[][])
}

test('is created with its header, and on disk with its name after the first sync', async () => {
  const files = new MemoryFiles()
  const target = targetOf()
  const journal = await create(files)
  expect([journal.bytes, journal.number, journal.generation]).toEqual([HEAD_LENGTH, 1, 1])
  putSession(target, 'a', { n: 1 })
  await append(journal, target, (changes) => changes.set('a'))
  await append(journal, target, (changes) => changes.set('a'))
  const name = 's.snapshot.journal-1'
  expect(files.calls).toEqual([
    `create ${name}`,
    `append ${name}`,
    `append ${name}`,
    `sync ${name}`,
    'syncFolder sessions',
    `append ${name}`,
    `sync ${name}`,
  ])
  expect(journal.bytes).toBe(files.get(JOURNAL).length)
})

describe('each change', () => {
  test('is one record of its kind, read from the table when it is written', async () => {
    const files = new MemoryFiles()
    const target = targetOf()
    const journal = await create(files)
    putSession(target, 'set', { n: 1 }, { stamp: 1 })
    putSession(target, 'touched', { n: 2 }, { stamp: 2 })
    target.tombstones.add('gone later', 9, NOON + HOUR)
    await append(journal, target, (changes) => {
      changes.clear(3)
      changes.set('set')
      changes.touch('touched')
      changes.remove('gone', { stamp: 4, until: 5 })
      changes.set('gone later')
      changes.set('expired meanwhile')
      putSession(target, 'set', { n: 3 }, { stamp: 8 })
    })
    const expires = NOON + HOUR
    const body = Buffer.from(textOf(target.table.body(target.table.find('set'))), 'latin1')
    const records = recordsIn(files)
    expect(records[0]).toEqual([6, 3])
    const entry = records.findIndex(([kind]) => kind === 3)
    expect(records.slice(entry - 1, entry + 1)).toEqual([
      [7, 0],
      [3, 'set', expires, 8, 0, null, null, body],
    ])
    // Of different sessions in whatever order.
    const others = records.filter(
      (_, index) => index !== 0 && index !== entry && index !== entry - 1,
    )
    expect(others.sort()).toEqual([
      [4, 'touched', expires, 2, 0, null, null],
      [5, 'gone later', 9, expires],
      [5, 'gone', 4, 5],
    ])
  })

  test('is noted as saved, so that small touches know what the file holds', async () => {
    const target = targetOf()
    const journal = await create(new MemoryFiles())
    const slot = putSession(target, 'a', {})
    await append(journal, target, (changes) => changes.touch('a'))
    expect(target.table.saved(slot)).toBe(NOON + HOUR)
  })

  test('of nothing is nothing: no frame, not even an empty one', async () => {
    const target = targetOf()
    const journal = await create(new MemoryFiles())
    expect(await append(journal, target, () => undefined)).toEqual([])
    expect(await append(journal, target, (changes) => changes.touch('nobody'))).toEqual([])
  })
})

describe('structures', () => {
  test('are told in front of the first body that needs them', async () => {
    const files = new MemoryFiles()
    const target = targetOf()
    const journal = await create(files)
    teach(target.codec, { user: 1, name: 'n' })
    putSession(target, 'a', { user: 1, name: 'n' })
    await append(journal, target, (changes) => changes.set('a'))
    teach(target.codec, { cart: 1, total: 'n' })
    putSession(target, 'b', { cart: 1, total: 'n' })
    await append(journal, target, (changes) => {
      changes.set('a')
      changes.set('b')
    })
    const told = recordsIn(files).map(([kind, first]) => [kind, first])
    expect(structuresOf(target.codec)).toEqual([
      ['user', 'name'],
      ['cart', 'total'],
    ])
    // Some are told twice, in two frames, so that damage to one of them costs no others.
    const known = new Set<unknown>()
    for (const [kind, value] of told) {
      if (kind === 1) known.add(value)
      if (kind === 7) expect(known.size).toBeGreaterThanOrEqual(value as number)
    }
    expect(told.filter(([kind]) => kind !== 1)).toEqual([
      [7, 1],
      [3, 'a'],
      [7, 2],
      [3, 'a'],
      [7, 2],
      [3, 'b'],
    ])
    const copy = targetOf()
    await readInto(copy, files, [JOURNAL])
    expect(contentsOf(copy)).toEqual(contentsOf(target))
  })

  test('are told again in every file that carries a body', async () => {
    const target = targetOf()
    teach(target.codec, { user: 1, name: 'n' })
    putSession(target, 'a', { user: 1, name: 'n' })
    await append(await create(new MemoryFiles()), target, (changes) => changes.set('a'))
    const files = new MemoryFiles()
    await append(await create(files), target, (changes) => changes.set('a'))
    expect(recordsIn(files)[0]).toEqual([1, 0, ['user', 'name']])
  })
})

test('many changes are many frames, each of about 64 KiB', async () => {
  const files = new MemoryFiles()
  const target = targetOf()
  const journal = await create(files)
  const cookie = shapes.of({ path: '/' })
  for (let i = 0; i < 2000; i++) putSession(target, `${i}`, { t: 'x'.repeat(300) }, { cookie })
  const frames = await append(journal, target, (changes) => {
    for (let i = 0; i < 2000; i++) changes.set(`${i}`)
  })
  expect(frames.length).toBeGreaterThan(5)
  expect(Math.max(...frames.map(({ length }) => length))).toBeLessThan(FRAME_TARGET + 1024)
  const copy = targetOf()
  await readInto(copy, files, [JOURNAL])
  expect(contentsOf(copy)).toEqual(contentsOf(target))
})

test('changes while a change is being written come out as they were at one moment each', async () => {
  const files = new MemoryFiles()
  const target = targetOf()
  const journal = await create(files)
  const changes = new Changes()
  for (let i = 0; i < 8; i++) {
    putSession(target, `${i}`, { bulk: 'x'.repeat(40_000), v: 1 })
    changes.set(`${i}`)
  }
  let wrote = 0
  for (const frame of journal.frames(target, changes)) {
    await journal.append(frame)
    if (wrote++ > 0) continue
    putSession(target, '0', { v: 2 }, { stamp: 2 })
    putSession(target, '7', { v: 2 }, { stamp: 2 })
    target.table.remove(target.table.find('6'))
  }
  const copy = targetOf()
  await readInto(copy, files, [JOURNAL])
  const versions = Object.entries(contentsOf(copy)).map(([sid, entry]) => [
    sid,
    (entry as { data: { v: number } }).data.v,
  ])
  expect(Object.fromEntries(versions)).toEqual({ 0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 7: 2 })
})

describe('a journal that can not be begun', () => {
  test('leaves nothing behind where its header could not be written', async () => {
    const files = new MemoryFiles()
    files.fail = (operation) => (operation === 'append' ? errno('ENOSPC') : undefined)
    await expect(create(files)).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(files.names()).toEqual([])
  })

  test('is not begun over another one', async () => {
    const files = new MemoryFiles()
    files.contents.set(JOURNAL, Buffer.from('of another process'))
    await expect(create(files)).rejects.toMatchObject({ code: 'EEXIST' })
    expect(files.get(JOURNAL).toString()).toBe('of another process')
  })
})

test('while the process exits, writes the same bytes in one go', async () => {
  const [files, inOneGo] = [new MemoryFiles(), new MemoryFiles()]
  const target = targetOf()
  target.table.put(recordOf({ sid: 'a' }), target.codec.encode({ n: 1 }))
  await append(await create(files), target, (changes) => changes.set('a'))
  const encoder = new FrameEncoder(headerOf({ kind: 'journal' }), undefined)
  const journal = Journal.createSync(inOneGo, JOURNAL, 1, encoder)
  const changes = new Changes()
  changes.set('a')
  for (const frame of journal.frames(target, changes)) journal.appendSync(frame)
  journal.syncSync()
  journal.closeSync()
  expect(inOneGo.get(JOURNAL)).toEqual(files.get(JOURNAL))
  expect(inOneGo.calls.slice(-2)).toEqual(['sync s.snapshot.journal-1', 'syncFolder sessions'])
})
