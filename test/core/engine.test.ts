/**
 * What sessions live through in memory: when they expire, who is told, what is counted.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { SessionData } from 'express-session'
import { describe, expect, test } from 'vitest'
import { HOUR } from '../support/records.js'
import { endsIn, open, sessionOf, sessionsIn, type Stage } from '../support/stores.js'

const SECOND = 1000
const DAY = 24 * HOUR

const cycle: object = {}

const put = ({ store, clock }: Stage, sid: string, ms = DAY) =>
  store.set(sid, sessionOf({ n: sid.repeat(9) }, endsIn(clock, ms)))
const later = (stage: Stage) => {
  stage.clock.jump(SECOND)
  return stage
}
const dispose = () => undefined

/** The kinds of stores: every rule holds for both. */
describe.each([
  ['in memory only', { snapshotPath: false as const }],
  ['on a file', {}],
])('%s,', (_, kind) => {
  /** How long a session lives that is set now, in ms; found by asking ever later. */
  async function lifeOf({ store, clock }: Stage, sid: string, most: number): Promise<number> {
    const began = clock.time
    clock.time = began + most
    expect(await store.length(), 'still alive').toBe(0)
    clock.time = began + most - 1
    expect(await store.length(), 'gone already').toBe(1)
    expect(await store.get(sid)).toBeDefined()
    clock.time = began
    return most
  }

  describe('a session lives', () => {
    const live = async (
      options: Parameters<typeof open>[0],
      cookie: (stage: Stage) => object,
      most: number,
    ) => {
      const stage = await open({ ...kind, ...options })
      await stage.store.set('a', sessionOf({ n: 1 }, cookie(stage)))
      await lifeOf(stage, 'a', most)
    }

    test('as long as its cookie', () => live({}, ({ clock }) => endsIn(clock, HOUR), HOUR))
    test('as long as `ttl`, where the cookie says nothing', () =>
      live({ ttl: 90 }, () => ({ expires: null }), 90 * SECOND))
    test('until the earlier of the two', async () => {
      await live({ ttl: 90 }, ({ clock }) => endsIn(clock, HOUR), 90 * SECOND)
      await live({ ttl: '2h' }, ({ clock }) => endsIn(clock, HOUR), HOUR)
    })
    test('a day with neither', () => live({}, () => ({}), DAY))
    test('as long as a plain `maxAge`, where there is no `expires`', () =>
      live({}, () => ({ maxAge: 1234 }), 1234))
    test('to the millisecond where `ttl` is a function', () =>
      live({ ttl: () => 1.5 }, () => ({}), 1500))
    test('as long as a Date knows, where `maxAge` has no end', async () => {
      const stage = await open(kind)
      await stage.store.set('a', sessionOf({}, { maxAge: Infinity }))
      await stage.store.set('b', sessionOf({}, { maxAge: 1e300 }))
      stage.clock.jump(1000 * 365 * DAY)
      expect(await stage.store.length()).toBe(2)
    })
  })

  test('the `ttl` function is asked with the session and its sid, at set and at touch', async () => {
    const asked: unknown[] = []
    const ttl = (session: object, sid: string) => {
      asked.push([sid, 'n' in session && session.n])
      return 60
    }
    const { store } = await open({ ...kind, ttl })
    await store.set('a', sessionOf({ n: 1 }))
    await store.touch('a', sessionOf({ n: 2 }))
    expect(asked).toEqual([
      ['a', 1],
      ['a', 2],
    ])
  })

  describe('a session that has expired', () => {
    const expired = async (options: Parameters<typeof open>[0] = {}) => {
      const stage = await open({ ...kind, ...options })
      await stage.store.set('a', sessionOf({ n: 1 }, endsIn(stage.clock, SECOND)))
      stage.clock.jump(SECOND)
      return stage
    }

    test('is gone once it has been noticed, and told once', async () => {
      const { store } = await expired()
      const told: string[] = []
      store.on('expired', (sid: string) => told.push(sid))
      expect(store.stats().sessions).toBe(1)
      expect(await store.get('a')).toBeUndefined()
      expect(await store.get('a')).toBeUndefined()
      expect([store.stats().sessions, store.stats().expired, told]).toEqual([0, 1, ['a']])
    })

    test('is returned once more where `stale` says so', async () => {
      const { store } = await expired({ stale: true })
      expect(await store.get('a')).toMatchObject({ n: 1 })
      expect(await store.get('a')).toBeUndefined()
    })

    test('is listed, counted and pruned as what it is', async () => {
      const { store } = await expired()
      expect([await store.ids(), await store.length(), { ...(await store.all()) }]).toEqual([
        [],
        0,
        {},
      ])
      await store.prune()
      expect(store.stats()).toMatchObject({ sessions: 0, bytes: 0, expired: 1 })
    })

    test('does not come back by a clock set back, once it has been noticed', async () => {
      const { store, clock } = await expired()
      await store.prune()
      clock.jump(-HOUR)
      expect(await store.get('a')).toBeUndefined()
    })

    test('by a set or a touch with a cookie of the past is gone at once', async () => {
      for (const method of ['set', 'touch'] as const) {
        const stage = await open(kind)
        await stage.store.set('a', sessionOf({}, endsIn(stage.clock, HOUR)))
        await stage.store[method]('a', sessionOf({}, { maxAge: 0 }))
        expect(await stage.store.get('a')).toBeUndefined()
        expect(stage.store.stats()).toMatchObject({ sessions: 0, expired: 1 })
      }
    })
  })

  test('pruning goes by its interval, and stops and starts', async () => {
    const { store, clock } = await open({ ...kind, checkPeriod: 10 * SECOND })
    const setOne = () => store.set('a', sessionOf({}, endsIn(clock, SECOND)))
    await setOne()
    await clock.advance(10 * SECOND)
    expect(store.stats().expired).toBe(1)
    await setOne()
    store.stopInterval()
    await clock.advance(HOUR)
    expect(store.stats().expired).toBe(1)
    store.startInterval()
    await clock.advance(10 * SECOND)
    expect(store.stats().expired).toBe(2)
  })

  describe('`dispose`', () => {
    const disposing = async (options: Parameters<typeof open>[0] = {}) => {
      const told: unknown[] = []
      const dispose = (sid: string, session: object, reason: string) =>
        told.push([sid, 'n' in session ? session.n : undefined, reason])
      return { ...(await open({ ...kind, dispose, ...options })), told }
    }

    test('is told why each session leaves, with what it last held', async () => {
      const { store, clock, told } = await disposing({ max: 2 })
      await store.set('a', sessionOf({ n: 1 }))
      await store.set('a', sessionOf({ n: 2 }))
      await store.set('b', sessionOf({ n: 3 }))
      await store.set('c', sessionOf({ n: 4 }))
      await store.destroy('b')
      await store.set('d', sessionOf({ n: 5 }, endsIn(clock, SECOND)))
      clock.jump(SECOND)
      await store.prune()
      await store.clear()
      expect(told).toEqual([
        ['a', 1, 'replaced'],
        ['a', 2, 'evicted'],
        ['b', 3, 'destroyed'],
        ['d', 5, 'expired'],
        ['c', 4, 'destroyed'],
      ])
    })

    test('is not told of replacements with `noDisposeOnSet`', async () => {
      const { store, told } = await disposing({ noDisposeOnSet: true })
      await store.set('a', sessionOf({ n: 1 }))
      await store.set('a', sessionOf({ n: 2 }))
      await store.destroy('a')
      expect(told).toEqual([['a', 2, 'destroyed']])
    })

    test('that throws disturbs nobody: it is told as an error', async () => {
      const dispose = () => {
        throw new Error('of the user')
      }
      const { store, errors } = await disposing({ dispose })
      await store.set('a', sessionOf({ n: 1 }))
      await store.set('a', sessionOf({ n: 2 }))
      await store.destroy('a')
      expect(await store.get('a')).toBeUndefined()
      expect(errors).toMatchObject([{ code: 'ERR_HOOK' }, { code: 'ERR_HOOK' }])
    })

    test('may destroy another session each time it is told of one', async () => {
      const told: string[] = []
      const { store } = await disposing({
        dispose: (sid: string) => {
          told.push(sid)
          void store.destroy(String(Number(sid) + 1))
        },
      })
      for (let n = 0; n < 5000; n++) await store.set(String(n), sessionOf())
      await store.destroy('0')
      expect(told).toEqual(Array.from({ length: 5000 }, (_, n) => String(n)))
    })

    test('that rejects disturbs nobody either', async () => {
      const cause = new Error('of the user')
      const dispose = (sid: string): unknown =>
        sid === 'a' ? Promise.reject(cause) : Promise.resolve()
      const { store, errors } = await disposing({ dispose })
      await store.set('a', sessionOf({ n: 1 }))
      await store.set('b', sessionOf({ n: 2 }))
      await store.destroy(['a', 'b'])
      await turn()
      expect(errors).toMatchObject([{ code: 'ERR_HOOK', cause }])
    })

    test('is told once of each session of a store that is cleared, whatever it does then', async () => {
      const told: string[] = []
      const { store, errors } = await disposing({
        dispose: (sid: string) => {
          told.push(sid)
          void store.destroy(sid)
          void store.clear()
        },
      })
      for (const sid of 'abc') await store.set(sid, sessionOf())
      await store.clear()
      expect([told.sort(), errors]).toEqual([['a', 'b', 'c'], []])
    })
  })

  describe.each<[string, object, (stage: Stage) => unknown]>([
    ['is destroyed', { dispose }, ({ store }) => store.destroy('a')],
    ['is replaced', { dispose }, (stage) => put(stage, 'a')],
    ['is cleared', { dispose }, ({ store }) => store.clear()],
    ['is pruned', { dispose }, (stage) => later(stage).store.prune()],
    ['is found expired', { dispose }, (stage) => later(stage).store.get('a')],
    ['is given once more', { stale: true }, (stage) => later(stage).store.get('a')],
    ['is touched too late', { dispose }, (stage) => later(stage).store.touch('a', sessionOf())],
    ['is set to an end', { dispose }, (stage) => put(stage, 'a', 0)],
  ])('while a session %s, what `parse`', (name, options, leave) => {
    test.each<[string, string, (stage: Stage) => unknown]>([
      [
        'destroys and sets',
        'bz',
        (stage) => Promise.all([stage.store.destroy('a'), put(stage, 'b')]),
      ],
      ['clears and sets', 'b', (stage) => Promise.all([stage.store.clear(), put(stage, 'b')])],
      ['sets anew', 'az', (stage) => put(stage, 'a')],
    ])('%s stands, and nothing else', async (__, left, act) => {
      let armed = false
      const parse = (text: string) => {
        const acts = armed
        armed = false
        if (acts) act(stage)
        return JSON.parse(text) as SessionData
      }
      const serializer = { stringify: JSON.stringify, parse }
      const stage = await open({ ...kind, ...options, serializer })
      await put(stage, 'z')
      await put(stage, 'a', SECOND)
      armed = true
      await leave(stage)
      expect(armed).toBe(false)
      // What was freed, once, is used again.
      for (const sid of 'cde') await put(stage, sid)
      const sids = [...left, ...'cde'].filter((sid) => name !== 'is cleared' || sid !== 'z')
      const sessions = Object.fromEntries(sids.map((sid) => [sid, { n: sid.repeat(9) }]))
      expect(await sessionsIn(stage)).toMatchObject(sessions)
      expect(stage.store.stats().sessions).toBe(sids.length)
      await stage.store.snapshot()
      for (const sid of sids) await stage.store.destroy(sid)
      expect(stage.store.stats()).toMatchObject({ sessions: 0, bytes: 0 })
      expect(stage.errors).toEqual([])
    })
  })

  test('limits evict the session used least recently, and tell of it', async () => {
    const { store } = await open({ ...kind, max: 3 })
    const told: string[] = []
    store.on('evicted', (sid: string) => told.push(sid))
    for (const sid of 'abc') await store.set(sid, sessionOf())
    await store.get('a')
    await store.touch('b', sessionOf())
    for (const sid of 'de') await store.set(sid, sessionOf())
    expect(told).toEqual(['c', 'a'])
    expect(store.stats()).toMatchObject({ sessions: 3, evicted: 2 })
  })

  test('a session that `maxBytes` could never hold is refused, and nothing changes', async () => {
    const { store } = await open({ ...kind, maxBytes: 1000 })
    await store.set('a', sessionOf({ n: 1 }))
    const large = sessionOf({ text: 'x'.repeat(2000) })
    await expect(store.set('a', large)).rejects.toMatchObject({
      name: 'RangeError',
      code: 'ERR_SESSION_ENCODE',
    })
    expect(await store.get('a')).toMatchObject({ n: 1 })
    for (let i = 0; i < 50; i++) await store.set(`${i}`, sessionOf({ text: 'x'.repeat(i * 5) }))
    expect(store.stats().bytes).toBeLessThanOrEqual(1000)
  })

  test.each([
    ['null', null],
    ['nothing', undefined],
    ['a number', 5],
    ['a session whose cookie has a cycle', sessionOf({}, Object.assign(cycle, { cycle }))],
    ['a session whose cookie holds a BigInt', sessionOf({}, { n: 1n })],
  ])('%s in the place of a session is refused, with a code', async (_, given) => {
    const { store } = await open(kind)
    for (const call of [store.set('a', given as never), store.touch('a', given as never)]) {
      await expect(call).rejects.toMatchObject({ name: 'TypeError', code: 'ERR_SESSION_ENCODE' })
    }
    expect(await store.get('a')).toBeUndefined()
  })

  test('an id that is no text and can not become one is an error to the caller', async () => {
    const { store } = await open(kind)
    await expect(store.destroy([Object.create(null) as never])).rejects.toBeInstanceOf(TypeError)
  })

  test('a sid with half a character in it is refused, since no file could tell it', async () => {
    const { store } = await open(kind)
    await expect(store.set('a\ud800', sessionOf())).rejects.toBeInstanceOf(TypeError)
    expect(await store.get('a\ud800')).toBeUndefined()
  })

  test('counts what has been done', async () => {
    const { store, clock } = await open(kind)
    await store.set('a', sessionOf())
    await store.set('a', sessionOf())
    await store.set('b', sessionOf({}, endsIn(clock, SECOND)))
    await store.get('a')
    await store.get('nobody')
    await store.touch('a', sessionOf())
    await store.touch('nobody', sessionOf())
    await store.destroy('nobody')
    clock.jump(SECOND)
    await store.get('b')
    await store.destroy('a')
    expect(store.stats()).toMatchObject({
      sessions: 0,
      bytes: 0,
      sets: 3,
      hits: 1,
      misses: 2,
      touches: 1,
      destroyed: 1,
      expired: 1,
      evicted: 0,
    })
  })
})
