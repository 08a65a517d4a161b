/**
 * What a drop-in store must do, rule by rule, through the public API alone: the session's cookie in
 * every form, the moment the session expires, and what of a session is stored at all.
 */
import session, { type SessionData } from 'express-session'
import { describe, expect, test, vi } from 'vitest'
import {
  answerOf,
  day,
  endsIn,
  kinds,
  noon,
  sessionOf,
  storesOf,
  type StoreOptions,
} from './contract-store.js'

const minute = 60_000

/** The cookie as express-session sees it after loading. */
const inflate = (stored: SessionData | undefined) => {
  if (!stored) throw new Error('Expected a session')
  const req = { sessionID: 'a' } as never
  const { cookie } = new session.MemoryStore().createSession(req, stored)
  return cookie as { expires?: Date | null; originalMaxAge: number | null }
}

describe.each(kinds)('a store $kind', ({ onFile }) => {
  const { open, nowAndAfterRestart } = storesOf({ onFile })

  describe('rule 9: the cookie', () => {
    test.each([
      ['a Date', { expires: new Date(noon + minute) }, noon + minute],
      ['an ISO string', { expires: new Date(noon + minute).toISOString() }, noon + minute],
      ['null', { expires: null }, null],
      ['false', { expires: false }, null],
      ['not at all', {}, null],
      ['null beside a maxAge of null', { expires: null, maxAge: null }, null],
    ])('expires as %s: expiry and loaded form', async (_, cookie, end) => {
      vi.useFakeTimers({ toFake: ['Date'], now: noon })
      const store = await open()
      await store.set('a', sessionOf({}, cookie))
      vi.setSystemTime((end ?? noon + day) - 1)
      await nowAndAfterRestart(store, async (store) => {
        const { expires } = inflate(await store.get('a'))
        expect(expires instanceof Date ? expires.getTime() : null).toBe(end)
        if (end === null) expect(expires || null).toBeNull()
      })
    })

    test('plain maxAge without expires counts from now', async () => {
      vi.useFakeTimers({ toFake: ['Date'], now: noon })
      const store = await open()
      await store.set('a', sessionOf({}, { maxAge: minute, path: '/' }))
      vi.setSystemTime(noon + minute - 1)
      await nowAndAfterRestart(store, async (store) => {
        expect(inflate(await store.get('a')).expires).toBeInstanceOf(Date)
      })
      vi.setSystemTime(noon + minute)
      expect(await (onFile ? await open() : store).get('a')).toBeUndefined()
    })

    test('maxAge 0 is expired at once', async () => {
      const store = await open()
      await store.set('a', sessionOf({}, { maxAge: 0 }))
      expect(await store.length()).toBe(0)
    })

    test.each([minute, 1, 0.5, 3_000_000_000, 9_007_199_254_740_991, null])(
      'originalMaxAge %s comes back exactly, also after a touch',
      async (originalMaxAge) => {
        const store = await open()
        const expires = new Date(Date.now() + minute)
        await store.set('a', sessionOf({}, { originalMaxAge, expires }))
        await store.set('b', sessionOf({}, { originalMaxAge: 5, expires }))
        await store.touch('b', sessionOf({}, { originalMaxAge, expires }))
        await nowAndAfterRestart(store, async (store) => {
          expect(inflate(await store.get('a')).originalMaxAge).toBe(originalMaxAge)
          expect(inflate(await store.get('b')).originalMaxAge).toBe(originalMaxAge)
        })
      },
    )

    test('every attribute comes back, unknown ones included', async () => {
      const cookie = {
        originalMaxAge: minute,
        partitioned: true,
        priority: 'high',
        secure: 'auto',
        httpOnly: false,
        domain: 'shop.example',
        path: '/shop',
        sameSite: 'strict',
        custom: { list: [1, 'two'] },
      }
      const store = await open()
      await store.set('a', sessionOf({}, { ...cookie, expires: new Date(Date.now() + minute) }))
      await nowAndAfterRestart(store, async (store) => {
        expect((await store.get('a'))?.cookie).toMatchObject(cookie)
      })
    })
  })

  describe('rule 10: the earlier of the cookie’s end and the ttl counts, to the millisecond', () => {
    const table: [StoreOptions['ttl'], object, number][] = [
      [undefined, {}, day],
      [undefined, { maxAge: 14 * day }, 14 * day],
      [undefined, { maxAge: 1 }, 1],
      [60, {}, minute],
      [60, { maxAge: 14 * day }, minute],
      ['14d', { maxAge: minute }, minute],
      ['14d', {}, 14 * day],
      ['30m', { expires: null }, 30 * minute],
      [0.25, {}, 250],
      [() => 90, {}, 90_000],
      [() => 90, { maxAge: 1234 }, 1234],
      [(_session, sid) => (sid === 'a' ? 1.5 : 60), {}, 1500],
      [(own) => (own as { hours?: number } & SessionData).hours! * 3600, {}, 2 * 60 * minute],
    ]
    test.each(table)('ttl %s and a cookie of %o: %i ms', async (ttl, cookie, life) => {
      vi.useFakeTimers({ toFake: ['Date'], now: noon })
      const store = await open({ ttl })
      await store.set('a', sessionOf({ hours: 2 }, cookie))
      vi.setSystemTime(noon + life - 1)
      await nowAndAfterRestart(
        store,
        async (store) => {
          expect(await store.get('a')).toBeDefined()
          expect([await store.length(), (await store.ids()).length]).toEqual([1, 1])
        },
        { ttl },
      )
      vi.setSystemTime(noon + life)
      const last = onFile ? await open({ ttl }) : store
      expect([await last.length(), await last.ids(), await last.all()]).toEqual([0, [], {}])
      expect(await last.get('a')).toBeUndefined()
    })

    test('a touch counts the ttl anew', async () => {
      vi.useFakeTimers({ toFake: ['Date'], now: noon })
      const store = await open({ ttl: 60 })
      await store.set('a', sessionOf())
      vi.setSystemTime(noon + 59_999)
      await store.touch('a', sessionOf())
      vi.setSystemTime(noon + 59_999 + 59_999)
      await nowAndAfterRestart(store, async (store) => {
        expect(await store.get('a')).toBeDefined()
      })
      vi.setSystemTime(noon + 59_999 + 60_000)
      expect(await (onFile ? await open() : store).get('a')).toBeUndefined()
    })

    test('a get does not', async () => {
      vi.useFakeTimers({ toFake: ['Date'], now: noon })
      const store = await open({ ttl: 60 })
      await store.set('a', sessionOf())
      vi.setSystemTime(noon + 59_999)
      expect(await store.get('a')).toBeDefined()
      vi.setSystemTime(noon + 60_000)
      expect(await store.get('a')).toBeUndefined()
    })
  })

  describe('rule 11: what of a session is stored', () => {
    test('the cookie’s own toJSON decides', async () => {
      const store = await open()
      const own = { secret: 1, toJSON: () => ({ path: '/own', originalMaxAge: 7 }) }
      await store.set('a', sessionOf({}, own))
      const cookie = new session.Cookie()
      cookie.maxAge = minute
      cookie.path = '/express'
      await store.set('b', sessionOf({}, cookie))
      await nowAndAfterRestart(store, async (store) => {
        expect((await store.get('a'))?.cookie).toEqual({ path: '/own', originalMaxAge: 7 })
        const b = (await store.get('b'))?.cookie
        const { originalMaxAge } = cookie
        expect(b).toMatchObject({ path: '/express', originalMaxAge, httpOnly: true })
        expect(b).not.toHaveProperty('_expires')
      })
    })

    test('id and req never', async () => {
      const store = await open()
      const req: Record<string, unknown> = { headers: {} }
      req.req = req
      await store.set('a', sessionOf({ id: 'a', req, n: 1 }))
      const real = new session.MemoryStore().createSession(
        { sessionID: 'b' } as never,
        sessionOf({ n: 2 }),
      )
      await store.set('b', real)
      await nowAndAfterRestart(store, async (store) => {
        expect(Object.keys((await store.get('a')) ?? {}).sort()).toEqual(['cookie', 'n'])
        expect(Object.keys((await store.get('b')) ?? {}).sort()).toEqual(['cookie', 'n'])
      })
    })

    test('a session without a cookie as it is', async () => {
      const store = await open()
      await store.set('a', { user: 1, tags: ['x'] } as never)
      await nowAndAfterRestart(store, async (store) => {
        expect(await store.get('a')).toStrictEqual({ user: 1, tags: ['x'] })
      })
    })
  })

  test('rule 15: set, get and destroy by callback alone, as @fastify/session calls them', async () => {
    const store = await open()
    const cookie = { ...endsIn(minute), originalExpires: null, sameSite: null, secure: false }
    expect(
      (await answerOf((done) => store.set('a', sessionOf({ n: 1 }, cookie), done)))[0] ?? null,
    ).toBeNull()
    expect((await answerOf((done) => store.get('a', done)))[1]).toMatchObject({ n: 1 })
    expect((await answerOf((done) => store.destroy('a', done)))[0] ?? null).toBeNull()
    expect(await answerOf((done) => store.get('a', done))).toEqual([null, undefined])
  })
})
