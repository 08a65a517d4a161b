/** When an answer comes, and what is left of it once it has been given. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { setFlagsFromString } from 'node:v8'
import { setImmediate as immediate } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import { expect, it, onTestFinished } from 'vitest'
import { settle } from '../src/answer.js'
import { PersistentMemoryStore } from '../src/index.js'
import { sessionOf } from './contract-store.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

// V8 may make the entries of Node's queue among the old objects; until those are collected, what
// they refer to is there too.
it('is nothing, even while the queue of setImmediate keeps its entries', async () => {
  const store = new PersistentMemoryStore({ snapshotPath: false })
  onTestFinished(() => store.close())
  await store.ready()
  await store.set('a', sessionOf({ n: 1 }))

  const enqueue = globalThis.setImmediate
  const entries: unknown[] = []
  const answer = await new Promise<WeakRef<object>>((resolve) => {
    globalThis.setImmediate = ((...entry: Parameters<typeof enqueue>) => {
      entries.push(entry)
      return enqueue(...entry)
    }) as typeof enqueue
    store.get('a', (_error, session) => resolve(new WeakRef(session!)))
    globalThis.setImmediate = enqueue
  })
  await immediate()
  collect()

  expect(entries).toHaveLength(1)
  expect(answer.deref()).toBeUndefined()
})

it.each(['first', 'asked for in an answer'])(
  'in the context of the call, and what a callback throws comes up in the process: %s',
  async (which) => {
    const store = new PersistentMemoryStore({ snapshotPath: false })
    onTestFinished(() => store.close())
    await store.ready()
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    onTestFinished(() => others.forEach((other) => process.on('uncaughtException', other)))

    const fault = new Error('a callback')
    const context = new AsyncLocalStorage<string>()
    const contexts: unknown[] = []
    const uncaught = new Promise((resolve) => process.once('uncaughtException', resolve))
    const ask = () =>
      context.run('request', () => {
        store.get('nobody', () => {
          contexts.push(context.getStore())
          throw fault
        })
      })
    if (which === 'first') ask()
    else store.get('nobody', ask)
    expect(await uncaught).toBe(fault)
    expect(contexts).toEqual(['request'])
  },
)

it.each([null, undefined, 0, false])(
  'is an error where a promise fails, though with %s',
  async (reason) => {
    const failed: Promise<void> = Promise.reject(reason)
    const error = await new Promise((resolve) => void settle(failed, resolve))
    expect(error).toMatchObject({ message: `Something without a value was thrown: ${reason}` })
  },
)

it.each([1, 64])('lets the loop turn though each leads to another question: %i', async (askers) => {
  const store = new PersistentMemoryStore({ snapshotPath: false })
  onTestFinished(() => store.close())
  await store.ready()
  let asked = 0
  const turns: number[] = []
  await new Promise<void>((resolve) => {
    const ask = () => {
      if (++asked >= 5000) resolve()
      else store.get('nobody', ask)
    }
    const turn = () => {
      turns.push(asked)
      if (asked < 5000) setImmediate(turn)
    }
    turn()
    for (let i = 0; i < askers; i++) ask()
  })
  turns.push(asked)
  const asks = turns.slice(1).map((total, i) => total - turns[i]!)
  expect(Math.max(...asks)).toBeLessThan(1000)
})

it('comes after others that are due, but waits no longer for what fake timers have swallowed', async () => {
  const store = new PersistentMemoryStore({ snapshotPath: false })
  onTestFinished(() => store.close())
  await store.ready()
  const real = globalThis.setImmediate
  globalThis.setImmediate = (() => undefined) as unknown as typeof real
  store.get('nobody', () => expect.unreachable())
  globalThis.setImmediate = real

  const answered = new Promise<void>((resolve) => {
    store.get('nobody', () => store.touch('nobody', sessionOf(), () => resolve()))
  })
  await Promise.race([answered, immediate().then(immediate).then(immediate)])
  const none = Symbol('no answer')
  expect(await Promise.race([answered, Promise.resolve(none)])).toBeUndefined()
})
