/** When an answer comes, and what is left of it once it has been given. */
import { setFlagsFromString } from 'node:v8'
import { setImmediate as immediate } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import { expect, it, onTestFinished } from 'vitest'
import { PersistentMemoryStore } from '../src/index.js'
import { sessionOf } from './contract-store.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

// V8 may make the entries of Node's queues among the old objects; until those are collected, what
// they refer to is there too.
it.each([
  ['process.nextTick', process, 'nextTick'],
  ['setImmediate', globalThis, 'setImmediate'],
] as const)('is nothing, even while the queue of %s keeps its entries', async (_, owner, name) => {
  const store = new PersistentMemoryStore({ snapshotPath: false })
  onTestFinished(() => store.close())
  await store.ready()
  await store.set('a', sessionOf({ n: 1 }))

  const queues = owner as unknown as Record<string, (...entry: unknown[]) => unknown>
  const enqueue = queues[name]!
  const entries: unknown[] = []
  const answer = await new Promise<WeakRef<object>>((resolve) => {
    const ask = () => {
      queues[name] = (...entry) => {
        entries.push(entry)
        return enqueue.apply(owner, entry)
      }
      store.get('a', (_error, session) => resolve(new WeakRef(session!)))
      queues[name] = enqueue
    }
    // What is asked for in an answer comes by the one, all else by the other.
    if (name === 'nextTick') store.get('nobody', ask)
    else ask()
  })
  await immediate()
  collect()

  expect(entries).toHaveLength(1)
  expect(answer.deref()).toBeUndefined()
})

it('lets the loop turn though each answer leads to another question', async () => {
  const store = new PersistentMemoryStore({ snapshotPath: false })
  onTestFinished(() => store.close())
  await store.ready()
  let asked = 0
  let askedByThen = Infinity
  await new Promise<void>((resolve) => {
    const ask = () => {
      if (++asked === 1) setImmediate(() => (askedByThen = asked))
      if (asked === 5000) resolve()
      else store.get('nobody', ask)
    }
    store.get('nobody', ask)
  })
  expect(askedByThen).toBeLessThan(1000)
})
