/** `get` with a callback, which reads later than it is asked, against a store that reads at once. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate as immediate } from 'node:timers/promises'
import type { SessionData } from 'express-session'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished, test } from 'vitest'
import type { Engine } from '../src/core/engine.js'
import { PersistentMemoryStore } from '../src/index.js'
import { Reads } from '../src/reads.js'
import { sessionOf, type StoreOptions } from './contract-store.js'
import { NOON, StubClock } from './support/stub-clock.js'

async function open(options: StoreOptions = {}): Promise<{
  store: PersistentMemoryStore
  clock: StubClock
}> {
  const clock = new StubClock()
  const StoreOf = PersistentMemoryStore as unknown as new (
    ...args: unknown[]
  ) => PersistentMemoryStore
  const store = new StoreOf({ snapshotPath: false, ...options }, { clock })
  onTestFinished(() => store.close())
  await store.ready()
  return { store, clock }
}

type Open = (options?: StoreOptions) => Promise<PersistentMemoryStore>

const inAnHour = { expires: new Date(NOON + 3_600_000) }
const sids = Array.from({ length: 100 }, (_, n) => `sid ${n}`)

/** What a get answered: the number in the session, or what went wrong. */
type Found = number | string | undefined

function ask(store: PersistentMemoryStore, sid: string, told: (found: Found) => void): void {
  store.get(sid, (error: unknown, session?: SessionData) =>
    told(error ? (error as { code: string }).code : (session as { n?: number } | undefined)?.n),
  )
}

describe('a session', () => {
  const sid = fc.nat(60).map((n) => sids[n]!)
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('get' as const), sid }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('set' as const), sid, n: fc.nat() }) },
    { arbitrary: fc.record({ do: fc.constant('destroy' as const), sid }), weight: 1 },
    {
      arbitrary: fc.record({ do: fc.constantFrom('touch' as const, 'await' as const), sid }),
      weight: 1,
    },
    { arbitrary: fc.record({ do: fc.constantFrom('clear' as const, 'turn' as const) }), weight: 1 },
  )

  test('is answered as it was when it was asked for, whatever was done before the answer', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 300, size: 'max' }),
        fc.boolean(),
        async (steps, inAnswer) => {
          const { store } = await open()
          const model = new Map<string, number>()
          const expected: Found[] = []
          const answers: Found[] = []
          const run = async () => {
            for (const one of steps) {
              if (one.do === 'get') {
                const nth = expected.push(model.get(one.sid)) - 1
                ask(store, one.sid, (found) => (answers[nth] = found))
              } else if (one.do === 'set') {
                void store.set(one.sid, sessionOf({ n: one.n }, inAnHour))
                model.set(one.sid, one.n)
              } else if (one.do === 'destroy') {
                void store.destroy(one.sid)
                model.delete(one.sid)
              } else if (one.do === 'touch') void store.touch(one.sid, sessionOf({}, inAnHour))
              else if (one.do === 'await') await store.get(one.sid)
              else if (one.do === 'clear') {
                void store.clear()
                model.clear()
              } else await immediate()
            }
          }
          if (inAnswer) await new Promise((done) => store.get('nobody', () => done(run())))
          else await run()
          await immediate()
          await immediate()
          expect(answers).toEqual(expected)
          await store.close()
        },
      ),
    )
  })

  const changing: [string, (get: () => void, open: Open) => Promise<PersistentMemoryStore>][] = [
    [
      'toJSON',
      async (get, open) => {
        const store = await open()
        store.set('a', sessionOf({ n: 2, more: { toJSON: get } }, inAnHour), () => undefined)
        return store
      },
    ],
    [
      'ttl',
      async (get, open) => {
        let called = 0
        const store = await open({ ttl: () => (called++ === 1 ? (get(), 100) : 100) })
        void store.set('a', sessionOf({ n: 2 }, inAnHour))
        return store
      },
    ],
    [
      'dispose',
      async (get, open) => {
        const store = await open({ dispose: (sid) => sid === 'b' && get() })
        await store.set('b', sessionOf({}, inAnHour))
        void store.destroy(['b', 'a'])
        return store
      },
    ],
    [
      'a listener to evicted',
      async (get, open) => {
        const store = await open({ maxBytes: 400 })
        await store.set('b', sessionOf({ bulk: ' '.repeat(200) }, inAnHour))
        await store.get('a')
        store.on('evicted', (sid) => sid === 'b' && get())
        void store.set('c', sessionOf({ bulk: ' '.repeat(380) }, inAnHour))
        expect(store.stats().evicted).toBe(2)
        return store
      },
    ],
  ]
  it.each(changing)('is what it was though asked for amid a change, in %s', async (_, start) => {
    let stored: PersistentMemoryStore | undefined
    let answer: Found
    const get = () => ask(stored!, 'a', (found) => (answer = found))
    await start(get, async (options) => {
      stored = (await open(options)).store
      await stored.set('a', sessionOf({ n: 1 }, inAnHour))
      return stored
    })
    await immediate()
    await immediate()
    expect(answer).toBe(1)
  })

  it('is there though it expires before the answer', async () => {
    const { store, clock } = await open()
    await store.set('a', sessionOf({ n: 1 }, inAnHour))
    const answers: Found[] = []
    for (const sid of ['a', 'a']) {
      ask(store, sid, (found) => answers.push(found))
      clock.time = inAnHour.expires.getTime()
    }
    await immediate()
    expect(answers).toEqual([1, undefined])
  })

  it('is decoded in the context of whoever asked for it', async () => {
    const context = new AsyncLocalStorage<string>()
    const contexts: unknown[] = []
    const parse = (text: string) => {
      contexts.push(context.getStore())
      return JSON.parse(text) as SessionData
    }
    const { store } = await open({ serializer: { stringify: JSON.stringify, parse } })
    for (const sid of ['a', 'b']) await store.set(sid, sessionOf({}, inAnHour))
    for (const sid of ['a', 'b']) context.run(sid, () => store.get(sid, () => undefined))
    await immediate()
    expect(contexts).toEqual(['a', 'b'])
  })

  it('is what it was though a listener that has come since then changes it', async () => {
    const { store, clock } = await open()
    await store.set('a', sessionOf({}, inAnHour))
    await store.set('b', sessionOf({ n: 1 }))
    clock.time = inAnHour.expires.getTime()
    const answers: Found[] = []
    for (const sid of ['a', 'b']) ask(store, sid, (found) => answers.push(found))
    store.on('expired', () => {
      void store.set('b', sessionOf({ n: 2 }))
      ask(store, 'b', (found) => answers.push(found))
    })
    await immediate()
    await immediate()
    expect(answers).toEqual([undefined, 1, 2])
    expect(store.stats()).toMatchObject({ hits: 2, misses: 1 })
  })

  it('that does not decode is an error to whoever asked for it and nobody else', async () => {
    const bodies = [0, new Error('not this one'), 2, undefined]
    const sessions = {
      prefetch: (wanted: readonly unknown[]) => wanted.length,
      get: (sid: string) => {
        const body = bodies[Number(sid)]
        if (body instanceof Error) throw body
        return body
      },
    }
    const reads = new Reads({ sessions } as unknown as Engine, new StubClock(), () => false)
    const answers: unknown[] = []
    bodies.forEach((_, n) => {
      reads.ask(`${n}`, (error: unknown, session: unknown) => (answers[n] = error ?? session))
    })
    await immediate()
    expect(answers).toEqual(bodies)
  })

  it('that a serializer does not decode is an error too', async () => {
    const serializer = {
      stringify: JSON.stringify,
      parse: (text: string) => {
        const session = JSON.parse(text) as SessionData & { n: number }
        if (session.n === 1) throw new Error('not this one')
        return session
      },
    }
    const { store } = await open({ serializer })
    for (const n of [0, 1, 2]) await store.set(sids[n]!, sessionOf({ n }, inAnHour))
    const answers: Found[] = []
    for (const n of [0, 1, 2, 3]) ask(store, sids[n]!, (found) => (answers[n] = found))
    await immediate()
    expect(answers).toEqual([0, 'ERR_SESSION_DECODE', 2, undefined])
  })

  it('that was asked for before the store was closed is answered', async () => {
    const { store } = await open()
    await store.set('a', sessionOf({ n: 1 }, inAnHour))
    const answer = new Promise((resolve) => ask(store, 'a', resolve))
    await store.close()
    expect(await answer).toBe(1)
  })
})

it('counts what has been asked for, and uses it in the order of asking', async () => {
  const { store } = await open({ max: 2 })
  await store.set('a', sessionOf({}, inAnHour))
  await store.set('b', sessionOf({}, inAnHour))
  store.get('a', () => undefined)
  store.get('nobody', () => undefined)
  expect(store.stats()).toMatchObject({ hits: 1, misses: 1 })

  store.get('b', () => undefined)
  store.get('a', () => undefined)
  await store.set('c', sessionOf({}, inAnHour))
  expect((await store.ids()).sort()).toEqual(['a', 'c'])
})

it('answers all that is due before what is asked for in those answers', async () => {
  const { store } = await open()
  const order: string[] = []
  for (const name of ['first', 'second', 'third']) {
    store.get(name, () => {
      order.push(name)
      store.get(name, () => order.push(`after the ${name}`))
      store.touch(name, sessionOf(), () => order.push(`touched the ${name}`))
    })
  }
  await immediate()
  await immediate()
  expect(order).toEqual([
    'first',
    'second',
    'third',
    ...['first', 'second', 'third'].flatMap((name) => [`after the ${name}`, `touched the ${name}`]),
  ])
})
