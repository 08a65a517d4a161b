/** `get` with a callback, which reads later than it is asked, against a store that reads at once. */
import { setImmediate as immediate } from 'node:timers/promises'
import type { SessionData } from 'express-session'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished, test } from 'vitest'
import { PersistentMemoryStore } from '../src/index.js'
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

  it.each(['destroys', 'sets', 'clears'])(
    'is what it was though reading another one runs code that %s it',
    async (how) => {
      let disposed = 0
      const { store, clock } = await open({
        dispose: () => {
          if (disposed++ > 0) return
          if (how === 'destroys') void store.destroy(sids[1]!)
          else if (how === 'sets') void store.set(sids[1]!, sessionOf({ n: 2 }, inAnHour))
          else void store.clear()
        },
      })
      await store.set(sids[0]!, sessionOf({ n: 1 }, { expires: new Date(NOON + 1000) }))
      await store.set(sids[1]!, sessionOf({ n: 1 }, inAnHour))
      clock.time += 1000

      const answers: Found[] = []
      for (const sid of [sids[0]!, sids[1]!]) ask(store, sid, (found) => answers.push(found))
      await immediate()
      expect(answers).toEqual([undefined, 1])
      expect(store.stats()).toMatchObject({ hits: 1, misses: 1 })
      expect(await store.get(sids[1]!)).toEqual(
        how === 'sets' ? { n: 2, cookie: { expires: inAnHour.expires.toISOString() } } : undefined,
      )
    },
  )

  it('that does not decode is an error to whoever asked for it and nobody else', async () => {
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
