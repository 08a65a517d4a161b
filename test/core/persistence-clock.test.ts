/**
 * A clock that was ahead and is set right: what was dropped meanwhile may be in a file, alive again.
 */
import { describe, expect, test } from 'vitest'
import { HOUR } from '../support/records.js'
import {
  afterKill,
  afterPowerCut,
  endsIn,
  open,
  restart,
  sessionOf,
  sidsIn,
} from '../support/stores.js'

const SECOND = 1000
const YEAR = 365 * 24 * HOUR
const DURABILITIES = ['snapshot', 'everysec', 'always'] as const

describe.each(DURABILITIES)('%s: while the clock is a year ahead', (durability) => {
  /** A store whose session `a` is on disk and, by a clock that is ahead, has expired. */
  async function ahead() {
    const stage = await open({ durability })
    const { store, clock } = stage
    await store.set('a', sessionOf({ n: 1 }, endsIn(clock, HOUR)))
    await store.set('b', sessionOf({ n: 1 }, endsIn(clock, HOUR)))
    await store.flush()
    clock.jump(YEAR)
    await store.prune()
    return stage
  }

  test('what is destroyed stays destroyed', async () => {
    const stage = await ahead()
    await stage.store.destroy('a')
    await stage.store.close()
    stage.clock.jump(-YEAR)
    const again = await open({ durability }, stage)
    expect(await again.store.get('a')).toBeUndefined()
    expect(await sidsIn(await restart(again, { durability }))).not.toContain('a')
  })

  test('what is destroyed after a restart does too', async () => {
    const stage = await restart(await ahead(), { durability })
    await stage.store.destroy('a')
    await stage.store.close()
    stage.clock.jump(-YEAR)
    expect(await sidsIn(await open({ durability }, stage))).not.toContain('a')
  })

  test('what is set again after that stands', async () => {
    const stage = await ahead()
    const { store, clock } = stage
    await store.destroy('a')
    await store.set('a', sessionOf({ n: 2 }, endsIn(clock, HOUR)))
    await store.flush()
    clock.jump(-YEAR)
    expect(await (await afterKill(stage, { durability })).store.get('a')).toMatchObject({ n: 2 })
  })
})

test.each(DURABILITIES)(
  '%s: what expired before it was written leaves nothing older behind',
  async (durability) => {
    const stage = await open({ durability })
    const { store, clock } = stage
    await store.set('a', sessionOf({ n: 1 }, endsIn(clock, 2 * HOUR)))
    await store.flush()
    const set = store.set('a', sessionOf({ n: 2 }, endsIn(clock, 3 * HOUR)))
    clock.jump(YEAR)
    expect(await store.get('a')).toBeUndefined()
    await set
    clock.jump(-YEAR)
    await store.close()
    const found = (await (await open({ durability }, stage)).store.get('a')) as
      { n: number } | undefined
    expect(found?.n).not.toBe(1)
  },
)

test('a destruction of what is not there is written within a second, where something has expired', async () => {
  const { store, files, clock } = await open()
  await store.set('a', sessionOf({}, endsIn(clock, HOUR)))
  await store.flush()
  const destroyMany = async () => {
    files.calls = []
    for (let i = 0; i < 10; i++) await store.destroy(`unknown-${i}`)
    await clock.advance(1000)
    return files.count('append')
  }
  expect(await destroyMany()).toBe(0)
  clock.jump(HOUR)
  await store.prune()
  expect(await destroyMany()).toBe(1)
  await store.snapshot()
  expect(await destroyMany()).toBe(0)
})

test('it is written though the clock is set right meanwhile', async () => {
  const stage = await open()
  const { store, clock } = stage
  await store.set('a', sessionOf({}, endsIn(clock, HOUR)))
  await store.flush()
  clock.jump(YEAR)
  await store.prune()
  await store.destroy('a')
  clock.jump(-YEAR)
  await store.set('b', sessionOf())
  await clock.advance(2 * SECOND)
  expect(await sidsIn(await afterKill(stage))).toEqual(['b'])
})

test('what is written after the clock was set back is synced within a second', async () => {
  const stage = await open()
  const { store, clock } = stage
  await store.set('a', sessionOf())
  await clock.advance(2 * SECOND)
  clock.jump(-HOUR)
  await store.set('b', sessionOf())
  await clock.advance(SECOND)
  expect(await sidsIn(await afterPowerCut(stage))).toEqual(['a', 'b'])
})

test('with durability always it is on disk when it is answered', async () => {
  const stage = await open({ durability: 'always' })
  const { store, clock } = stage
  await store.set('a', sessionOf({}, endsIn(clock, HOUR)))
  clock.jump(HOUR)
  await store.prune()
  await store.destroy('a')
  clock.jump(-HOUR)
  expect(await sidsIn(await afterKill(stage))).toEqual([])
})

test('with half a character in its sid it takes no other session away', async () => {
  const stage = await open({ durability: 'always' })
  const { store, clock } = stage
  await store.set('short', sessionOf({}, endsIn(clock, SECOND)))
  await store.set('\ufffd', sessionOf())
  await clock.advance(2 * SECOND)
  expect(await store.get('short')).toBeUndefined()
  await store.destroy('\ud800')
  expect(await sidsIn(await restart(stage))).toEqual(['\ufffd'])
})
