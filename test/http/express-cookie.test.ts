/**
 * What becomes of a session's cookie under express-session, over HTTP, with express 4 and 5: its
 * lifetime and attributes, as they are sent, as they come back with the session in the next request,
 * and as they come back after a restart.
 */
import type { CookieOptions } from 'express-session'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { attribute, sidOf, type Client } from './client.js'
import { stage } from './on-stage.js'
import { cookieInUse, generations, visit, type Express, type Handler } from './stage.js'

const minute = 60_000
const noon = Date.UTC(2024, 4, 5, 12)

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: noon }))

const later = (ms: number) => vi.setSystemTime(Date.now() + ms)
const expiresOf = (header: string | undefined) =>
  Date.parse(attribute(header ?? '', 'Expires') ?? '')

/** Answers the cookie as the request sees it; GET /change changes the session as well. */
const look: Handler = (req, res) => {
  if (req.path === '/change') visit(req).count = (visit(req).count ?? 0) + 1
  const { expires, maxAge, originalMaxAge } = cookieInUse(req)
  res.json({
    expires: expires ?? null,
    isDate: expires instanceof Date,
    maxAge: maxAge ?? null,
    originalMaxAge,
    count: visit(req).count,
  })
}

/** Runs the checks on the session as it is, and again after a restart. */
async function beforeAndAfter(
  express: Express,
  cookie: CookieOptions,
  check: (client: Client) => Promise<void>,
  prepare: Handler = look,
): Promise<void> {
  const store = await stage.open()
  const first = await stage.serve(express, { store, cookie }, (req, res, next) => {
    return req.path === '/prepare' ? prepare(req, res, next) : look(req, res, next)
  })
  await first.client.get('/prepare')
  await check(first.client)
  await store.close()
  const again = await stage.serve(express, { store: await stage.open(), cookie }, look)
  await check(first.client.at(again.client.origin))
}

describe.each(generations)('$name', ({ express }) => {
  describe('a lifetime', () => {
    test.each([1000, 2000, minute, 3_000_000_000])(
      'of %i ms is sent as Expires and comes back as originalMaxAge and a Date',
      async (maxAge) => {
        const store = await stage.open()
        const { client } = await stage.serve(express, { store, cookie: { maxAge } }, look)
        const { cookies } = await client.get()
        expect(expiresOf(cookies[0])).toBe(noon + maxAge)
        const seen = { isDate: true, maxAge, originalMaxAge: maxAge }
        expect((await client.get()).json()).toMatchObject(seen)
        await store.close()
        const again = await stage.serve(express, { store: await stage.open() }, look)
        expect((await client.at(again.client.origin).get()).json()).toMatchObject(seen)
      },
    )

    test('runs down between requests; originalMaxAge stays as it was', async () => {
      await beforeAndAfter(express, { maxAge: minute }, async (client) => {
        for (let visits = 0; visits < 3; visits++) {
          later(15_000)
          expect((await client.get()).json()).toEqual({
            expires: new Date(Date.now() + 45_000).toISOString(),
            isDate: true,
            maxAge: 45_000,
            originalMaxAge: minute,
          })
        }
      })
    })

    test('is sent again only when the session changes', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store, cookie: { maxAge: minute } }, look)
      await client.get()
      later(10_000)
      expect((await client.get()).cookies).toEqual([])
      expect(expiresOf((await client.get('/change')).cookies[0])).toBe(noon + 70_000)
    })

    test('is sent every time when rolling', async () => {
      const store = await stage.open()
      const options = { store, rolling: true, cookie: { maxAge: minute } }
      const { client } = await stage.serve(express, options, look)
      for (let visits = 0; visits < 3; visits++) {
        later(10_000)
        expect(expiresOf((await client.get()).cookies[0])).toBe(Date.now() + minute)
      }
    })

    test('counts from the end of a slow response in the store', async () => {
      const store = await stage.open()
      const options = { store, rolling: true, cookie: { maxAge: minute } }
      const { client } = await stage.serve(express, options, (_req, res) => {
        later(5000)
        res.end()
      })
      await client.get()
      const stored = await store.get(sidOf(client.cookie))
      expect(new Date(stored?.cookie.expires ?? 0).getTime()).toBe(noon + 5000 + minute)
    })

    test('changed by one visitor (“remember me”) is kept for that one, over requests and a restart', async () => {
      const remember: Handler = (req, res) => {
        req.session.cookie.maxAge = 30 * 24 * 60 * minute
        res.end()
      }
      const check = async (client: Client) => {
        later(24 * 60 * minute)
        const originalMaxAge = 30 * 24 * 60 * minute
        expect((await client.get()).json()).toMatchObject({ isDate: true, originalMaxAge })
      }
      await beforeAndAfter(express, { maxAge: minute }, check, remember)
    })

    test('changed and changed back by resetMaxAge', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(
        express,
        { store, cookie: { maxAge: minute } },
        (req, res) => {
          later(1000)
          req.session.resetMaxAge()
          res.json([req.session.cookie.maxAge, req.session.cookie.originalMaxAge])
        },
      )
      for (let visits = 0; visits < 3; visits++) {
        expect((await client.get()).json()).toEqual([minute, minute])
      }
    })
  })

  describe('a browser session’s cookie', () => {
    test('has no Expires, is sent once, and comes back without an end', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, look)
      const { cookies } = await client.get('/change')
      expect(attribute(cookies[0] ?? '', 'Expires')).toBeUndefined()
      const answer = await client.get('/change')
      expect(answer.cookies).toEqual([])
      expect(answer.json()).toEqual({
        expires: null,
        isDate: false,
        maxAge: null,
        originalMaxAge: null,
        count: 2,
      })
    })

    test('comes back the same after a restart, and the session with it for a day', async () => {
      await beforeAndAfter(express, {}, async (client) => {
        later(23 * 60 * minute)
        const answer = await client.get('/change')
        expect(answer.cookies).toEqual([])
        expect(answer.json()).toMatchObject({ expires: null, maxAge: null, originalMaxAge: null })
      })
    })

    test('ends in the store after a day without a visit', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, look)
      await client.get('/change')
      later(24 * 60 * minute - 1)
      expect((await client.get('/change')).json()).toMatchObject({ count: 2 })
      later(24 * 60 * minute)
      expect((await client.get('/change')).json()).toMatchObject({ count: 1 })
    })

    test('can be made of one with a lifetime by setting expires to null', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(
        express,
        { store, cookie: { maxAge: minute } },
        (req, res) => {
          if (req.path === '/prepare') cookieInUse(req).expires = null
          else visit(req).count = 1
          res.end()
        },
      )
      const { cookies } = await client.get('/prepare')
      expect(attribute(cookies[0] ?? '', 'Expires')).toBeUndefined()
      later(2 * minute)
      expect((await client.get()).cookies).toEqual([])
      expect(await store.get(sidOf(client.cookie))).toMatchObject({ count: 1 })
    })
  })

  describe('an absolute end', () => {
    test('is sent as it is and rules the store', async () => {
      const end = new Date(noon + 90_000)
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, (req, res) => {
        if (req.path === '/prepare') cookieInUse(req).expires = end
        res.end(req.sessionID)
      })
      const { cookies, body } = await client.get('/prepare')
      expect(expiresOf(cookies[0])).toBe(end.getTime())
      const cookie = client.cookie
      later(89_999)
      expect(await store.get(body)).toBeDefined()
      later(1)
      expect((await client.get('/', { cookie })).body).not.toBe(body)
    })

    test('in the past leaves nothing in the store and no error', async () => {
      const store = await stage.open()
      const { client, errors } = await stage.serve(express, { store }, (req, res) => {
        cookieInUse(req).expires = new Date(0)
        // express-session renews the lifetime before it saves, from what is left of it.
        req.session.cookie.originalMaxAge = -1
        res.end()
      })
      const { status, cookies } = await client.get()
      expect([status, errors]).toEqual([200, []])
      expect(cookies).toHaveLength(1)
      expect(await store.length()).toBe(0)
    })
  })

  describe('attributes', () => {
    const all: CookieOptions = {
      path: '/shop',
      domain: 'shop.example',
      httpOnly: false,
      sameSite: 'strict',
      priority: 'high',
      partitioned: true,
      maxAge: minute,
    }

    test('come back with the session, and again after a restart', async () => {
      const store = await stage.open()
      const seen: Handler = (req, res) => {
        const { path, domain, httpOnly, sameSite, priority, partitioned } = cookieInUse(req)
        res.json({ path, domain, httpOnly, sameSite, priority, partitioned })
      }
      const { client } = await stage.serve(express, { store, cookie: all }, seen)
      await client.get('/shop')
      // A browser would not send this cookie here; only the store can bring its attributes back.
      const plain = { maxAge: 1, path: '/' }
      const other = await stage.serve(express, { store, cookie: plain }, seen)
      const { maxAge: _, ...attributes } = all
      expect((await client.at(other.client.origin).get()).json()).toEqual(attributes)
      await store.close()
      const again = await stage.serve(express, { store: await stage.open(), cookie: plain }, seen)
      expect((await client.at(again.client.origin).get()).json()).toEqual(attributes)
    })

    test('may come from a function of the request', async () => {
      const store = await stage.open()
      const cookie = (req: { headers: Record<string, unknown> }) => ({
        maxAge: req.headers.device === 'tv' ? 5 * minute : minute,
      })
      const { client } = await stage.serve(express, { store, cookie: cookie as never }, look)
      await client.get('/', { headers: { device: 'tv' } })
      expect((await client.get()).json()).toMatchObject({ originalMaxAge: 5 * minute })
    })

    test('secure: stored, but the cookie is not sent in the clear', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store, cookie: { secure: true } }, look)
      expect((await client.get()).cookies).toEqual([])
      expect(await store.length()).toBe(1)
    })

    test('secure behind a trusted proxy: sent, and the session comes back', async () => {
      const store = await stage.open()
      const options = { store, proxy: true, cookie: { secure: 'auto' as const, maxAge: minute } }
      const { client } = await stage.serve(express, options, look)
      const headers = { 'x-forwarded-proto': 'https' }
      const { cookies } = await client.get('/change', { headers })
      expect(attribute(cookies[0] ?? '', 'Secure')).toBe('')
      expect((await client.get('/change', { headers })).json()).toMatchObject({ count: 2 })
      expect((await store.get(sidOf(client.cookie)))?.cookie.secure).toBe(true)
    })

    test('path: elsewhere there is no session, and the store is not asked', async () => {
      const store = await stage.open()
      const get = vi.spyOn(store, 'get')
      const { client } = await stage.serve(
        express,
        { store, cookie: { path: '/shop' } },
        (req, res) => {
          res.end(typeof req.session)
        },
      )
      expect((await client.get('/shop/tea')).body).toBe('object')
      expect(await client.get('/news')).toMatchObject({ body: 'undefined', cookies: [] })
      expect(get).not.toHaveBeenCalled()
      expect(await store.length()).toBe(1)
    })
  })
})
