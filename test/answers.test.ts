/** What is left of an answer once it has been given. */
import { setFlagsFromString } from 'node:v8'
import { setImmediate as immediate } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import { expect, it, onTestFinished } from 'vitest'
import { PersistentMemoryStore } from '../src/index.js'
import { sessionOf } from './contract-store.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

// V8 may make the entries of Node's queue among the old objects; until those are collected, what
// they refer to is there too.
it('is nothing, even while the queue that brought it keeps its entries', async () => {
  const store = new PersistentMemoryStore({ snapshotPath: false })
  onTestFinished(() => store.close())
  await store.ready()
  await store.set('a', sessionOf({ n: 1 }))

  const { nextTick } = process
  const entries: unknown[] = []
  process.nextTick = (...entry: Parameters<typeof nextTick>) => {
    entries.push(entry)
    nextTick.apply(process, entry)
  }
  const answer = await new Promise<WeakRef<object>>((resolve) => {
    store.get('a', (_error, session) => resolve(new WeakRef(session!)))
    process.nextTick = nextTick
  })
  await immediate()
  collect()

  expect(entries).toHaveLength(1)
  expect(answer.deref()).toBeUndefined()
})
