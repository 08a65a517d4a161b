/**
 * What a drop-in store must do, rule by rule, through the public API alone: what destroy, touch, set
 * and get do to a session, what lists and counts sessions, and the timer that prunes them.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test, vi } from 'vitest'
import { endsIn, kinds, noon, sessionOf, storesOf, turns } from './contract-store.js'

describe.each(kinds)('a store $kind', ({ onFile }) => {
  const { open, nowAndAfterRestart, path } = storesOf({ onFile })

  describe('rule 5: destroy and touch', () => {
    test('of a session that is not there: no error, nothing created', async () => {
      const store = await open()
      await store.set('a', sessionOf())
      await store.touch('nobody', sessionOf({ n: 1 }))
      await store.destroy('nobody')
      await store.destroy(['nobody', 'no one'])
      await store.destroy([])
      expect(await store.ids()).toEqual(['a'])
    })

    test('of an expired one: the same, it does not come back to life', async () => {
      vi.useFakeTimers({ toFake: ['Date'], now: noon })
      const store = await open()
      await store.set('a', sessionOf({}, endsIn(1000)))
      vi.setSystemTime(noon + 1000)
      await store.touch('a', sessionOf({}, endsIn(1000)))
      expect(await store.get('a')).toBeUndefined()
    })

    test('destroy takes several ids at once', async () => {
      const store = await open()
      for (const sid of ['a', 'b', 'c']) await store.set(sid, sessionOf())
      await store.destroy(['a', 'c', 'nobody'])
      await nowAndAfterRestart(store, async (store) => expect(await store.ids()).toEqual(['b']))
    })
  })

  describe('rule 6: set of a session that has expired', () => {
    test.each([
      ['by its expires', { expires: new Date(noon - 1) }],
      ['by its expires, this very millisecond', { expires: new Date(noon) }],
      ['by an ISO string', { expires: new Date(noon - 1).toISOString() }],
      ['by a maxAge of 0', { maxAge: 0 }],
    ])(
      '%s, succeeds and leaves nothing to get, not what was there before either',
      async (_, cookie) => {
        vi.useFakeTimers({ toFake: ['Date'], now: noon })
        const store = await open()
        await store.set('a', sessionOf({ n: 1 }))
        await store.set('a', sessionOf({ n: 2 }, cookie))
        await nowAndAfterRestart(store, async (store) => {
          expect(await store.get('a')).toBeUndefined()
          expect(await store.length()).toBe(0)
        })
      },
    )
  })

  describe('rule 7: touch', () => {
    test('replaces cookie and expiry and leaves the data alone', async () => {
      vi.useFakeTimers({ toFake: ['Date'], now: noon })
      const store = await open()
      await store.set('a', sessionOf({ n: 1, list: [1] }, { ...endsIn(1000), path: '/old' }))
      const cookie = { ...endsIn(5000), path: '/new' }
      await store.touch('a', sessionOf({ n: 2, more: true }, cookie))
      vi.setSystemTime(noon + 4999)
      await nowAndAfterRestart(store, async (store) => {
        const { cookie, ...data } = (await store.get('a')) ?? {}
        expect(data).toEqual({ n: 1, list: [1] })
        expect(cookie).toMatchObject({ path: '/new', originalMaxAge: 5000 })
        expect(new Date(cookie?.expires ?? 0).getTime()).toBe(noon + 5000)
      })
      vi.setSystemTime(noon + 5000)
      expect(await (onFile ? await open() : store).get('a')).toBeUndefined()
    })

    test.each(['flush', 'snapshot'] as const)(
      'prolongs a life over a restart, though what %s wrote before would have run out',
      async (write) => {
        vi.useFakeTimers({ toFake: ['Date'], now: noon })
        const store = await open()
        await store.set('a', sessionOf({ n: 1 }, endsIn(60_000)))
        await store[write]()
        for (let touches = 1; touches <= 3; touches++) {
          vi.setSystemTime(noon + touches * 50_000)
          await store.touch('a', sessionOf({}, endsIn(60_000)))
          await store.flush()
        }
        await nowAndAfterRestart(store, async (store) => {
          expect(await store.get('a')).toMatchObject({ n: 1 })
        })
      },
    )

    test('can shorten a life, down to nothing', async () => {
      const store = await open()
      await store.set('a', sessionOf({}, endsIn(60_000)))
      await store.touch('a', sessionOf({}, endsIn(0)))
      await nowAndAfterRestart(store, async (store) => {
        expect(await store.get('a')).toBeUndefined()
      })
    })
  })

  test('rule 8: get gives a fresh plain object; changing it changes nothing until set', async () => {
    const store = await open()
    await store.set('a', sessionOf({ list: [{ n: 1 }] }, endsIn(60_000)))
    type Mine = { cookie: { path?: string }; list: { n: number }[] }
    const one = (await store.get('a')) as unknown as Mine
    expect(Object.getPrototypeOf(one)).toBe(Object.prototype)
    one.list[0]!.n = 2
    one.list.push({ n: 3 })
    one.cookie.path = '/changed'
    const two = (await store.get('a')) as unknown as Mine
    expect(two).not.toBe(one)
    expect(two).toMatchObject({ list: [{ n: 1 }], cookie: { path: '/' } })
    await store.set('a', sessionOf(one))
    expect(await store.get('a')).toMatchObject({ list: [{ n: 2 }, { n: 3 }] })
    const all = (await store.all()) as unknown as Record<string, Mine>
    all.a!.list = []
    expect(await store.get('a')).toMatchObject({ list: [{ n: 2 }, { n: 3 }] })
  })

  describe('rule 13: all, ids, length, prune and its timer', () => {
    test('all gives live sessions by id, without prototype; ids a list; length counts them', async () => {
      vi.useFakeTimers({ toFake: ['Date'], now: noon })
      const store = await open()
      await store.set('a', sessionOf({ n: 1 }))
      await store.set('__proto__', sessionOf({ n: 2 }))
      await store.set('short', sessionOf({}, endsIn(1000)))
      expect(await store.length()).toBe(3)
      vi.setSystemTime(noon + 1000)
      await nowAndAfterRestart(store, async (store) => {
        const all = await store.all()
        expect(Object.getPrototypeOf(all)).toBeNull()
        expect(Object.keys(all).sort()).toEqual(['__proto__', 'a'])
        expect(all['__proto__']).toMatchObject({ n: 2 })
        const ids = await store.ids()
        expect([Array.isArray(ids), ids.sort()]).toEqual([true, ['__proto__', 'a']])
        expect(await store.length()).toBe(2)
      })
    })

    test('prune removes what has expired and nothing else', async () => {
      vi.useFakeTimers({ toFake: ['Date'], now: noon })
      const gone: string[] = []
      const store = await open({
        dispose: (sid, _session, reason) => gone.push(`${sid} ${reason}`),
      })
      for (let i = 0; i < 100; i++)
        await store.set(`${i}`, sessionOf({}, endsIn(i < 60 ? 1000 : 2000)))
      vi.setSystemTime(noon + 1000)
      await store.prune()
      expect(gone.sort()).toEqual(Array.from({ length: 60 }, (_, i) => `${i} expired`).sort())
      expect(store.stats().sessions).toBe(40)
    })

    test('startInterval and stopInterval rule the timer', async () => {
      const toFake = ['Date', 'setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] as const
      vi.useFakeTimers({ toFake: [...toFake], now: noon })
      const store = await open({ checkPeriod: 10_000 })
      await store.set('a', sessionOf({}, endsIn(5000)))
      await vi.advanceTimersByTimeAsync(9999)
      await turns()
      expect(store.stats().expired).toBe(0)
      await vi.advanceTimersByTimeAsync(1)
      await turns()
      expect(store.stats().expired).toBe(1)

      store.stopInterval()
      await store.set('b', sessionOf({}, endsIn(5000)))
      await vi.advanceTimersByTimeAsync(60_000)
      await turns()
      expect(store.stats().expired).toBe(1)

      store.startInterval()
      store.startInterval()
      await vi.advanceTimersByTimeAsync(10_000)
      await turns()
      expect(store.stats().expired).toBe(2)
    })

    test('no timer and no file keeps the process alive, and nothing is lost when it ends', async () => {
      const code = `
        import { PersistentMemoryStore } from 'persistent-memorystore'
        const store = new PersistentMemoryStore({ snapshotPath: process.env.SNAPSHOT || false })
        await store.set('a', { cookie: {}, n: 1 })
        store.stopInterval()
        store.startInterval()
        console.log('set')`
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--input-type=module', '--eval', code],
        {
          cwd: fileURLToPath(new URL('..', import.meta.url)),
          env: { ...process.env, SNAPSHOT: onFile ? path() : '' },
          timeout: 20_000,
        },
      )
      expect(stdout).toBe('set\n')
      if (onFile) expect(await (await open()).get('a')).toMatchObject({ n: 1 })
    }, 30_000)
  })
})
