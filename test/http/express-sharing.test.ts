/**
 * What happens around the store under express-session, over HTTP, with express 4 and 5: requests
 * at the same time, several middlewares on one store, responses of every kind, and errors.
 */
import type { Request, Response } from 'express'
import session from 'express-session'
import { describe, expect, test, vi } from 'vitest'
import { PersistentMemoryStore } from '../../src/index.js'
import { Client, cookieOf, sidOf } from './client.js'
import { count, stage } from './on-stage.js'
import { generations, visit, type Handler } from './stage.js'

describe.each(generations)('$name', ({ express }) => {
  describe('at the same time', () => {
    test('requests of one session each see it whole and don’t see each other’s changes', async () => {
      const store = await stage.open()
      let waiting: (() => void)[] = []
      const { client } = await stage.serve(express, { store }, (req, res, next) => {
        if (req.path === '/first') return count(req, res, next)
        const here = visit(req)
        here.cart = [...(here.cart ?? []), req.path]
        waiting.push(() => res.json([here.count, here.cart]))
        if (waiting.length === 3) for (const answer of waiting) answer()
      })
      await client.get('/first')
      const answers = await Promise.all(['/a', '/b', '/c'].map((path) => client.get(path)))
      expect(answers.map((answer) => answer.json())).toEqual([
        [1, ['/a']],
        [1, ['/b']],
        [1, ['/c']],
      ])
      const stored = await store.get(sidOf(client.cookie))
      expect(stored).toMatchObject({ count: 1 })
      expect((stored as { cart?: string[] }).cart).toHaveLength(1)
      waiting = []
    })

    test('a session destroyed while a request only reads it does not come back', async () => {
      const store = await stage.open()
      let release = () => {}
      let arrived = () => {}
      const slow = new Promise<void>((resolve) => (arrived = resolve))
      const { client } = await stage.serve(express, { store }, (req, res, next) => {
        if (req.path === '/logout') return req.session.destroy(() => res.end())
        if (req.path !== '/slow') return count(req, res, next)
        release = () => res.end()
        arrived()
      })
      await client.get()
      const reading = client.get('/slow')
      await slow
      await client.get('/logout')
      release()
      await reading
      expect(await store.length()).toBe(0)
    })

    test('a hundred visitors are kept apart', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, (req, res) => {
        visit(req).user ??= req.path
        res.end(visit(req).user)
      })
      const paths = Array.from({ length: 100 }, (_, i) => `/visitor-${i}`)
      const first = await Promise.all(paths.map((path) => client.get(path, { cookie: '' })))
      const second = await Promise.all(
        first.map((answer) => client.get('/', { cookie: cookieOf(answer) })),
      )
      expect(second.map(({ body }) => body)).toEqual(paths)
      expect(await store.length()).toBe(100)
    })
  })

  describe('several middlewares share a store', () => {
    test('without a listener warning', async () => {
      const warnings: Error[] = []
      const warn = (warning: Error) => warnings.push(warning)
      process.on('warning', warn)
      stage.finally(() => process.off('warning', warn))
      const store = await stage.open()
      for (let i = 0; i < 30; i++) {
        session({ store, secret: 'a secret', resave: false, saveUninitialized: false })
      }
      await new Promise((resolve) => setImmediate(resolve))
      expect(warnings.filter(({ name }) => name.startsWith('MaxListeners'))).toEqual([])
    })

    test('one per cookie name, each with its sessions', async () => {
      const store = await stage.open()
      const app = express()
      for (const name of ['shop', 'admin']) {
        const options = { store, secret: 'a secret', resave: false, saveUninitialized: false, name }
        app.use(`/${name}`, session(options), (req, res, next) => void count(req, res, next))
      }
      const { origin } = await stage.listen(app)
      const client = new Client(origin)
      for (const visits of ['1', '2']) {
        expect((await client.get('/shop')).body).toBe(visits)
        expect((await client.get('/admin')).body).toBe(visits)
      }
      expect([...client.jar.keys()]).toEqual(['shop', 'admin'])
      expect(await store.length()).toBe(2)
    })

    test('and apps of their own see the same sessions', async () => {
      const store = await stage.open()
      const one = await stage.serve(express, { store }, count)
      const two = await stage.serve(express, { store }, count)
      await one.client.get()
      expect((await one.client.at(two.client.origin).get()).body).toBe('2')
    })
  })

  describe('the session is saved before the response ends', () => {
    const ends: [string, (res: Parameters<Handler>[1]) => unknown, string][] = [
      ['with a body', (res) => res.end('done'), 'done'],
      ['empty', (res) => res.end(), ''],
      ['with null', (res) => res.end(null), ''],
      ['in pieces', (res) => (res.write('do'), res.write('n'), res.end('e')), 'done'],
      ['with a length', (res) => (res.setHeader('Content-Length', '4'), res.end('done')), 'done'],
      ['as JSON', (res) => res.json('done'), '"done"'],
      ['as a buffer', (res) => res.end(Buffer.from('done')), 'done'],
      ['twice', (res) => (res.end('done'), res.end()), 'done'],
    ]
    test.each(ends)('%s', async (_name, end, body) => {
      const store = await stage.open()
      const { client, errors } = await stage.serve(express, { store }, (req, res) => {
        visit(req).user = 'ada'
        end(res)
      })
      const answer = await client.get()
      expect(await store.get(sidOf(answer.cookies[0]))).toMatchObject({ user: 'ada' })
      expect([answer.status, answer.body, errors]).toEqual([200, body, []])
    })

    test('a redirect: whoever follows it finds the session', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, (req, res, next) => {
        if (req.path !== '/login') return count(req, res, next)
        visit(req).count = 41
        res.redirect('/')
      })
      expect((await client.get('/login')).status).toBe(302)
      expect((await client.get()).body).toBe('42')
    })
  })

  describe('an error', () => {
    test('of get goes to next, and the request is not served without its session', async () => {
      const store = await stage.open()
      const { client, errors } = await stage.serve(express, { store }, count)
      await client.get()
      store.get = (_sid: string, answer?: (error: Error) => void) => {
        answer?.(new Error('out of order'))
        return Promise.resolve(undefined)
      }
      expect(await client.get()).toMatchObject({ status: 500, body: 'out of order', cookies: [] })
      expect(errors).toHaveLength(1)
    })

    test('of get with code ENOENT counts as not found', async () => {
      const store = await stage.open()
      const { client, errors } = await stage.serve(express, { store }, count)
      await client.get()
      store.get = (_sid: string, answer?: (error: Error) => void) => {
        answer?.(Object.assign(new Error('no such file'), { code: 'ENOENT' }))
        return Promise.resolve(undefined)
      }
      expect(await client.get()).toMatchObject({ status: 200, body: '1' })
      expect(errors).toEqual([])
    })

    test('of a session that can’t be encoded goes to next; the other sessions are saved', async () => {
      const store = await stage.open()
      const { client, errors } = await stage.serve(express, { store }, (req, res, next) => {
        if (req.path !== '/cycle') return count(req, res, next)
        const basket: Record<string, unknown> = {}
        basket.owner = basket
        const broken = { cookie: req.session.cookie, basket }
        store.set(req.sessionID, broken, (error) => (error ? next(error) : res.end('saved')))
      })
      await client.get()
      const other = await client.get('/', { cookie: '' })
      expect((await client.get('/cycle')).status).toBe(500)
      expect(errors.map(({ message }) => message)).toEqual([expect.stringMatching(/owner/)])
      expect(await store.get(sidOf(other.cookies[0]))).toMatchObject({ count: 1 })
      expect((await client.get('/', { cookie: cookieOf(other) })).body).toBe('2')
    })

    test('of a closed store goes to next, with a code and without the id', async () => {
      const store = await stage.open()
      const { client, errors } = await stage.serve(express, { store }, count)
      await client.get()
      await store.close()
      const { status, cookies } = await client.get()
      expect([status, cookies]).toEqual([500, []])
      expect(errors[0]).toHaveProperty('code')
      expect(JSON.stringify([errors[0]?.message, errors[0]])).not.toContain(sidOf(client.cookie))
    })

    test('of a session without a cookie object is told, not a crash', async () => {
      const store = await stage.open()
      const { client, errors } = await stage.serve(express, { store }, count)
      await client.get()
      await store.set(sidOf(client.cookie), { count: 1 } as never)
      expect((await client.get()).status).toBe(500)
      expect(errors[0]).toBeInstanceOf(TypeError)
    })
  })

  describe('disconnect', () => {
    test('is never emitted: not by the restore, by traffic or by close', async () => {
      const first = await stage.open()
      const began = await stage.serve(express, { store: first }, count)
      await began.client.get()
      await first.close()

      const store = new PersistentMemoryStore({ snapshotPath: stage.path })
      stage.finally(() => store.close())
      const disconnected = vi.fn()
      store.on('disconnect', disconnected)
      const { client } = await stage.serve(express, { store }, count)
      expect((await began.client.at(client.origin).get()).body).toBe('2')
      await store.close()
      expect(disconnected).not.toHaveBeenCalled()
    })

    test('by the app itself, and connect, switch sessions off and on', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, (req, res) => {
        res.end(typeof req.session)
      })
      store.emit('disconnect')
      expect(await client.get()).toMatchObject({ body: 'undefined', cookies: [] })
      store.emit('connect')
      expect((await client.get()).body).toBe('object')
    })
  })
})

describe('plain node:http', () => {
  test.each([
    ['set', { resave: true }],
    ['touch', { resave: false }],
    ['destroy', { resave: false, unset: 'destroy' as const }],
  ])('an error of %s goes to next; the response ends nevertheless', async (method, options) => {
    const store = await stage.open()
    const errors: unknown[] = []
    const sessions = session({ store, secret: 'a secret', saveUninitialized: true, ...options })
    const { origin } = await stage.listen((req, res) => {
      sessions(req as Request, res as Response, (error?: unknown) => {
        if (error) return void errors.push(error)
        if (method === 'destroy') delete (req as { session?: unknown }).session
        res.end('served')
      })
    })
    const client = new Client(origin)
    await client.get()
    const failure = new Error('out of order')
    Object.assign(store, {
      [method]: (...args: unknown[]) => {
        const answer = args.at(-1) as (error: Error) => void
        setImmediate(() => answer(failure))
      },
    })
    expect(await client.get()).toMatchObject({ status: 200, body: 'served' })
    await vi.waitFor(() => expect(errors).toEqual([failure]))
  })

  test('a request without a URL has a session as well', async () => {
    const store = await stage.open()
    const sessions = session({ store, secret: 'a secret', resave: false, saveUninitialized: true })
    const { origin } = await stage.listen((req, res) => {
      req.url = ''
      sessions(req as Request, res as Response, () => res.end())
    })
    expect((await new Client(origin).get()).cookies).toHaveLength(1)
    expect(await store.length()).toBe(1)
  })
})
