/**
 * When express-session saves, touches, destroys and sets the cookie, over HTTP, with express 4 and
 * 5: every combination of its options, and what the store makes of each call.
 */
import session from 'express-session'
import { describe, expect, test, vi } from 'vitest'
import type { PersistentMemoryStore } from '../../src/index.js'
import { Client, sidOf, type Answer } from './client.js'
import { stage } from './on-stage.js'
import { generations, visit, type Handler } from './stage.js'

/** GET /change changes the session, any other path leaves it alone. */
const changeOrRead: Handler = (req, res) => {
  if (req.path === '/change') visit(req).count = (visit(req).count ?? 0) + 1
  res.end(String(visit(req).count ?? 0))
}

/** What a request made of the store and of the cookie: 'set', 'touch' and 'cookie', in one line. */
function observer(store: PersistentMemoryStore) {
  const spies = { set: vi.spyOn(store, 'set'), touch: vi.spyOn(store, 'touch') }
  return async (request: Promise<Answer>) => {
    for (const spy of Object.values(spies)) spy.mockClear()
    const { cookies } = await request
    const calls = Object.entries(spies).flatMap(([name, spy]) => spy.mock.calls.map(() => name))
    return [...calls, ...cookies.map(() => 'cookie')].join(' ')
  }
}

// The four requests: a first one that only reads, a first one that changes the session, then one
// of a known visitor that only reads and one that changes.
const [off, on] = [false, true]
const combinations = [
  // resave, saveUninitialized, rolling, maxAge; first read, first change, later read, later change
  [off, off, off, off, '', 'set cookie', 'touch', 'set'],
  [off, off, off, on, '', 'set cookie', 'touch', 'set cookie'],
  [off, off, on, off, '', 'set cookie', 'touch cookie', 'set cookie'],
  [off, off, on, on, '', 'set cookie', 'touch cookie', 'set cookie'],
  [off, on, off, off, 'set cookie', 'set cookie', 'touch', 'set'],
  [off, on, off, on, 'set cookie', 'set cookie', 'touch', 'set cookie'],
  [off, on, on, off, 'set cookie', 'set cookie', 'touch cookie', 'set cookie'],
  [off, on, on, on, 'set cookie', 'set cookie', 'touch cookie', 'set cookie'],
  [on, off, off, off, '', 'set cookie', 'set', 'set'],
  [on, off, off, on, '', 'set cookie', 'set', 'set cookie'],
  [on, off, on, off, '', 'set cookie', 'set cookie', 'set cookie'],
  [on, off, on, on, '', 'set cookie', 'set cookie', 'set cookie'],
  [on, on, off, off, 'set cookie', 'set cookie', 'set', 'set'],
  [on, on, off, on, 'set cookie', 'set cookie', 'set', 'set cookie'],
  [on, on, on, off, 'set cookie', 'set cookie', 'set cookie', 'set cookie'],
  [on, on, on, on, 'set cookie', 'set cookie', 'set cookie', 'set cookie'],
] as const

describe.each(generations)('$name', ({ express }) => {
  test.each(combinations)(
    'resave %s, saveUninitialized %s, rolling %s, maxAge %s',
    async (resave, saveUninitialized, rolling, lasting, read, change, laterRead, laterChange) => {
      const store = await stage.open()
      const cookie = lasting ? { maxAge: 60_000 } : {}
      const options = { store, resave, saveUninitialized, rolling, cookie }
      const { client } = await stage.serve(express, options, changeOrRead)
      const observed = observer(store)

      expect(await observed(client.get('/', { cookie: '' }))).toBe(read)
      expect(await store.length()).toBe(read ? 1 : 0)
      client.jar.clear()
      expect(await observed(client.get('/change'))).toBe(change)
      expect(await observed(client.get())).toBe(laterRead)
      expect(await observed(client.get('/change'))).toBe(laterChange)
      expect(await store.get(sidOf(client.cookie))).toMatchObject({ count: 2 })
    },
  )

  test('resave and saveUninitialized default to true', async () => {
    // express-session calls the defaults deprecated; a listener keeps that off the console.
    const quiet = () => {}
    process.on('deprecation' as never, quiet)
    stage.finally(() => process.off('deprecation', quiet))
    const store = await stage.open()
    const app = express()
    app.use(session({ store, secret: 'a secret' }), (_req, res) => void res.end())
    const { origin } = await stage.listen(app)
    const client = new Client(origin)
    const observed = observer(store)
    expect(await observed(client.get())).toBe('set cookie')
    expect(await observed(client.get())).toBe('set')
  })

  test('a change deep in the data is saved, also of a property named cookie', async () => {
    const store = await stage.open()
    const { client } = await stage.serve(express, { store }, (req, res) => {
      const here = req.session as unknown as { user?: { cookie: number } }
      here.user ??= { cookie: 0 }
      here.user.cookie++
      res.end()
    })
    const observed = observer(store)
    expect(await observed(client.get())).toBe('set cookie')
    expect(await observed(client.get())).toBe('set')
    expect(await store.get(sidOf(client.cookie))).toMatchObject({ user: { cookie: 2 } })
  })

  test('data that comes back as itself does not look changed', async () => {
    const store = await stage.open()
    const { client } = await stage.serve(express, { store }, (req, res) => {
      if (req.path === '/change') {
        Object.assign(req.session, {
          seen: new Date(1.6e12),
          tags: new Map([['a', new Set([1])]]),
          raw: Buffer.from('bytes'),
          nothing: undefined,
          odd: [NaN, -0, null],
        })
      }
      res.end()
    })
    const observed = observer(store)
    expect(await observed(client.get('/change'))).toBe('set cookie')
    expect(await observed(client.get('/'))).toBe('touch')
  })

  describe('touch', () => {
    const options = { resave: false, cookie: { maxAge: 60_000 } }

    test('moves the expiry in the store and nothing else', async () => {
      vi.useFakeTimers({ toFake: ['Date'] })
      const store = await stage.open()
      const { client } = await stage.serve(express, { store, ...options }, changeOrRead)
      await client.get('/change')
      const sid = sidOf(client.cookie)
      const began = Date.now()
      vi.setSystemTime(began + 20_000)
      await client.get()
      const stored = await store.get(sid)
      expect(new Date(stored?.cookie.expires ?? 0).getTime()).toBe(began + 80_000)
      expect(stored).toMatchObject({ count: 1, cookie: { originalMaxAge: 60_000 } })
    })

    test('by the app itself does so, too', async () => {
      vi.useFakeTimers({ toFake: ['Date'] })
      const store = await stage.open()
      const { client } = await stage.serve(express, { store, ...options }, (req, res) => {
        req.session.touch()
        res.end()
      })
      await client.get()
      vi.setSystemTime(Date.now() + 100)
      await client.get()
      const stored = await store.get(sidOf(client.cookie))
      expect(new Date(stored?.cookie.expires ?? 0).getTime()).toBe(Date.now() + 60_000)
    })

    test('at the end of a slow read does not undo what another request saved', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store, ...options }, (req, res, next) => {
        if (req.path !== '/slow') return changeOrRead(req, res, next)
        client.get('/change').then(() => res.end(String(visit(req).count)), next)
      })
      await client.get('/change')
      const observed = observer(store)
      expect(await observed(client.get('/slow'))).toMatch(/touch/)
      expect(await store.get(sidOf(client.cookie))).toMatchObject({ count: 2 })
    })

    test('does not bring back a session that was destroyed meanwhile', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store, ...options }, (req, res, next) => {
        if (req.path !== '/slow') return changeOrRead(req, res, next)
        store.destroy(req.sessionID, () => res.end())
      })
      await client.get('/change')
      const observed = observer(store)
      expect(await observed(client.get('/slow'))).toBe('touch')
      expect(await store.length()).toBe(0)
    })

    test('survives a restart', async () => {
      vi.useFakeTimers({ toFake: ['Date'] })
      const store = await stage.open()
      const { client } = await stage.serve(express, { store, ...options }, changeOrRead)
      await client.get('/change')
      const cookie = client.cookie
      vi.setSystemTime(Date.now() + 59_000)
      await client.get()
      await store.close()
      vi.setSystemTime(Date.now() + 59_000)
      const next = await stage.open()
      const again = await stage.serve(express, { store: next, ...options }, changeOrRead)
      expect((await again.client.get('/', { cookie })).body).toBe('1')
    })
  })

  describe('unset', () => {
    const unset: Handler = (req, res, next) => {
      if (req.path !== '/unset') return changeOrRead(req, res, next)
      delete (req as { session?: unknown }).session
      res.end()
    }

    test.each([
      [undefined, 1],
      ['keep' as const, 1],
      ['destroy' as const, 0],
    ])('%s: after a request without req.session the store has %i', async (option, left) => {
      const store = await stage.open()
      const options = option ? { store, unset: option } : { store }
      const { client } = await stage.serve(express, options, unset)
      await client.get('/change')
      expect(await store.length()).toBe(1)
      expect((await client.get('/unset')).cookies).toEqual([])
      expect(await store.length()).toBe(left)
      expect((await client.get()).body).toBe(String(left))
    })

    test('destroy: on a first visit nothing is stored and no cookie set', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store, unset: 'destroy' }, unset)
      expect(await client.get('/unset')).toMatchObject({ status: 200, cookies: [] })
      expect(await store.length()).toBe(0)
    })

    test('destroy: stays destroyed over a restart', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store, unset: 'destroy' }, unset)
      await client.get('/change')
      await client.get('/unset')
      await store.close()
      expect(await (await stage.open()).length()).toBe(0)
    })
  })
})
