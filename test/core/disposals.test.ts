/** The `dispose` hook, told of many sessions at once: in their order, and never long at a time. */
import { setImmediate as immediate } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { Disposals } from '../../src/core/disposals.js'
import { open, restart, sessionOf } from '../support/stores.js'

const MANY = 3000

test('is told, without being asked, of what limits have pushed out in a restore', async () => {
  const stage = await open()
  for (let n = 0; n < MANY; n++) await stage.store.set(String(n), sessionOf({ n }))
  const told: unknown[] = []
  const dispose = (sid: string, session: object, reason: string) =>
    told.push([sid, 'n' in session && session.n, reason])
  const { store } = await restart(stage, { max: 10, dispose })
  while (told.length < MANY - 10) await immediate()
  await store.set('new', sessionOf())
  expect(told).toEqual(Array.from({ length: MANY - 9 }, (_, n) => [String(n), n, 'evicted']))
})

test('lets the loop turn meanwhile, and keeps the order of what comes in between', async () => {
  const told: number[] = []
  const hook = (sid: string) => {
    told.push(Number(sid))
    const until = performance.now() + 1
    while (performance.now() < until);
  }
  const table = { slots: 51, has: () => true, sid: String }
  const disposals = new Disposals(
    hook,
    () => () => ({}),
    (error) => expect.fail(error.message),
  )
  for (let n = 0; n < 50; n++) disposals.add(table, n, 'evicted')
  const ended = vi.fn()
  const end = disposals.tellSoon().then(ended)
  expect(told).toEqual([])
  let turns = 0
  for (; ended.mock.calls.length === 0; turns++) {
    if (turns === 2) disposals.add(table, 50, 'destroyed')
    disposals.tell()
    await immediate()
  }
  await end
  expect(turns).toBeGreaterThan(10)
  expect(told).toEqual(Array.from({ length: 51 }, (_, n) => n))
})
