/**
 * How a session ends under express-session, and what its methods do within a request, over HTTP,
 * with express 4 and 5: expired, destroyed, regenerated, reloaded, saved.
 */
import { describe, expect, test, vi } from 'vitest'
import { sidOf } from './client.js'
import { count, stage } from './on-stage.js'
import { generations, visit } from './stage.js'

describe.each(generations)('$name', ({ express }) => {
  describe('a session expires', () => {
    const minute = { maxAge: 60_000 }

    test('and its cookie then begins a new one with a new id; the old one is gone', async () => {
      vi.useFakeTimers({ toFake: ['Date'] })
      const store = await stage.open()
      const { client } = await stage.serve(express, { store, cookie: minute }, count)
      const { cookies } = await client.get()
      const cookie = client.cookie
      vi.setSystemTime(Date.now() + 60_000)
      const answer = await client.get('/', { cookie })
      expect(answer.body).toBe('1')
      expect(sidOf(answer.cookies[0])).not.toBe(sidOf(cookies[0]))
      expect(await store.ids()).toEqual([sidOf(answer.cookies[0])])
    })

    test('not a millisecond early', async () => {
      vi.useFakeTimers({ toFake: ['Date'] })
      const store = await stage.open()
      const { client } = await stage.serve(express, { store, cookie: minute }, count)
      await client.get()
      vi.setSystemTime(Date.now() + 59_999)
      expect((await client.get()).body).toBe('2')
    })

    test('later for every visit', async () => {
      vi.useFakeTimers({ toFake: ['Date'] })
      const store = await stage.open()
      const { client } = await stage.serve(express, { store, cookie: minute }, (req, res) => {
        visit(req).user ??= 'ada'
        res.end(req.sessionID)
      })
      const { body } = await client.get()
      const cookie = client.cookie
      for (let visits = 0; visits < 4; visits++) {
        vi.setSystemTime(Date.now() + 45_000)
        expect((await client.get('/', { cookie })).body).toBe(body)
      }
      vi.setSystemTime(Date.now() + 60_000)
      expect((await client.get('/', { cookie })).body).not.toBe(body)
    })

    test('while the app is down, too', async () => {
      vi.useFakeTimers({ toFake: ['Date'] })
      const store = await stage.open()
      const { client } = await stage.serve(express, { store, cookie: minute }, count)
      await client.get()
      const cookie = client.cookie
      await store.close()
      vi.setSystemTime(Date.now() + 60_000)
      const next = await stage.open()
      const again = await stage.serve(express, { store: next, cookie: minute }, count)
      expect((await again.client.get('/', { cookie })).body).toBe('1')
      expect(await next.length()).toBe(1)
    })

    test('by the ttl of the store where its cookie has no end', async () => {
      vi.useFakeTimers({ toFake: ['Date'] })
      const store = await stage.open({ ttl: '30m' })
      const { client } = await stage.serve(express, { store }, count)
      await client.get()
      vi.setSystemTime(Date.now() + 30 * 60_000 - 1)
      expect((await client.get()).body).toBe('2')
      vi.setSystemTime(Date.now() + 30 * 60_000)
      expect((await client.get()).body).toBe('1')
    })
  })

  describe('a session ends', () => {
    test('by destroy(): out of the store, no cookie is set, and the old cookie is worth nothing', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, (req, res, next) => {
        if (req.path !== '/logout') return count(req, res, next)
        req.session.destroy((error) => res.json([error ?? null, typeof req.session]))
      })
      await client.get()
      const answer = await client.get('/logout')
      expect([answer.json(), answer.cookies]).toEqual([[null, 'undefined'], []])
      expect(await store.length()).toBe(0)
      expect((await client.get()).body).toBe('1')
    })

    test('by regenerate(): a new id, an empty session, and the old one out of the store', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, (req, res, next) => {
        if (req.path !== '/login') return count(req, res, next)
        req.session.regenerate((error) => {
          visit(req).user = 'ada'
          res.json([error ?? null, visit(req).count ?? null])
        })
      })
      const old = sidOf((await client.get()).cookies[0])
      const answer = await client.get('/login')
      expect(answer.json()).toEqual([null, null])
      const sid = sidOf(answer.cookies[0])
      expect(sid).not.toBe(old)
      expect(await store.ids()).toEqual([sid])
      expect(await store.get(sid)).toMatchObject({ user: 'ada' })
    })

    test('by clear() of the store, for every visitor', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, count)
      await client.get()
      await store.clear()
      expect((await client.get()).body).toBe('1')
    })
  })

  describe('within a request', () => {
    test('reload() brings what another request saved meanwhile', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, (req, res, next) => {
        if (req.path !== '/slow') return count(req, res, next)
        visit(req).user = 'not saved'
        client.get().then(() => {
          req.session.reload((error) =>
            res.json([error ?? null, visit(req).user, visit(req).count]),
          )
        }, next)
      })
      await client.get()
      expect((await client.get('/slow')).json()).toEqual([null, null, 2])
    })

    test('reload() of a session that was destroyed meanwhile is an error, however often', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, (req, res, next) => {
        if (req.path !== '/slow') return count(req, res, next)
        store.clear(() => {
          const messages: string[] = []
          const again = (error?: Error) => {
            if (error) messages.push(error.message)
            if (messages.length === 20) res.json(messages)
            else req.session.reload(again)
          }
          again()
        })
      })
      await client.get()
      const messages = (await client.get('/slow')).json()
      expect(messages).toEqual(Array(20).fill('failed to load session'))
    })

    test('save() has the session in the store when it answers, and it is not saved twice', async () => {
      const store = await stage.open()
      const set = vi.spyOn(store, 'set')
      const { client } = await stage.serve(express, { store, resave: true }, (req, res) => {
        visit(req).user = 'ada'
        req.session.save(() => {
          store.get(req.sessionID, (_error, found) => res.json(found))
        })
      })
      for (const times of [1, 2]) {
        expect((await client.get()).json()).toMatchObject({ user: 'ada' })
        expect(set).toHaveBeenCalledTimes(times)
      }
    })

    test('save() after reload() is the only save as well', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store, resave: true }, (req, res, next) => {
        if (req.path !== '/reload') return count(req, res, next)
        req.session.reload(() => {
          visit(req).user = 'ada'
          req.session.save((error) => res.end(String(error)))
        })
      })
      await client.get()
      const set = vi.spyOn(store, 'set')
      expect(['undefined', 'null']).toContain((await client.get('/reload')).body)
      expect(set).toHaveBeenCalledTimes(1)
      expect(await store.get(sidOf(client.cookie))).toMatchObject({ user: 'ada', count: 1 })
    })

    test('a change after save() is saved at the end', async () => {
      const store = await stage.open()
      const { client } = await stage.serve(express, { store }, (req, res) => {
        req.session.save(() => {
          visit(req).user = 'ada'
          res.end()
        })
      })
      await client.get()
      expect(await store.get(sidOf(client.cookie))).toMatchObject({ user: 'ada' })
    })
  })
})
