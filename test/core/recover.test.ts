/**
 * Restores from snapshots, whole and damaged: what is served, what is filled in and what is told.
 */
import { dirname, join } from 'node:path'
import { Packr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { Codec } from '../../src/core/codec.js'
import { FrameKind } from '../../src/core/format.js'
import { placesOf, textOf } from '../support/bodies.js'
import { flip, flipEntries, flipFrames, framesIn } from '../support/damage.js'
import { errno, MemoryFiles, PATH } from '../support/memory-files.js'
import { fileOf, headerOf, HOUR, type Part, recordOf } from '../support/records.js'
import { NOON } from '../support/stub-clock.js'
import {
  begin,
  endsIn,
  lettersIn,
  open,
  restart,
  sessionOf,
  setLetters,
  twoGenerations,
} from '../support/stores.js'

/** A session without data. */
const EMPTY = textOf(new Codec().encode({}))

describe('whole files', () => {
  test('are read in the order of their generations, and reported', async () => {
    const before = await twoGenerations()
    const { store, errors } = await open({}, before)
    expect(await lettersIn({ store })).toBe('ade')
    const { files, ...report } = await store.ready()
    const bytes = ['', '.1', '.journal-1', '.journal-2', '.journal-3']
      .map((suffix) => before.files.contents.get(PATH + suffix)?.length ?? 0)
      .reduce((a, b) => a + b)
    expect(report).toMatchObject({ path: PATH, sessions: 3, expired: 0, damaged: 0, bytes })
    expect(report.filledIn).toBe(false)
    expect(files.map(({ kind, state, generation }) => [kind, state, generation])).toEqual([
      ['snapshot', 'whole', 2],
      ['journal', 'whole', 2],
    ])
    expect(files.every(({ records, damage }) => records > 0 && damage.length === 0)).toBe(true)
    expect(errors).toEqual([])
  })

  test('nothing at the path is an empty store', async () => {
    const { store, files } = await open()
    expect(await store.ready()).toMatchObject({ sessions: 0, bytes: 0, files: [] })
    await store.close()
    expect(files.names()).toEqual([])
  })

  test('a session that has expired is counted once, however many records tell of it', async () => {
    const stage = await open()
    await stage.store.set('a', sessionOf({}, endsIn(stage.clock, HOUR)))
    await stage.store.snapshot()
    await stage.store.set('a', sessionOf({}, endsIn(stage.clock, HOUR + 1)))
    await stage.store.close()
    stage.clock.jump(2 * HOUR)
    const { store } = await open({}, stage)
    expect(await store.ready()).toMatchObject({ sessions: 0, expired: 1 })
  })
})

describe('a damaged snapshot', () => {
  test('that is the first is filled in from the journals before it', async () => {
    const stage = await open()
    await setLetters(stage, 'abcdef')
    await stage.store.flush()
    await stage.store.snapshot()
    await stage.store.destroy('b')
    await stage.store.close()
    flipEntries(stage.files, PATH)
    const again = await open({}, stage)
    expect(await lettersIn(again)).toBe('acdef')
    expect(await again.store.ready()).toMatchObject({ filledIn: true })
  })

  test('is filled in by the generation before; what was destroyed since stays so', async () => {
    const before = await twoGenerations()
    const [offset] = flipEntries(before.files, PATH)
    const damaged = before.files.get(PATH)
    const { store, errors, files } = await open({}, before)
    expect(await lettersIn({ store })).toBe('ade')
    const report = await store.ready()
    expect(report).toMatchObject({ sessions: 3, damaged: 1, filledIn: true })
    const [snapshot] = report.files
    expect(snapshot).toMatchObject({ state: 'damaged', damage: [{ offset }] })
    expect(files.get(snapshot!.setAside!)).toEqual(damaged)
    expect(errors).toMatchObject([{ code: 'ERR_DAMAGED', path: PATH, offset }])
    // What is served stands in a whole generation at once.
    await store.close()
    expect(await lettersIn(await open({}, { files }))).toBe('ade')
  })

  test.each(['taken away', 'replaced by an older one'])(
    'that somebody has %s leaves the generation before for the journals to go on from',
    async (how) => {
      const early = await open()
      await setLetters(early, 'abz')
      await early.store.snapshot()
      const backup = early.files.get(PATH)
      await setLetters(early, 'c')
      await early.store.destroy('z')
      await early.store.snapshot()
      await setLetters(early, 'd')
      await early.store.destroy('b')
      await early.store.snapshot()
      await setLetters(early, 'e')
      await early.store.close()
      if (how === 'taken away') early.files.contents.delete(PATH)
      else early.files.contents.set(PATH, backup)
      const { store, errors } = await open({}, early)
      expect(await lettersIn({ store })).toBe('acde')
      expect(await store.ready()).toMatchObject({ damaged: 0, filledIn: true })
      expect(errors).toEqual([])
      expect(await lettersIn(await restart({ ...early, store }))).toBe('acde')
    },
  )

  test("that was taken away under 'snapshot' brings back nothing that was destroyed", async () => {
    const stage = await open({ durability: 'snapshot' })
    await setLetters(stage, 'ab')
    await stage.store.snapshot()
    await stage.store.destroy('b')
    await stage.store.snapshot()
    await stage.store.close()
    stage.files.contents.delete(PATH)
    const again = await open({ durability: 'snapshot' }, stage)
    expect(await again.store.get('b')).toBeUndefined()
  })

  test('is replaced by a whole one though the store closes at once', async () => {
    const before = await twoGenerations()
    flipEntries(before.files, PATH)
    await restart(await open({}, before))
    const { store, errors } = await open({}, { files: before.files.fork() })
    expect([await lettersIn({ store }), errors]).toEqual(['ade', []])
  })

  test('that has been replaced is no reason to distrust the next ones', async () => {
    const before = await twoGenerations()
    flipEntries(before.files, PATH)
    const again = await open({}, before)
    const { store, files } = again
    await store.snapshot()
    const whole = files.get(PATH)
    const written = files.count('rename')
    await setLetters(again, 'f')
    await store.flush()
    expect(files.count('rename')).toBe(written)
    await store.snapshot()
    expect(files.get(`${PATH}.1`)).toEqual(whole)
  })

  test('of which both headers are gone is filled in where journals tell every removal', async () => {
    const before = await twoGenerations()
    for (const at of [100, 612]) flip(before.files, PATH, at)
    const { store, errors } = await open({}, before)
    expect(await lettersIn({ store })).toBe('ade')
    expect(await store.ready()).toMatchObject({ filledIn: true })
    expect(errors).toMatchObject([{ code: 'ERR_DAMAGED' }])
  })

  test.each(['amid it', 'at its end'])(
    'of which both headers are gone is not filled in where a journal has lost removals too, %s',
    async (where) => {
      const stage = await open()
      const { store, files } = stage
      await setLetters(stage, 'ab')
      await store.snapshot()
      await store.destroy('b')
      await store.flush()
      if (where === 'amid it') await setLetters(stage, 'c')
      await store.flush()
      await store.snapshot()
      await store.close()
      for (const at of [100, 612]) flip(files, PATH, at)
      const journal = `${PATH}.journal-1`
      const removal = framesIn(files.get(journal)).length - (where === 'amid it' ? 2 : 1)
      flipFrames(files, journal, (_, index) => index === removal)
      const again = await open({}, stage)
      expect(await again.store.get('b')).toBeUndefined()
      expect(await again.store.ready()).toMatchObject({ filledIn: false })
    },
  )

  test.each(['snapshot', 'everysec'] as const)(
    'with durability %s is filled in without what was cleared since',
    async (durability) => {
      const stage = await open({ durability })
      await setLetters(stage, 'ab')
      await stage.store.snapshot()
      await stage.store.clear()
      await setLetters(stage, 'c')
      await stage.store.snapshot()
      await stage.store.close()
      flipEntries(stage.files, PATH)
      const { store } = await open({ durability }, stage)
      expect((await store.ready()).filledIn).toBe(true)
      for (const sid of 'ab') expect(await store.get(sid)).toBeUndefined()
    },
  )

  test('is not filled in where removals may be lost with it', async () => {
    const stage = await open({ durability: 'snapshot' })
    await setLetters(stage, 'abc')
    await stage.store.snapshot()
    await stage.store.destroy('b')
    await stage.store.snapshot()
    await stage.store.close()
    flipFrames(stage.files, PATH, ({ kind }) => kind === FrameKind.removals)
    const { store } = await open({}, stage)
    expect(await lettersIn({ store })).toBe('ac')
    expect(await store.ready()).toMatchObject({ filledIn: false, damaged: 1 })
  })

  test('that was not filled in leaves nothing to fill in the next one either', async () => {
    const stage = await open({ durability: 'snapshot' })
    // So much that its entries take several frames.
    await setLetters(stage, 'abcdefgh', { text: '-'.repeat(100_000) })
    await stage.store.snapshot()
    await stage.store.destroy('b')
    await stage.store.snapshot()
    await stage.store.close()
    const before = stage.files.get(`${PATH}.1`)
    flipFrames(stage.files, PATH, ({ kind }) => kind === FrameKind.removals)
    const refused = begin({}, stage)
    await new Promise((resolve) => refused.store.once('snapshot', resolve))

    const files = stage.files.fork()
    // After the first of them, so that all its removals are read.
    const [, second] = framesIn(files.get(PATH)).filter(({ kind }) => kind === FrameKind.records)
    flipFrames(files, PATH, ({ offset }) => offset === second!.offset)
    const { store } = await open({}, { files })
    expect(await store.ready()).toMatchObject({ damaged: 1 })
    expect(await store.get('b')).toBeUndefined()
    const copy = files.names().find((name) => name.includes('.1.corrupt-'))!
    expect(files.get(join(dirname(PATH), copy))).toEqual(before)
  })

  test('is not filled in where what was removed since stands in no journal', async () => {
    const first = await open()
    await setLetters(first, 'abc')
    await first.store.snapshot()
    await setLetters(first, 'd')
    const second = await restart(first, { durability: 'snapshot' })
    // The one that a start makes would have the removal in its tail, if it were under way still.
    await second.store.snapshot()
    await second.store.destroy('b')
    await second.store.close()
    flipFrames(second.files, PATH, ({ kind }) => kind === FrameKind.removals)
    const { store } = await open({}, second)
    expect(await store.get('b')).toBeUndefined()
  })

  test('that has lost a stretch into its tail may have lost removals', async () => {
    const entry = (sid: string, stamp: number): Part => [
      FrameKind.records,
      (writer) => writer.entry(recordOf({ sid, stamp }), ...placesOf(sid, EMPTY)),
    ]
    const footer = new Packr().pack({ sessions: 2, removals: 1, tailFrom: 4 })
    const files = new MemoryFiles()
    files.contents.set(
      PATH,
      fileOf(headerOf({ generation: 2, tail: true, id: Buffer.alloc(16, 7) }), [
        [FrameKind.records, (writer) => writer.needs(0)],
        entry('a', 2),
        [FrameKind.removals, (writer) => writer.removal('b', 9, NOON + HOUR)],
        entry('c', 5),
        [FrameKind.footer, footer],
      ]),
    )
    files.contents.set(
      `${PATH}.1`,
      fileOf(headerOf({ tail: true }), [entry('a', 1), entry('b', 1), entry('c', 1)]),
    )
    expect(await lettersIn(await open({}, { files: files.fork() }))).toBe('ac')
    flipFrames(files, PATH, ({ sequence }) => sequence === 3 || sequence === 4)
    expect(await lettersIn(await open({}, { files }))).toBe('c')
  })

  test('whose structures are lost has them once more at its end', async () => {
    const stage = await open()
    for (let i = 0; i < 60; i++) await setLetters(stage, `${i % 10}`, { user: i, name: 'n' })
    await stage.store.snapshot()
    await stage.store.close()
    const first = framesIn(stage.files.get(PATH)).find(({ kind }) => kind === FrameKind.records)!
    flipFrames(stage.files, PATH, ({ offset }) => offset === first.offset)
    const { store } = await open({}, stage)
    expect(await store.ready()).toMatchObject({ sessions: 10, damaged: 1 })
    expect(await store.get('7')).toMatchObject({ user: 57, name: 'n' })
  })

  test('keeps the sessions used last where there are now too many', async () => {
    const stage = await open()
    await setLetters(stage, 'abc')
    await stage.store.get('a')
    await stage.store.snapshot()
    await stage.store.close()
    flip(stage.files, PATH, 30)
    const evicted: string[] = []
    const again = begin({ max: 2 }, stage)
    again.store.on('evicted', (sid: string) => evicted.push(sid))
    await again.store.ready()
    expect([await lettersIn(again), evicted]).toEqual(['ac', ['b']])
  })

  test('filled in by older entries has them with the cookies and expiries told since', async () => {
    const stage = await open()
    const { store, clock } = stage
    await store.set('a', sessionOf({ n: 1 }, endsIn(clock, 24 * HOUR)))
    await store.snapshot()
    await store.snapshot()
    const soon = endsIn(clock, HOUR)
    await store.touch('a', sessionOf({}, soon))
    await store.close()
    flipEntries(stage.files, PATH)
    const again = await open({}, stage)
    const { expires } = soon as { expires: Date }
    expect(await again.store.get('a')).toMatchObject({
      n: 1,
      cookie: { expires: expires.toISOString() },
    })
    clock.jump(HOUR)
    expect(await again.store.get('a')).toBeUndefined()
  })

  test("stops the start with onCorrupt 'throw', every file untouched", async () => {
    const before = await twoGenerations()
    const [offset] = flipEntries(before.files, PATH)
    const found = new Map(before.files.contents)
    const { store } = begin({ onCorrupt: 'throw' }, before)
    const failure = { code: 'ERR_DAMAGED', path: PATH, offset }
    await expect(store.ready()).rejects.toMatchObject(failure)
    await expect(store.get('a')).rejects.toMatchObject(failure)
    await store.close()
    expect(before.files.contents).toEqual(found)
  })

  test('that can not be copied aside is served, and nothing is written over it', async () => {
    const before = await twoGenerations()
    flipEntries(before.files, PATH)
    const damaged = before.files.get(PATH)
    before.files.fail = (operation) => (operation === 'copy' ? errno('ENOSPC') : undefined)
    const { store, files, errors } = await open({}, before)
    expect(await lettersIn({ store })).toBe('ade')
    await expect(store.snapshot()).rejects.toMatchObject({ code: 'ERR_WRITE' })
    expect(files.get(PATH)).toEqual(damaged)
    expect(errors[0]).toMatchObject({ code: 'ERR_DAMAGED' })
    files.fail = () => undefined
    await store.snapshot()
    const aside = files.names().find((name) => name.includes('.corrupt-'))!
    expect(files.get(`/sessions/${aside}`)).toEqual(damaged)
  })

  test('of which one can be copied aside and another not yet holds nothing up for good', async () => {
    const before = await open()
    await setLetters(before, 'abc')
    await before.store.snapshot()
    for (const sid of 'def') {
      await setLetters(before, sid)
      await before.store.flush()
    }
    await before.store.close()
    const journal = before.files.names().findLast((name) => name.includes('.journal-'))!
    flipEntries(before.files, PATH)
    flipFrames(before.files, `/sessions/${journal}`, (_, index) => index === 2)
    let full = /./
    before.files.fail = (operation, name) =>
      operation === 'copy' && full.test(name) ? errno('ENOSPC') : undefined
    const { store, files } = await open({}, before)
    full = /journal/
    await expect(store.snapshot()).rejects.toMatchObject({ code: 'ERR_WRITE' })
    files.fail = () => undefined
    await store.snapshot()
    expect(files.names().filter((name) => name.includes('.corrupt-'))).toHaveLength(2)
  })

  test('is copied aside once, and so is another of the same size', async () => {
    const { files, clock } = await twoGenerations()
    const whole = files.get(PATH)
    const damaged = [whole.length - 40, whole.length - 50].map((offset) => {
      const copy = Buffer.from(whole)
      copy[offset]! ^= 1
      return copy
    })
    for (const which of [0, 1, 0, 1]) {
      files.contents.set(PATH, damaged[which]!)
      clock.jump(1000)
      await (await open({}, { files, clock })).store.close()
    }
    const aside = files.names().filter((name) => name.includes('.corrupt-'))
    expect(aside.map((name) => files.get(`/sessions/${name}`))).toEqual(damaged)
  })

  test('made to be hard to read costs no more than any other', async () => {
    const files = new MemoryFiles()
    const parts: Part[] = [2 ** 32 - 2, 2 ** 53 - 1, 1e6, 0.5].map((id) => [
      FrameKind.records,
      (writer) => writer.structure(id, ['far', 'away']),
    ])
    const kept: Part = [
      FrameKind.records,
      (writer) => writer.entry(recordOf({ sid: 'kept' }), ...placesOf('kept', EMPTY)),
    ]
    files.contents.set(PATH, fileOf(headerOf(), [...parts, kept, kept]))
    flip(files, PATH, files.get(PATH).length - 3)
    expect(await lettersIn(await open({}, { files }))).toBe('kept')
  })
})
