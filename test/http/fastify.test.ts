/**
 * @fastify/session over the same store object, over HTTP: it calls `set`, `get` and `destroy` with
 * a callback, saves on every request when rolling (its default), and has no `touch`.
 */
import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import fastify from 'fastify'
import { describe, expect, test, vi } from 'vitest'
import type { PersistentMemoryStore } from '../../src/index.js'
import { Client, sidOf } from './client.js'
import { stage } from './on-stage.js'
import type { Visit } from './stage.js'
import { act, walk } from './walk.js'

const minute = 60_000
type Options = Partial<Parameters<typeof fastifySession>[1]>

/** An app that does what `act` does, over @fastify/session. */
async function serve(store: PersistentMemoryStore, options: Options = {}) {
  // A socket left open by a client must not hold up the end of a test.
  const app = fastify({ forceCloseConnections: true })
  const form = { parseAs: 'string' as const }
  app.addContentTypeParser('application/x-www-form-urlencoded', form, (_request, body, done) =>
    done(null, Object.fromEntries(new URLSearchParams(body as string))),
  )
  await app.register(fastifyCookie)
  await app.register(fastifySession, {
    store: store,
    secret: 'a secret of at least thirty-two characters',
    cookieName: 'connect.sid',
    cookie: { secure: false, maxAge: 10 * minute },
    ...options,
  })
  app.all('*', (request) =>
    act({
      method: request.method,
      path: request.url,
      form: (request.body ?? {}) as Record<string, string>,
      session: () => request.session as Visit,
      regenerate: () => request.session.regenerate(),
      destroy: () => request.session.destroy(),
    }),
  )
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  stage.finally(() => app.close())
  return { origin, client: new Client(origin), stop: () => app.close() }
}

describe('@fastify/session', () => {
  test('a walk with a log-in, a cart, a message, a log-out and restarts', async () => {
    await walk(stage, serve)
  })

  test('a walk without a lifetime on the cookie', async () => {
    await walk(stage, (store) => serve(store, { cookie: { secure: false } }))
  })

  test('keeps a session under its id, with the cookie as its own toJSON gives it', async () => {
    const store = await stage.open()
    const { client } = await serve(store)
    const sid = sidOf((await client.get()).cookies[0])
    expect(await store.ids()).toEqual([sid])
    const stored = await store.get(sid)
    expect(stored).toMatchObject({ count: 1, cookie: { originalMaxAge: 10 * minute, path: '/' } })
    expect(Object.keys(stored ?? {}).sort()).toEqual(['cookie', 'count'])
    expect(stored?.cookie).not.toHaveProperty('_expires')
  })

  test('rolling: every request calls set, also one that changes nothing, and moves the expiry', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const store = await stage.open()
    const { client } = await serve(store)
    const set = vi.spyOn(store, 'set')
    for (let visits = 1; visits <= 3; visits++) {
      await client.get('/flash')
      expect(set).toHaveBeenCalledTimes(visits)
      vi.setSystemTime(Date.now() + 9 * minute)
    }
    expect(await store.length()).toBe(1)
    vi.setSystemTime(Date.now() + minute)
    expect(await store.length()).toBe(0)
  })

  test('not rolling: a request that changes nothing calls nothing', async () => {
    const store = await stage.open()
    const { client } = await serve(store, { rolling: false })
    await client.get()
    const set = vi.spyOn(store, 'set')
    await client.get('/flash')
    expect(set).not.toHaveBeenCalled()
    await client.get()
    expect(set).toHaveBeenCalledTimes(1)
  })

  test('saveUninitialized false: nothing is stored before there is something to store', async () => {
    const store = await stage.open()
    const { client } = await serve(store, { saveUninitialized: false })
    expect((await client.get('/flash')).cookies).toEqual([])
    expect(await store.length()).toBe(0)
    await client.post('/cart', { item: 'tea' })
    expect(await store.length()).toBe(1)
  })

  test('regenerate at log-in leaves one session, under the new id', async () => {
    const store = await stage.open()
    const { client } = await serve(store)
    const before = sidOf((await client.get()).cookies[0])
    const after = sidOf((await client.post('/login', { user: 'ada' })).cookies[0])
    expect(after).not.toBe(before)
    expect(await store.ids()).toEqual([after])
  })

  test('logged out is out of the store', async () => {
    const store = await stage.open()
    const { client } = await serve(store)
    await client.post('/login', { user: 'ada' })
    const cookie = client.cookie
    await client.post('/logout')
    expect(await store.length()).toBe(0)
    expect((await client.get('/', { cookie })).json()).toEqual({ count: 1 })
  })

  test('an expired session is a new one', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const store = await stage.open()
    const { client } = await serve(store)
    await client.get()
    const cookie = client.cookie
    vi.setSystemTime(Date.now() + 10 * minute)
    expect((await client.get('/', { cookie })).json()).toEqual({ count: 1 })
  })

  test('an error of the store is an error of the request', async () => {
    const store = await stage.open()
    const { client } = await serve(store)
    await client.get()
    await store.close()
    expect((await client.get()).status).toBe(500)
  })
})
