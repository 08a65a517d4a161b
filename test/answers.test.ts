/** When an answer comes, and what is left of it once it has been given. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { setFlagsFromString } from 'node:v8'
import { setImmediate as immediate } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import { expect, it, onTestFinished, vi } from 'vitest'
import { settle } from '../src/answer.js'
import { PersistentMemoryStore } from '../src/index.js'
import { sessionOf } from './contract-store.js'

/** What is put in the queue of setImmediate, while it is to be kept. */
const queue = vi.hoisted(() => {
  const kept: { entries: unknown[] | undefined } = { entries: undefined }
  const enqueue = globalThis.setImmediate
  // Before anything of ours is loaded, which takes it as it finds it.
  globalThis.setImmediate = ((...entry: Parameters<typeof enqueue>) => {
    kept.entries?.push(entry)
    return enqueue(...entry)
  }) as typeof enqueue
  return kept
})

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

// V8 may make the entries of Node's queue among the old objects; until those are collected, what
// they refer to is there too.
it('is nothing, even while the queue of setImmediate keeps its entries', async () => {
  const store = new PersistentMemoryStore({ snapshotPath: false })
  onTestFinished(() => store.close())
  await store.ready()
  await store.set('a', sessionOf({ n: 1 }))

  const entries: unknown[] = (queue.entries = [])
  const answer = await new Promise<WeakRef<object>>((resolve) => {
    store.get('a', (_error, session) => resolve(new WeakRef(session!)))
    queue.entries = undefined
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

it('comes after others that are due', async () => {
  const store = new PersistentMemoryStore({ snapshotPath: false })
  onTestFinished(() => store.close())
  await store.ready()
  const answers: number[] = []
  await new Promise<void>((resolve) => {
    store.get('nobody', () => {
      answers.push(1)
      store.touch('nobody', sessionOf(), () => resolve(void answers.push(4)))
    })
    store.get('nobody', () => answers.push(2))
    store.get('nobody', () => answers.push(3))
  })
  expect(answers).toEqual([1, 2, 3, 4])
})

it('comes though a test fakes the timers', async () => {
  const store = new PersistentMemoryStore({ snapshotPath: false })
  onTestFinished(() => store.close())
  await store.ready()
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const answer = (ask: (callback: (error: unknown, value?: unknown) => void) => void) =>
    new Promise((resolve) => ask((error, value) => resolve([error, value])))
  expect(await answer((callback) => store.set('a', sessionOf({ n: 1 }), callback))).toEqual([
    null,
    undefined,
  ])
  expect(await answer((callback) => store.get('a', callback))).toMatchObject([null, { n: 1 }])
  expect(await answer((callback) => store.length(callback))).toEqual([null, 1])
  const nested = answer((callback) => store.get('a', () => store.destroy('a', callback)))
  expect(await nested).toEqual([null, undefined])
})
