/**
 * What happens while something else is being written, and must not be lost between the two.
 */
import { describe, expect, test } from 'vitest'
import { errno, gate, PATH } from '../support/memory-files.js'
import { HOUR } from '../support/records.js'
import { settle } from '../support/stub-clock.js'
import {
  afterKill,
  afterPowerCut,
  endsIn,
  halfSynced,
  open,
  restart,
  sessionOf,
  sidsIn,
  type Stage,
} from '../support/stores.js'

describe('a flush is over when everything before it is on disk', () => {
  test('though a new generation began in between', async () => {
    const stage = await halfSynced()
    const { store, files } = stage
    const { opened, open: release } = gate()
    files.hold = (operation) => (operation === 'write' ? opened : undefined)
    const snapshot = store.snapshot()
    await settle()
    await store.flush()
    expect(await sidsIn(await afterPowerCut(stage))).toEqual(['a', 'b'])
    release()
    await snapshot
  })

  test('though a new generation began in between, and its first sync failed', async () => {
    const stage = await halfSynced()
    const { store, files } = stage
    const { opened, open: release } = gate()
    let left = 1
    files.hold = (operation) => (operation === 'sync' ? opened : undefined)
    files.fail = (operation) => (operation === 'sync' && left-- > 0 ? errno('EIO') : undefined)
    const snapshot = expect(store.snapshot()).rejects.toMatchObject({ code: 'ERR_WRITE' })
    const flushed = store.flush()
    await settle()
    release()
    await snapshot
    await flushed
    expect(await sidsIn(await afterPowerCut(stage))).toEqual(['a', 'b'])
    expect(store.stats().unsaved).toBe(false)
  })

  test("with durability 'snapshot', though others are waiting for the same", async () => {
    const stage = await open({ durability: 'snapshot' })
    const { store, files } = stage
    await store.set('a', sessionOf())
    const { opened, open: release } = gate()
    let held = true
    files.hold = (operation) => (operation === 'rename' && held ? opened : undefined)
    const first = store.snapshot()
    await settle()
    await store.set('b', sessionOf())
    held = false
    const found: string[][] = []
    const waiting = [store.flush(), store.flush(), store.snapshot(), store.flush()].map((answer) =>
      answer.then(async () => found.push(await sidsIn(await afterPowerCut(stage)))),
    )
    release()
    await Promise.all([first, ...waiting])
    expect(found).toEqual(found.map(() => ['a', 'b']))
  })
})

test('a sync that fails while a snapshot is written is not made up for by that one', async () => {
  const stage = await open({ durability: 'always' })
  const { store, files, clock } = stage
  await store.set('a', sessionOf())
  const { opened, open: release } = gate()
  files.hold = (operation) => (operation === 'rename' ? opened : undefined)
  const snapshot = store.snapshot()
  await settle()
  files.fail = (operation) => (operation === 'sync' ? errno('EIO') : undefined)
  await expect(store.set('b', sessionOf())).rejects.toMatchObject({ code: 'ERR_WRITE' })
  files.fail = () => undefined
  const written = files.count('rename')
  release()
  await snapshot
  await settle(40)
  expect(files.count('rename')).toBe(written + 2)
  await clock.advance(2000)
  expect(store.stats().unsaved).toBe(false)
  expect(await sidsIn(await afterPowerCut(stage))).toEqual(['a', 'b'])
})

test('what waits behind another write is not acknowledged when the files are lost meanwhile', async () => {
  const stage = await open({ durability: 'always' })
  const { store, files, clock, notes, errors } = stage
  await store.set('a', sessionOf())
  const { opened, open: release } = gate()
  files.hold = (operation, name) =>
    operation === 'create' && name.includes('journal') ? opened : undefined
  const snapshot = store.snapshot()
  await settle()
  const set = store.set('b', sessionOf())
  const answers = Promise.allSettled([snapshot, set])
  await settle()
  await notes.create(`${PATH}.lease-2`, () => '')
  await clock.advance(3000)
  release()
  const lost = { status: 'rejected', reason: { code: 'ERR_LEASE_LOST' } }
  expect(await answers).toMatchObject([lost, lost])
  expect(errors.map(({ code }) => code)).toEqual(['ERR_LEASE_LOST'])
})

describe('of a touch and a set of one session', () => {
  test.each([
    ['while the journal is being made', 'create'],
    ['while it is being appended to', 'append'],
    ['while it is being synced', 'sync'],
  ] as const)('the set stands, though it comes %s for the touch', async (_, moment) => {
    let stage = await open()
    await stage.store.set('a', sessionOf({ n: 1 }, endsIn(stage.clock, HOUR)))
    stage = await restart(stage)
    const { store, files, clock } = stage
    await store.touch('a', sessionOf({}, endsIn(clock, 2 * HOUR)))
    const { opened, open: release } = gate()
    files.hold = (operation, name) =>
      operation === moment && name.includes('journal') ? opened : undefined
    const flushed = store.flush()
    await settle()
    await store.set('a', sessionOf({ n: 2 }, endsIn(clock, 2 * HOUR)))
    release()
    await flushed
    await store.flush()
    expect(await (await afterKill(stage)).store.get('a')).toMatchObject({ n: 2 })
    expect(await (await restart(stage)).store.get('a')).toMatchObject({ n: 2 })
  })
})

describe('what a touch on its way tells of a session that is set meanwhile', () => {
  /** A session on disk and a touch of it, of two hours, that waits for its journal. */
  async function touching() {
    let stage = await open()
    await stage.store.set('a', sessionOf({ n: 1 }, endsIn(stage.clock, HOUR)))
    stage = await restart(stage)
    const { store, files, clock } = stage
    await store.touch('a', sessionOf({}, endsIn(clock, 2 * HOUR)))
    const { opened, open: release } = gate()
    files.hold = (operation, name) =>
      operation === 'create' && name.includes('journal') ? opened : undefined
    const flushed = store.flush()
    await settle()
    return { stage, release, flushed }
  }

  /** What a kill leaves of it: which version, and how long that lives from now. */
  async function found(stage: Stage) {
    const session = (await (await afterKill(stage)).store.get('a')) as
      { n: number; cookie: { expires: string } } | undefined
    return session && [session.n, Date.parse(session.cookie.expires) - stage.clock.time]
  }

  test.each(['set', 'destroy and set'])('never is an old body with a new end: %s', async (way) => {
    const { stage, release, flushed } = await touching()
    const { store, clock } = stage
    if (way !== 'set') await store.destroy('a')
    await store.set('a', sessionOf({ n: 2 }, endsIn(clock, 9 * HOUR)))
    release()
    await flushed
    expect(await found(stage)).toEqual([2, 9 * HOUR])
  })

  test('is the touch, where nothing else came', async () => {
    const { stage, release, flushed } = await touching()
    release()
    await flushed
    expect(await found(stage)).toEqual([1, 2 * HOUR])
  })
})

describe('a session that goes before its set is written', () => {
  test.each(['destroy', 'clear'] as const)(
    'does not leave what the set replaced, nor does whoever has its place by then: %s',
    async (way) => {
      let stage = await open()
      await stage.store.set('a', sessionOf({ n: 1 }))
      stage = await restart(stage)
      const { store, files } = stage
      await store.set('a', sessionOf({ n: 2 }))
      const { opened, open: release } = gate()
      files.hold = (operation, name) =>
        operation === 'create' && name.includes('journal') ? opened : undefined
      const flushed = store.flush()
      await settle()
      await (way === 'destroy' ? store.destroy('a') : store.clear())
      await store.set('b', sessionOf({ n: 3 }))
      release()
      await flushed
      // Only what was asked for before is on disk.
      expect(await sidsIn(await afterKill(stage))).toEqual([])
      await store.flush()
      expect(await sidsIn(await afterKill(stage))).toEqual(['b'])
    },
  )
})

test('what changes while its note is being written is written again', async () => {
  const stage = await open()
  const { store, files } = stage
  await store.set('a', sessionOf({ n: 1 }))
  await store.set('b', sessionOf({ n: 1 }))
  const { opened, open: release } = gate()
  files.hold = (operation) => (operation === 'sync' ? opened : undefined)
  const flushed = store.flush()
  await settle()
  await store.set('a', sessionOf({ n: 2 }))
  await store.destroy('b')
  await store.set('c', sessionOf({ n: 3 }))
  release()
  await flushed
  await store.flush()
  const killed = await afterKill(stage)
  expect(await sidsIn(killed)).toEqual(['a', 'c'])
  expect(await killed.store.get('a')).toMatchObject({ n: 2 })
})

test.each(['snapshot', 'everysec'] as const)(
  'with durability %s a clear while a snapshot is written leaves nothing in it',
  async (durability) => {
    const stage = await open({ durability })
    const { store, files } = stage
    const bulk = ' '.repeat(30_000)
    for (let i = 0; i < 30; i++) await store.set(`${i}`, sessionOf({ bulk }))
    const { opened, open: release } = gate()
    files.hold = (operation) => (operation === 'write' ? opened : undefined)
    const snapshot = store.snapshot()
    await settle()
    await store.clear()
    await store.set('after', sessionOf())
    release()
    await snapshot
    await store.flush()
    expect(await sidsIn(await afterKill(stage))).toEqual(['after'])
    expect(await sidsIn(await restart(stage))).toEqual(['after'])
  },
)

test.each(['snapshot', 'everysec', 'always'] as const)(
  'with durability %s what changes at any moment of a snapshot is there after a restart',
  async (durability) => {
    const stage = await open({ durability })
    const { store, files } = stage
    for (let i = 0; i < 10; i++) await store.set(`${i}`, sessionOf({ n: 0 }))
    let moment = 0
    files.hold = () => {
      const sid = `${moment++ % 10}`
      if (moment % 4 === 0) void store.destroy(sid).catch(() => undefined)
      else void store.set(sid, sessionOf({ n: moment })).catch(() => undefined)
      return undefined
    }
    for (let i = 0; i < 3; i++) await store.snapshot()
    files.hold = () => undefined
    expect(moment).toBeGreaterThan(5)
    const before = await store.all()
    const again = await restart(stage, { durability })
    expect(await again.store.all()).toEqual(before)
  },
)
