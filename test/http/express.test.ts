/**
 * The life of a session under express-session, over HTTP, with express 4 and 5: begun and
 * loaded. How it ends, is saved, and shared has files of its own beside this one.
 */
import type { Request } from 'express'
import session, { type Session } from 'express-session'
import { describe, expect, test, vi } from 'vitest'
import { cookieOf, sidOf } from './client.js'
import { count, stage } from './on-stage.js'
import { generations, visit } from './stage.js'
import { act, walk, type Serve } from './walk.js'

/** Calls a method that takes a callback, as a promise. */
const done = (start: (answer: (error?: Error | null) => void) => void) =>
  new Promise<void>((resolve, reject) => start((error) => (error ? reject(error) : resolve())))

describe.each(generations)('$name', ({ express }) => {
  test('a walk with a log-in, a cart, a message, a log-out and restarts', async () => {
    const serve: Serve = (store) => {
      const app = express()
      app.use(express.urlencoded({ extended: false }))
      app.use(session({ store, secret: 'a secret', resave: false, saveUninitialized: false }))
      app.use((req, res, next) => {
        act({
          method: req.method,
          path: req.path,
          form: (req.body ?? {}) as Record<string, string>,
          session: () => visit(req),
          regenerate: () => done((answer) => req.session.regenerate(answer)),
          destroy: () => done((answer) => req.session.destroy(answer)),
        }).then((answer) => res.json(answer), next)
      })
      return stage.listen(app)
    }
    await walk(stage, serve)
  })

  describe('a session begins', () => {
    test('with a cookie for a first visit, and the session under its id in the store', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, count)
      const { status, cookies, body } = await client.get()
      expect({ status, body }).toEqual({ status: 200, body: '1' })
      expect(cookies).toHaveLength(1)
      expect(await store.ids()).toEqual([sidOf(cookies[0])])
      expect(await store.get(sidOf(cookies[0]))).toMatchObject({ count: 1 })
    })

    test('anew for each visitor', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, count)
      const [one, two] = await Promise.all([
        client.get('/', { cookie: '' }),
        client.get('/', { cookie: '' }),
      ])
      expect(sidOf(one.cookies[0])).not.toBe(sidOf(two.cookies[0]))
      expect(await store.length()).toBe(2)
    })

    test('with nothing of its own enumerable but the cookie and the data', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, (req, res) => {
        visit(req).user = 'ada'
        const keys: string[] = []
        for (const key in req.session) keys.push(key)
        res.json(keys.sort())
      })
      expect((await client.get()).json()).toEqual(['cookie', 'user'])
      expect((await client.get()).json()).toEqual(['cookie', 'user'])
      expect(Object.keys((await store.get(sidOf(client.cookie))) ?? {}).sort()).toEqual([
        'cookie',
        'user',
      ])
    })

    test('not at all where req.session is there already', async () => {
      const [outer, inner] = [await stage.open(), await stage.open({ snapshotPath: false })]
      const nested = session({
        store: inner,
        secret: 'a secret',
        resave: false,
        saveUninitialized: true,
      })
      const { client } = await stage.serve(express, { store: outer }, (req, res, next) => {
        nested(req, res, () => void count(req, res, next))
      })
      expect((await client.get()).cookies).toHaveLength(1)
      expect([await outer.length(), await inner.length()]).toEqual([1, 0])
    })

    test('with the id that genid gives, unsafe characters included', async () => {
      const store = await stage.open()
      const sid = '%an "unsafe"; id/ünïcode €'
      const { client } = await stage.serve(express, { store, genid: () => sid }, count)
      const first = await client.get()
      expect(sidOf(first.cookies[0])).toBe(sid)
      expect(await store.ids()).toEqual([sid])
      expect((await client.get()).body).toBe('2')
    })

    test('through store.generate, which an app may assign', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, count)
      const generating = store as unknown as { generate: (req: Request) => void }
      const own = generating.generate.bind(store)
      generating.generate = (req) => {
        own(req)
        visit(req).user = 'guest'
      }
      const { cookies } = await client.get()
      expect(await store.get(sidOf(cookies[0]))).toMatchObject({ user: 'guest', count: 1 })
    })

    test('and is not stored where the request lost its id', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, (req, res) => {
        req.sessionID = undefined as unknown as string
        visit(req).user = 'ada'
        res.end()
      })
      expect((await client.get()).cookies).toEqual([])
      expect(await store.length()).toBe(0)
    })
  })

  describe('a session is loaded', () => {
    test('by the id in its cookie, without a second Set-Cookie', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, count)
      await client.get()
      const { body, cookies } = await client.get()
      expect({ body, cookies }).toEqual({ body: '2', cookies: [] })
      expect(await store.length()).toBe(1)
    })

    test('as a Session with its methods, also by store.load', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, count)
      const sid = sidOf((await client.get()).cookies[0])
      const loaded = await new Promise<unknown>((resolve) =>
        store.load(sid, (_error, found) => resolve(found)),
      )
      expect(loaded).toMatchObject({ id: sid, count: 1 })
      expect((loaded as Session).touch).toBeTypeOf('function')
      const missing = await new Promise<unknown>((resolve) =>
        store.load('nobody', (error, found) => resolve([error, found])),
      )
      expect(missing).toEqual([undefined, undefined])
    })

    test('even if it holds a name that a Session keeps for itself', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, count)
      const sid = sidOf((await client.get()).cookies[0])
      const stored = await store.get(sid)
      await store.set(sid, { ...stored, save: 'mine', touch: 1 } as never)
      expect((await client.get()).body).toBe('2')
    })

    test.each([
      ['unknown to the store', (cookie: string) => cookie],
      ['with a forged signature', (cookie: string) => cookie.slice(0, -2) + 'xx'],
      ['without a signature', (cookie: string) => `connect.sid=${sidOf(cookie)}`],
      ['whose id was changed', (cookie: string) => cookie.replace('s%3A', 's%3AA')],
    ])('never by a cookie %s: that one gets a new id', async (kind, tamper) => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, count)
      const sid = sidOf((await client.get()).cookies[0])
      const cookie = tamper(client.cookie)
      const known = kind === 'unknown to the store'
      if (known) await store.clear()
      const get = vi.spyOn(store, 'get')
      const answer = await client.get('/', { cookie })
      expect(answer.body).toBe('1')
      expect(sidOf(answer.cookies[0])).not.toBe(sid)
      expect(get).toHaveBeenCalledTimes(known ? 1 : 0)
    })

    test('by a cookie signed with an older secret, which is signed anew with the first', async () => {
      const store = await stage.open()
      const old = await stage.serve(express, { store, secret: 'old' }, count)
      await old.client.get()
      const both = await stage.serve(express, { store, secret: ['new', 'old'] }, count)
      const moved = old.client.at(both.client.origin)
      expect((await moved.get()).body).toBe('2')
      const fresh = await both.client.get('/', { cookie: '' })
      const latest = await stage.serve(express, { store, secret: 'new' }, count)
      const after = await latest.client.get('/', { cookie: cookieOf(fresh) })
      expect(after.body).toBe('2')
    })
  })
})
