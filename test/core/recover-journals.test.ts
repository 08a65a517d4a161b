/**
 * Journals as restores find them: torn, damaged, of another store, not there.
 */
import { describe, expect, test } from 'vitest'
import { Codec } from '../../src/core/codec.js'
import { FRAME_HEADER, FrameKind } from '../../src/core/format.js'
import { decodeHeaderPayload, HEADER_FRAME } from '../../src/core/header.js'
import { placesOf, textOf } from '../support/bodies.js'
import { cut, flipFrames, framesIn } from '../support/damage.js'
import { recordsIn } from '../support/journals.js'
import { PATH } from '../support/memory-files.js'
import { fileOf, headerOf, recordOf } from '../support/records.js'
import {
  afterKill,
  lettersIn,
  open,
  restart,
  sessionOf,
  setLetters,
  type Stage,
  twoGenerations,
} from '../support/stores.js'

/** A session without data. */
const EMPTY = textOf(new Codec().encode({}))
const journal = (number: number) => `${PATH}.journal-${number}`

/** A session 'a', and a second journal that has lost both of its headers. */
async function withHeadless(): Promise<Stage> {
  const stage = await open()
  await setLetters(stage, 'a')
  await stage.store.close()
  const bytes = Buffer.from(stage.files.get(journal(1))).fill(0, 0, 2 * HEADER_FRAME)
  stage.files.contents.set(journal(2), bytes)
  return stage
}

describe('journals', () => {
  test('with a torn end lose that alone: it is copied, cut, and no reason for alarm', async () => {
    const stage = await open()
    await setLetters(stage, 'a')
    await stage.store.flush()
    const whole = stage.files.get(journal(1)).length
    await setLetters(stage, 'b')
    await stage.store.close()
    cut(stage.files, journal(1), 3)
    const torn = stage.files.get(journal(1))
    const again = await open({}, stage)
    expect([await lettersIn(again), again.errors]).toEqual(['a', []])
    const report = await again.store.ready()
    expect(report).toMatchObject({ sessions: 1, damaged: 0 })
    const damage = [{ offset: whole, bytes: torn.length - whole }]
    expect(report.files).toMatchObject([{ kind: 'journal', state: 'torn', damage }])
    expect(stage.files.get(report.files[0]!.setAside!)).toEqual(torn)
    expect(stage.files.get(journal(1)).length).toBe(whole)
    expect(stage.files.calls.at(-1)).toBe('syncFolder sessions')
    await setLetters(again, 'c')
    expect(await lettersIn(await restart(again))).toBe('ac')
  })

  test.each([0, 1, 17, 511, 512, 700, 1023])(
    'that were cut off in their header, at byte %i, held nothing yet',
    async (length) => {
      const stage = await open()
      await setLetters(stage, 'a')
      await stage.store.close()
      stage.files.contents.set(journal(2), stage.files.get(journal(1)).subarray(0, length))
      const again = await open({}, stage)
      expect([await lettersIn(again), again.errors]).toEqual(['a', []])
      // It is gone; nobody has taken it away.
      await again.clock.advance(5000)
      expect(again.files.count('rename')).toBe(0)
      await setLetters(again, 'b')
      expect(await lettersIn(await restart(again))).toBe('ab')
    },
  )

  test('damaged in the middle go on behind it, and are set aside', async () => {
    const stage = await open()
    for (const sid of 'abc') {
      await setLetters(stage, sid)
      await stage.store.flush()
    }
    await stage.store.close()
    flipFrames(stage.files, journal(1), (_, index) => index === 3)
    const damaged = stage.files.get(journal(1))
    const again = await open({}, stage)
    expect(await lettersIn(again)).toBe('ac')
    const report = await again.store.ready()
    expect(report).toMatchObject({ damaged: 1, files: [{ state: 'damaged', kind: 'journal' }] })
    expect(stage.files.get(report.files[0]!.setAside!)).toEqual(damaged)
    expect(again.errors).toMatchObject([{ code: 'ERR_DAMAGED', path: journal(1) }])
  })

  test('of which both headers are gone keep their names to themselves', async () => {
    const again = await open({}, await withHeadless())
    await setLetters(again, 'b')
    await again.store.flush()
    expect(again.errors).toMatchObject([{ code: 'ERR_DAMAGED', path: journal(2) }])
    expect(await lettersIn(await restart(again))).toBe('ab')
  })

  test('of which both headers are gone are told of once', async () => {
    const again = await open({}, await withHeadless())
    await again.store.snapshot()
    await again.store.close()
    expect(again.files.contents.has(journal(2))).toBe(false)
    const third = await open({}, again)
    expect(third.errors).toEqual([])
    expect(await lettersIn(third)).toBe('a')
  })

  test('that lost the frame which told a structure lose what is in that frame alone', async () => {
    const stage = await open()
    for (let i = 0; i < 400; i++) {
      await stage.store.set(`${i % 40}`, sessionOf({ user: i, name: `${i}`, cart: { items: [i] } }))
      if (i % 10 === 9) await stage.store.flush()
    }
    await stage.store.close()
    const frames = framesIn(stage.files.get(journal(1)))
    const bytes = (index: number) => {
      const { offset, length } = frames[index]!
      return stage.files.get(journal(1)).subarray(offset, offset + length)
    }
    const first = frames.findIndex((_, i) => recordsIn(bytes(i)).some(([kind]) => kind === 1))
    const held = new Set(recordsIn(bytes(first)).map(([, sid]) => sid))
    flipFrames(stage.files, journal(1), (_, index) => index === first)
    const again = await open({}, stage)
    const found = await again.store.ids()
    for (let sid = 0; sid < 40; sid++) {
      if (!held.has(`${sid}`)) expect(found).toContain(`${sid}`)
      if (!found.includes(`${sid}`)) continue
      expect(await again.store.get(`${sid}`)).toMatchObject({ name: `${360 + sid}` })
    }
  })

  test.each([0, HEADER_FRAME])(
    'that had no more than a header, and lost the copy at %i with the power, held nothing yet',
    async (at) => {
      const stage = await open()
      await setLetters(stage, 'a')
      await stage.store.close()
      const header = Buffer.from(stage.files.get(journal(1)).subarray(0, 2 * HEADER_FRAME))
      stage.files.contents.set(journal(2), header.fill(0, at, at + HEADER_FRAME))
      const again = await open({}, stage)
      expect([await lettersIn(again), again.errors]).toEqual(['a', []])
      const { files, damaged } = await again.store.ready()
      expect([files.map(({ state }) => state), damaged]).toEqual([['whole', 'torn'], 0])
      await setLetters(again, 'b')
      expect(await lettersIn(await restart(again))).toBe('ab')
    },
  )

  test.each([false, true])(
    'of two processes that went on from the same files each mean what they tell (damage: %s)',
    async (damage) => {
      const keys = ['common', 'here', 'there']
      const fill = async ({ store }: Stage, key: string) => {
        for (let i = 0; i < 20; i++) {
          await store.set(`${key}${i}`, sessionOf({ [key]: i, n: 1 }))
          if (i % 5 === 4) await store.flush()
        }
      }
      const here = await open()
      await fill(here, 'common')
      const there = await afterKill(here)
      await fill(here, 'here')
      await fill(there, 'there')
      const files = here.files.fork()
      files.contents.set(journal(3), there.files.get(journal(2)))
      const frames = framesIn(files.get(journal(1)))
      if (damage) flipFrames(files, journal(1), (_, index) => index === frames.length - 2)
      const { store } = await open({}, { files, clock: here.clock })
      expect((await store.ready()).damaged > 0).toBe(damage)
      for (const key of keys)
        expect(await store.get(`${key}19`)).toEqual({ [key]: 19, n: 1, cookie: {} })
      const all = Object.entries(await store.all())
      for (const [sid, session] of all)
        expect(keys.find((key) => sid.startsWith(key))! in session).toBe(true)
      expect(all.length).toBeGreaterThan(40)
    },
  )

  test('of another store are told apart, set aside and not read', async () => {
    const stage = await twoGenerations()
    const stranger = await open()
    await setLetters(stranger, 'x')
    await stranger.store.close()
    const foreign = stranger.files.get(journal(1))
    stage.files.contents.set(journal(9), foreign)
    const again = await open({}, stage)
    expect(await lettersIn(again)).toBe('ade')
    const { files } = await again.store.ready()
    const report = files.find(({ state }) => state === 'foreign')!
    expect(report).toMatchObject({ path: journal(9), kind: 'journal', records: 0 })
    expect(stage.files.get(report.setAside!)).toEqual(foreign)
    expect(again.errors).toMatchObject([{ code: 'ERR_FORMAT_FOREIGN', path: journal(9) }])
    expect(again.errors[0]!.message).toContain(report.setAside)
  })

  test('that are missing are told, and what the snapshot holds is served', async () => {
    const stage = await twoGenerations()
    for (const name of stage.files.names().filter((one) => one.includes('journal'))) {
      stage.files.contents.delete(`/sessions/${name}`)
    }
    const again = await open({}, stage)
    expect(await lettersIn(again)).toBe('acd')
    const { files, damaged } = await again.store.ready()
    expect(files.map(({ kind, state }) => [kind, state])).toEqual([
      ['snapshot', 'whole'],
      ['journal', 'missing'],
    ])
    expect(damaged).toBe(0)
  })

  test('of a generation before the snapshot change nothing', async () => {
    const stage = await twoGenerations()
    const old = fileOf(headerOf({ ...storeOf(stage), kind: 'journal', generation: 1 }), [
      [
        FrameKind.records,
        (writer) => writer.entry(recordOf({ sid: 'old' }), ...placesOf('old', EMPTY)),
      ],
    ])
    stage.files.contents.set(journal(0), old)
    expect(await lettersIn(await open({}, stage))).toBe('ade')
  })
})

/** The ids that files of one store share. */
function storeOf({ files }: Stage) {
  const payload = files.get(PATH).subarray(FRAME_HEADER, HEADER_FRAME)
  const { store, lineage } = decodeHeaderPayload(payload, PATH).header
  return { store, lineage }
}
