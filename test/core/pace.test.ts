import { describe, expect, test } from 'vitest'
import { BackOff, Pace, Turns } from '../../src/core/pace.js'
import { gate } from '../support/memory-files.js'
import { StubClock } from '../support/stub-clock.js'

describe('long work', () => {
  test('is told to pause after two milliseconds, and lets others in when it does', async () => {
    const started = performance.now()
    const pace = new Pace()
    expect(pace.due).toBe(false)
    while (!pace.due) expect(performance.now() - started).toBeLessThan(1000)
    expect(performance.now() - started).toBeGreaterThanOrEqual(2)
    let others = false
    setImmediate(() => (others = true))
    await pace.pause()
    expect(others).toBe(true)
    expect(pace.due).toBe(false)
  })
})

describe('turns', () => {
  test('come one after the other, in the order they were asked for', async () => {
    const turns = new Turns()
    const [first, second] = [gate(), gate()]
    const seen: string[] = []
    const one = turns.run(async () => {
      seen.push('one begins')
      await first.opened
      seen.push('one ends')
      return 1
    })
    const two = turns.run(async () => {
      seen.push('two begins')
      await second.opened
      return 2
    })
    second.open()
    await Promise.resolve()
    first.open()
    expect(await two).toBe(2)
    expect(await one).toBe(1)
    expect(seen).toEqual(['one begins', 'one ends', 'two begins'])
  })

  test('go on after one that failed, whose error is its own', async () => {
    const turns = new Turns()
    const failed = turns.run(() => Promise.reject(new Error('its own')))
    const next = turns.run(() => Promise.resolve('goes on'))
    await expect(failed).rejects.toThrow('its own')
    expect(await next).toBe('goes on')
  })
})

describe('pauses after failures', () => {
  test('double from a second up to a minute, and begin anew after a success', async () => {
    const clock = new StubClock()
    const backOff = new BackOff(clock)
    const pauses: number[] = []
    for (let i = 0; i < 9; i++) {
      const since = clock.time
      let over = 0
      backOff.wait(() => (over = clock.time))
      await clock.advance(100_000)
      pauses.push(over - since)
    }
    expect(pauses.map((ms) => ms / 1000)).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60])
    backOff.reset()
    let over = false
    backOff.wait(() => (over = true))
    await clock.advance(1000)
    expect(over).toBe(true)
  })

  test('call back once, and not at all when they are ended', async () => {
    const clock = new StubClock()
    const backOff = new BackOff(clock)
    let calls = 0
    backOff.wait(() => calls++)
    expect(backOff.waiting).toBe(true)
    backOff.reset()
    expect(backOff.waiting).toBe(false)
    await clock.advance(120_000)
    expect(calls).toBe(0)
    backOff.wait(() => calls++)
    await clock.advance(120_000)
    expect([calls, backOff.waiting, clock.timers]).toEqual([1, false, 0])
  })
})
