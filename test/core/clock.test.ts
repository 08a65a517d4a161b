import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LATEST_STAMP, Stamps, systemClock } from '../../src/core/clock.js'
import { NOON } from '../support/stub-clock.js'

test('each stamp is higher than all before it, whatever the clock does', () => {
  const step = fc.oneof(
    fc.record({ next: fc.integer({ min: -1e12, max: 1e12 }) }),
    fc.constant({ use: true }),
    fc.record({ observe: fc.integer({ min: -1e9, max: 1e9 }) }),
  )
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const stamps = new Stamps()
      for (const one of steps) {
        const before = stamps.last
        if ('observe' in one) {
          stamps.observe(before + one.observe)
          expect(stamps.last).toBe(Math.max(before, before + one.observe))
          continue
        }
        const stamp = 'next' in one ? stamps.next(NOON + one.next) : stamps.use()
        expect(stamp).toBeGreaterThan(before)
        expect(stamps.last).toBe(stamp)
        expect(Number.isSafeInteger(stamp)).toBe(true)
      }
    }),
  )
})

test('changes in different milliseconds have stamps in the order of time, also across processes', () => {
  const [one, other] = [new Stamps(), new Stamps()]
  const first = one.next(NOON)
  for (let i = 0; i < 1000; i++) one.next(NOON)
  expect(one.next(NOON)).toBeLessThan(other.next(NOON + 1))
  expect(first).toBeLessThan(other.last)
})

test('what has been observed counts: no stamp is given out twice', () => {
  const stamps = new Stamps()
  stamps.observe(NOON * 2000)
  expect(stamps.next(NOON)).toBeGreaterThan(NOON * 2000)
})

test('a clock or a file far ahead of time leaves room for stamps that can be read', () => {
  const stamps = new Stamps()
  const first = stamps.next(Date.UTC(2200, 0))
  for (let i = 0; i < 1000; i++) stamps.next(NOON)
  expect(stamps.last).toBe(first + 1000)
  stamps.observe(stamps.last + 5)
  expect(stamps.next(NOON)).toBe(first + 1006)
  stamps.observe(LATEST_STAMP)
  expect(stamps.next(NOON)).toBe(first + 1007)
  expect(stamps.last).toBeLessThan(LATEST_STAMP - 2 ** 40)
})

test('timers of the system clock can be called off and keep no process alive, a sleep does', async () => {
  const called: string[] = []
  const calledOff = systemClock.after(1, () => called.push('never'))
  const stop = systemClock.every(1, () => called.push('every'))
  calledOff()
  await new Promise<void>((resolve) => {
    const alive = setTimeout(resolve, 1000)
    systemClock.after(20, () => {
      clearTimeout(alive)
      resolve()
    })
  })
  stop()
  expect(called).toContain('every')
  expect(called).not.toContain('never')
  const { length } = called
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect(called).toHaveLength(length)
  // Only timers that keep the process alive are listed.
  const keeping = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const before = keeping()
  const cancels = [systemClock.every(60_000, () => {}), systemClock.after(60_000, () => {})]
  expect(keeping()).toBe(before)
  for (const cancel of cancels) cancel()
  const slept = systemClock.sleep(1)
  expect(keeping()).toBe(before + 1)
  await slept
})
