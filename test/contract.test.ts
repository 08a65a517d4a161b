/**
 * What a drop-in store must do, rule by rule, through the public API alone: what it is and how its
 * methods answer. What they do, cookies and expiry, and the values a session may hold have files of
 * their own beside this one.
 */
import { EventEmitter } from 'node:events'
import { readFile } from 'node:fs/promises'
import session from 'express-session'
import { describe, expect, test, vi } from 'vitest'
import {
  answerOf,
  calls,
  endsIn,
  kinds,
  noon,
  sessionOf,
  storesOf,
  turns,
} from './contract-store.js'

describe.each(kinds)('a store $kind', ({ onFile }) => {
  const { begin, open, nowAndAfterRestart, path } = storesOf({ onFile })

  describe('rule 1: it is an express-session store', () => {
    test('it extends Store and is an EventEmitter', async () => {
      const store = await open()
      expect(store).toBeInstanceOf(session.Store)
      expect(store).toBeInstanceOf(EventEmitter)
      for (const name of ['regenerate', 'load', 'createSession'] as const) {
        expect(store[name]).toBe(session.Store.prototype[name])
      }
    })

    test('generate can be assigned, and regenerate then calls it', async () => {
      const store = await open()
      await store.set('old', sessionOf())
      const generate = vi.fn()
      Object.assign(store, { generate })
      const req = { sessionID: 'old' }
      expect(await answerOf((answer) => store.regenerate(req as never, answer))).not.toContainEqual(
        expect.any(Error),
      )
      expect(generate).toHaveBeenCalledWith(req)
      expect(await store.length()).toBe(0)
    })

    test('thirty middlewares share it without a listener warning', async () => {
      const warned = vi.fn()
      process.on('warning', warned)
      const store = await open()
      for (let i = 0; i < 30; i++) {
        session({ store, secret: 'a secret', resave: false, saveUninitialized: false })
      }
      await turns()
      process.off('warning', warned)
      expect(warned).not.toHaveBeenCalled()
    })
  })

  describe('rule 2: while the restore is under way', () => {
    test('get, all, ids and length wait for it, and disconnect is not emitted', async () => {
      const first = await open()
      await first.set('a', sessionOf({ n: 1 }))
      if (onFile) await first.close()

      const store = onFile ? begin() : first
      const disconnected = vi.fn()
      store.on('disconnect', disconnected)
      const asked = [store.get('a'), store.all(), store.ids(), store.length()]
      const [got, all, ids, length] = await Promise.all(asked)
      expect(got).toMatchObject({ n: 1 })
      expect(Object.keys(all as object)).toEqual(['a'])
      expect([ids, length]).toEqual([['a'], 1])
      await store.close()
      expect(disconnected).not.toHaveBeenCalled()
    })

    test('what is set, touched and destroyed meanwhile wins over what is restored', async () => {
      const first = await open()
      for (const sid of ['a', 'b', 'c', 'd']) await first.set(sid, sessionOf({ n: sid }))
      if (onFile) await first.close()

      const store = onFile ? begin() : first
      const end = new Date(Date.now() + 5000)
      void store.set('a', sessionOf({ n: 'new' }))
      void store.destroy('b')
      void store.touch('c', sessionOf({}, { expires: end }))
      await nowAndAfterRestart(store, async (store) => {
        expect(await store.get('a')).toMatchObject({ n: 'new' })
        expect(await store.get('b')).toBeUndefined()
        const touched = await store.get('c')
        expect(touched).toMatchObject({ n: 'c' })
        expect(new Date(touched?.cookie.expires ?? 0)).toEqual(end)
        expect((await store.ids()).sort()).toEqual(['a', 'c', 'd'])
      })
    })

    test('clear leaves nothing of what is being restored', async () => {
      const first = await open()
      for (const sid of ['a', 'b']) await first.set(sid, sessionOf())
      if (onFile) await first.close()

      const store = onFile ? begin() : first
      void store.clear()
      void store.set('c', sessionOf())
      await nowAndAfterRestart(store, async (store) => {
        expect(await store.ids()).toEqual(['c'])
      })
    })
  })

  describe('rule 3: get of what is not there', () => {
    test('answers (null, undefined), later', async () => {
      const store = await open()
      let returned = false
      const asked = answerOf((answer) =>
        store.get('nobody', (...args) => answer(returned, ...args)),
      )
      returned = true
      expect(await asked).toEqual([true, null, undefined])
      expect(await store.get('nobody')).toBeUndefined()
    })

    test('answers the same for an expired session, which is gone from then on', async () => {
      vi.useFakeTimers({ toFake: ['Date'], now: noon })
      const store = await open()
      await store.set('a', sessionOf({}, endsIn(1000)))
      vi.setSystemTime(noon + 1000)
      expect(await answerOf((answer) => store.get('a', answer))).toEqual([null, undefined])
      vi.setSystemTime(noon)
      await nowAndAfterRestart(store, async (store) => {
        expect(await store.get('a')).toBeUndefined()
        expect(await store.length()).toBe(0)
      })
    })

    test('a found one answers (null, session), later', async () => {
      const store = await open()
      await store.set('a', sessionOf({ n: 1 }))
      let returned = false
      const asked = answerOf((answer) => store.get('a', (...args) => answer(returned, ...args)))
      returned = true
      expect(await asked).toEqual([true, null, expect.objectContaining({ n: 1 })])
    })

    test.each(calls)(
      'after close, %s answers an error to its callback or promise',
      async (_, call) => {
        const store = await open()
        await store.close()
        const [error] = await answerOf((answer) => call(store, answer))
        expect(error).toMatchObject({ code: 'ERR_CLOSED' })
        await expect(call(store)).rejects.toMatchObject({ code: 'ERR_CLOSED' })
      },
    )
  })

  test.runIf(onFile).each(calls)(
    'rule 3: where the file can’t be opened, %s answers that error, and the file stays as it is',
    async (_, call) => {
      const first = await open()
      await first.set('a', sessionOf())
      await first.snapshot()
      await first.close()
      const before = await readFile(path())

      const store = begin({ serializer: JSON })
      const early = answerOf((answer) => call(store, answer))
      await expect(store.ready()).rejects.toMatchObject({ code: 'ERR_ENCODING' })
      for (const asked of [early, answerOf((answer) => call(store, answer))]) {
        expect((await asked)[0]).toMatchObject({ code: 'ERR_ENCODING' })
      }
      await expect(call(store)).rejects.toMatchObject({ code: 'ERR_ENCODING' })
      await store.close()
      expect((await readFile(path())).equals(before)).toBe(true)
    },
  )

  describe('rule 4: state changes at once, the answer comes later, once', () => {
    test('set, touch, destroy and clear have happened when they return', async () => {
      const store = await open()
      const now = () => store.stats().sessions
      void store.set('a', sessionOf())
      void store.set('b', sessionOf())
      expect(now()).toBe(2)
      void store.touch('b', sessionOf({}, { expires: new Date(0) }))
      void store.destroy('a')
      expect(await store.ids()).toEqual([])
      void store.set('c', sessionOf())
      const before = now()
      void store.clear()
      expect([before > 0, now()]).toEqual([true, 0])
    })

    test('set takes the session as it is at that moment', async () => {
      const store = await open()
      const mine = { list: [1] }
      const session = sessionOf(mine)
      const saved = store.set('a', session)
      mine.list.push(2)
      await saved
      expect(await store.get('a')).toMatchObject({ list: [1] })
    })

    test('calls without waiting take effect in their order', async () => {
      const store = await open()
      void store.set('a', sessionOf({ n: 1 }))
      void store.destroy('a')
      void store.set('a', sessionOf({ n: 2 }))
      void store.set('b', sessionOf({ n: 3 }))
      void store.clear()
      void store.set('a', sessionOf({ n: 4 }))
      await nowAndAfterRestart(store, async (store) => {
        expect(await store.all()).toEqual({ a: expect.objectContaining({ n: 4 }) })
      })
    })

    test.each(calls)('%s answers its callback later, exactly once', async (_, call) => {
      const store = await open()
      await store.set('a', sessionOf({ n: 1 }))
      const answer = vi.fn()
      const answered = new Promise<void>((resolve) => answer.mockImplementation(() => resolve()))
      const returned = call(store, answer)
      expect(answer).not.toHaveBeenCalled()
      await answered
      await store.flush()
      await turns()
      expect(answer).toHaveBeenCalledTimes(1)
      expect(answer.mock.calls[0]?.[0] ?? null).toBeNull()
      await returned
    })

    test('what one turn asks for is answered together, what those answers ask for right after', async () => {
      const store = await open()
      const session = sessionOf()
      await store.set('a', session)
      const order: string[] = []
      const request = (name: string) =>
        answerOf((done) =>
          store.get('a', () => {
            order.push(`${name}: get`)
            store.touch('a', session, () => {
              order.push(`${name}: touch`)
              done(null)
            })
          }),
        )
      const first = request('first')
      process.nextTick(() => order.push('the turn goes on'))
      const second = request('second')
      setImmediate(() => setImmediate(() => order.push('the loop turned')))
      await Promise.all([first, second])
      await turns(2)
      expect(order).toEqual([
        'the turn goes on',
        'first: get',
        'second: get',
        'first: touch',
        'second: touch',
        'the loop turned',
      ])
    })

    test.each(calls)('%s without a callback returns a promise', async (_, call) => {
      const store = await open()
      const returned = call(store)
      expect(returned).toBeInstanceOf(Promise)
      await returned
    })

    test('a promise that nobody takes ends no process, where the store fails', async () => {
      const store = await open()
      const unhandled: unknown[] = []
      const note = (error: unknown) => unhandled.push(error)
      process.on('unhandledRejection', note)
      try {
        await store.close()
        // As express-session's `req.session.destroy()` does.
        void store.destroy('a')
        void store.set('a', sessionOf())
        await new Promise((resolve) => setTimeout(resolve, 5))
        expect(unhandled).toEqual([])
        await expect(store.destroy('a')).rejects.toMatchObject({ code: 'ERR_CLOSED' })
      } finally {
        process.off('unhandledRejection', note)
      }
    })

    test.each(calls)('%s with a callback rejects nothing, though it fails', async (_, call) => {
      const store = await open()
      await store.close()
      let returned: unknown
      await answerOf((answer) => (returned = call(store, answer)))
      await expect(Promise.resolve(returned)).resolves.toBeUndefined()
    })

    test.each([null, undefined, 0, false, ''])(
      'an error is one to the callback, though what the session threw is %j',
      async (thrown) => {
        const store = await open()
        const session = Object.defineProperty(sessionOf(), 'odd', {
          enumerable: true,
          get: () => {
            throw thrown as unknown as Error
          },
        })
        const [error] = await answerOf((answer) => store.set('a', session, answer))
        expect(error).toBeInstanceOf(Error)
        expect((error as Error).message).toMatch(/^Something without a value was thrown: /)
        expect(await store.get('a')).toBeUndefined()
      },
    )

    test.each(calls)('a callback of %s that throws is not called again', async (_, call) => {
      const store = await open()
      await store.set('a', sessionOf())
      // In a turn of its own: what a tick throws while the runner's own message is still being
      // answered, Node 24 keeps to itself, whoever throws it.
      await turns(1)
      const others = process.listeners('uncaughtException')
      process.removeAllListeners('uncaughtException')
      try {
        const answer = vi.fn(() => {
          throw new Error('thrown by the app')
        })
        const thrown = new Promise((resolve) => process.once('uncaughtException', resolve))
        void call(store, answer)
        expect(await thrown).toMatchObject({ message: 'thrown by the app' })
        await turns()
        expect(answer).toHaveBeenCalledTimes(1)
      } finally {
        for (const listener of others) process.on('uncaughtException', listener)
      }
    })
  })

  describe('rule 14: methods can be replaced on an instance', () => {
    test.each(['get', 'set', 'touch', 'destroy', 'all', 'length', 'clear'] as const)(
      '%s',
      async (name) => {
        const store = await open()
        const own = store[name].bind(store) as (...args: unknown[]) => unknown
        const seen: unknown[][] = []
        Object.assign(store, {
          [name]: (...args: unknown[]) => {
            seen.push(args)
            return own(...args)
          },
        })
        const call = calls.find(([known]) => known === name)?.[1]
        expect((await answerOf((answer) => call?.(store, answer)))[0] ?? null).toBeNull()
        expect(seen).toHaveLength(1)
      },
    )

    test('the timer of checkPeriod prunes by the replaced one', async () => {
      const store = await open({ checkPeriod: 1 })
      const pruned = vi.spyOn(store, 'prune')
      await expect.poll(() => pruned.mock.calls.length).toBeGreaterThan(0)
    })

    test('load and regenerate go through the replaced ones', async () => {
      const store = await open()
      Object.assign(store, { generate: () => {} })
      const get = vi.spyOn(store, 'get')
      const destroy = vi.spyOn(store, 'destroy')
      await store.set('a', sessionOf({ n: 1 }))
      const [, loaded] = await answerOf((answer) => store.load('a', answer))
      expect(loaded).toMatchObject({ id: 'a', n: 1 })
      await answerOf((answer) => store.regenerate({ sessionID: 'a' } as never, answer))
      expect([get.mock.calls.length, destroy.mock.calls.length]).toEqual([1, 1])
    })
  })
})
