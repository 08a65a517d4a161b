import { Unpackr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { FRAME_TARGET, FrameKind } from '../../src/core/format.js'
import { FrameEncoder, HEAD_LENGTH } from '../../src/core/frames.js'
import { Journal } from '../../src/core/journal.js'
import type { MergeTarget } from '../../src/core/merge.js'
import { Pending } from '../../src/core/pending.js'
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
  return Journal.create(files, JOURNAL, encoder)
}

/** Appends what has changed, as an owner would, and syncs. */
async function append(journal: Journal, target: MergeTarget, note: (pending: Pending) => void) {
  const pending = new Pending(target.table)
  note(pending)
  const frames: Buffer[] = []
  for (const frame of journal.frames(target, pending.begin())) {
    await journal.append(frame)
    frames.push(Buffer.from(frame))
  }
  pending.written()
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
  expect([journal.bytes, journal.generation]).toEqual([HEAD_LENGTH, 1])
  const slot = putSession(target, 'a', { n: 1 })
  await append(journal, target, (pending) => pending.set(slot))
  await append(journal, target, (pending) => pending.set(slot))
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
    putSession(target, 'gone later', {})
    putSession(target, 'expired meanwhile', {})
    const { table, tombstones } = target
    await append(journal, target, (pending) => {
      pending.clear(3)
      for (const sid of ['set', 'gone later', 'expired meanwhile']) pending.set(table.find(sid))
      pending.touch(table.find('touched'))
      pending.remove('gone', { stamp: 4, until: 5 })
      tombstones.add('gone later', 9, NOON + HOUR)
      for (const sid of ['gone later', 'expired meanwhile']) table.remove(table.find(sid))
      putSession(target, 'set', { n: 3 }, { stamp: 8 })
    })
    const expires = NOON + HOUR
    const body = Buffer.from(textOf(target.table.body(target.table.find('set'))), 'latin1')
    const records = recordsIn(files)
    expect(records[0]).toEqual([6, 3])
    const entry = records.findIndex(([kind]) => kind === 3)
    expect(records.slice(entry - 1, entry + 1)).toEqual([
      [7, 0],
      [3, 'set', expires, 8, null, body],
    ])
    // Of different sessions in whatever order.
    const others = records.filter(
      (_, index) => index !== 0 && index !== entry && index !== entry - 1,
    )
    expect(others.sort()).toEqual([
      // As the entry, and 6 before its stamp.
      [4, 'touched', 0, -6, null],
      [5, 'gone later', 9, expires],
      [5, 'gone', 4, 5],
    ])
  })

  test('is noted as saved, so that small touches know what the file holds', async () => {
    const target = targetOf()
    const journal = await create(new MemoryFiles())
    const slot = putSession(target, 'a', {})
    await append(journal, target, (pending) => pending.touch(slot))
    expect(target.table.saved(slot)).toBe(NOON + HOUR)
  })

  test('of nothing is nothing: no frame, not even an empty one', async () => {
    const target = targetOf()
    const journal = await create(new MemoryFiles())
    expect(await append(journal, target, () => undefined)).toEqual([])
    const slot = putSession(target, 'nobody', {})
    const leaving = (pending: Pending) => {
      pending.touch(slot)
      target.table.remove(slot)
    }
    expect(await append(journal, target, leaving)).toEqual([])
  })
})

describe('structures', () => {
  test('are told in front of the first body that needs them', async () => {
    const files = new MemoryFiles()
    const target = targetOf()
    const journal = await create(files)
    teach(target.codec, { user: 1, name: 'n' })
    const a = putSession(target, 'a', { user: 1, name: 'n' })
    await append(journal, target, (pending) => pending.set(a))
    teach(target.codec, { cart: 1, total: 'n' })
    const b = putSession(target, 'b', { cart: 1, total: 'n' })
    await append(journal, target, (pending) => {
      pending.set(a)
      pending.set(b)
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
    const slot = putSession(target, 'a', { user: 1, name: 'n' })
    await append(await create(new MemoryFiles()), target, (pending) => pending.set(slot))
    const files = new MemoryFiles()
    await append(await create(files), target, (pending) => pending.set(slot))
    expect(recordsIn(files)[0]).toEqual([1, 0, ['user', 'name']])
  })
})

test('many changes are many frames, each of about 64 KiB', async () => {
  const files = new MemoryFiles()
  const target = targetOf()
  const journal = await create(files)
  const cookie = shapes.of({ path: '/' })
  const frames = await append(journal, target, (pending) => {
    for (let i = 0; i < 2000; i++) {
      pending.set(putSession(target, `${i}`, { t: ' '.repeat(300) }, { cookie }))
    }
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
  const pending = new Pending(target.table)
  for (let i = 0; i < 8; i++) {
    pending.set(putSession(target, `${i}`, { bulk: ' '.repeat(40_000), v: 1 }))
  }
  let wrote = 0
  for (const frame of journal.frames(target, pending.begin())) {
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

describe('what goes before it is written', () => {
  /** Begins to write eight sessions of 40 kB, of which `meanwhile` sees two in the first frame. */
  async function written(
    meanwhile: (target: MergeTarget, pending: Pending, slotOf: (sid: string) => number) => void,
  ) {
    const files = new MemoryFiles()
    const target = targetOf()
    const journal = await create(files)
    const pending = new Pending(target.table)
    for (let i = 0; i < 8; i++) {
      pending.touch(putSession(target, `${i}`, { bulk: ' '.repeat(40_000) }))
      pending.set(target.table.find(`${i}`))
    }
    let wrote = 0
    for (const frame of journal.frames(target, pending.begin())) {
      await journal.append(frame)
      if (wrote++ === 0) meanwhile(target, pending, (sid) => target.table.find(sid))
    }
    return recordsIn(files)
      .filter(([kind]) => kind !== 1 && kind !== 7)
      .map(([kind, name]) => [kind, name])
  }
  const entries = (sids: number[]) => sids.map((i) => [3, `${i}`])

  test('by being destroyed is told as gone, whoever has its slot by then', async () => {
    const told = await written(({ table, tombstones, codec }, pending, slotOf) => {
      const slot = slotOf('6')
      pending.remove('6', tombstones.add('6', 9, NOON + HOUR))
      table.remove(slot)
      pending.set(putSession({ table, codec }, 'new', {}))
      expect(slotOf('new')).toBe(slot)
    })
    expect(told).toEqual([...entries([0, 1, 2, 3, 4, 5, 7]), [5, '6']])
  })

  test('and comes back meanwhile is told whole as it is now', async () => {
    const told = await written((target, pending, slotOf) => {
      pending.remove('6', target.tombstones.add('6', 9, NOON + HOUR))
      target.table.remove(slotOf('6'))
      putSession(target, 'in its slot', {})
      pending.set(putSession(target, '6', {}, { stamp: 10 }))
    })
    expect(told).toEqual(entries([0, 1, 2, 3, 4, 5, 7, 6]))
  })

  test('by a clear is told as cleared, and nothing set since in its slot', async () => {
    const told = await written((target, pending) => {
      target.table.clear()
      target.tombstones.clear(9)
      pending.clear(9)
      for (let i = 0; i < 8; i++) pending.set(putSession(target, `new ${i}`, {}, { stamp: 10 }))
    })
    expect(told).toEqual([...entries([0, 1]), [6, 9]])
  })

  test('by its expiry is not told of', async () => {
    const told = await written(({ table }, pending, slotOf) => {
      pending.expire(slotOf('6'), { stamp: 1, until: 0 })
      table.remove(slotOf('6'))
    })
    expect(told).toEqual(entries([0, 1, 2, 3, 4, 5, 7]))
  })
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
  const slot = target.table.put(recordOf({ sid: 'a' }), target.codec.encode({ n: 1 }))
  await append(await create(files), target, (pending) => pending.set(slot))
  const encoder = new FrameEncoder(headerOf({ kind: 'journal' }), undefined)
  const journal = Journal.createSync(inOneGo, JOURNAL, encoder)
  const pending = new Pending(target.table)
  pending.set(slot)
  for (const frame of journal.frames(target, pending.begin())) journal.appendSync(frame)
  journal.syncSync()
  expect(inOneGo.get(JOURNAL)).toEqual(files.get(JOURNAL))
  expect(inOneGo.calls.slice(-2)).toEqual(['sync s.snapshot.journal-1', 'syncFolder sessions'])
})
