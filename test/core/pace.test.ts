import { describe, expect, test, vi } from 'vitest'
import {
  AbortedError,
  BackOff,
  Gathering,
  inSlices,
  joined,
  Pace,
  Turns,
} from '../../src/core/pace.js'
import { gate } from '../support/memory-files.js'
import { StubClock } from '../support/stub-clock.js'

describe('long work', () => {
  test('is told to pause after two milliseconds, and lets others in when it does', async () => {
    let now = 50
    const time = vi.spyOn(performance, 'now').mockImplementation(() => now)
    const pace = new Pace()
    expect(pace.due).toBe(false)
    now = 51.9
    expect(pace.due).toBe(false)
    now = 52
    expect(pace.due).toBe(true)
    let others = false
    setImmediate(() => (others = true))
    await pace.pause()
    expect(others).toBe(true)
    expect(pace.due).toBe(false)
    time.mockRestore()
  })
})

describe('chunks in slices', () => {
  function* chunks(count: number, bytes: number) {
    for (let i = 0; i < count; i++) yield Buffer.alloc(bytes, i)
    return count
  }

  test('are gathered to a quarter of a megabyte, none lost, and tell their result', async () => {
    const sizes: number[] = []
    const results: number[] = []
    const all: Buffer[] = []
    const never = () => false
    for await (const chunk of inSlices(chunks(90, 10_000), never, (count) => results.push(count))) {
      sizes.push(chunk.length)
      all.push(Buffer.from(chunk))
    }
    expect(sizes).toEqual([270_000, 270_000, 270_000, 90_000])
    expect(Buffer.concat(all).equals(Buffer.concat([...chunks(90, 10_000)]))).toBe(true)
    expect(results).toEqual([90])
  })

  test('end with an error of their own where they are given up', async () => {
    let given = 0
    const reading = (async () => {
      const up = () => given > 1
      for await (const chunk of inSlices(chunks(90, 300_000), up, () => undefined)) {
        given += chunk.length > 0 ? 1 : 0
      }
    })()
    await expect(reading).rejects.toBeInstanceOf(AbortedError)
    expect(given).toBe(2)
  })
})

describe('chunks that are joined', () => {
  const chunks = (count: number, bytes: number) =>
    Array.from({ length: count }, (_, i) => Buffer.alloc(bytes, i))

  test('are a quarter of a megabyte at a time, none lost', () => {
    const time = vi.spyOn(performance, 'now').mockReturnValue(50)
    const all: Buffer[] = []
    for (const some of joined(chunks(9, 100_000), new Gathering())) all.push(Buffer.from(some))
    expect(all.map(({ length }) => length)).toEqual([300_000, 300_000, 300_000])
    expect(Buffer.concat(all).equals(Buffer.concat(chunks(9, 100_000)))).toBe(true)
    expect([...joined([], new Gathering())]).toEqual([])
    time.mockRestore()
  })

  test('are written by themselves where they are large, in their order', () => {
    const time = vi.spyOn(performance, 'now').mockReturnValue(50)
    const some = [...chunks(1, 10), ...chunks(2, 400_000), ...chunks(2, 10)]
    const sizes = [...joined(some, new Gathering())].map(({ length }) => length)
    expect(sizes).toEqual([10, 400_000, 400_000, 20])
    time.mockRestore()
  })

  test('are forgotten where whoever asked for them gave up', () => {
    const gathering = new Gathering()
    function* failing() {
      yield Buffer.alloc(1000)
      throw new Error('no more')
    }
    expect(() => [...joined(failing(), gathering)]).toThrow('no more')
    expect([...joined(chunks(1, 10), gathering)].map(({ length }) => length)).toEqual([10])
  })

  test('are fewer where they take longer to make than a slice lasts', () => {
    let now = 50
    const time = vi.spyOn(performance, 'now').mockImplementation(() => now)
    function* slow() {
      for (const chunk of chunks(7, 1000)) {
        now += 0.7
        yield chunk
      }
    }
    const sizes: number[] = []
    for (const { length } of joined(slow(), new Gathering())) {
      sizes.push(length)
      // Whoever writes it takes his time.
      now += 100
    }
    expect(sizes).toEqual([3000, 3000, 1000])
    time.mockRestore()
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
    // The one that is waited for is the last.
    backOff.wait(() => (calls += 10))
    backOff.wait(() => (calls += 100))
    await clock.advance(120_000)
    expect([calls, clock.timers]).toEqual([101, 0])
  })
})
