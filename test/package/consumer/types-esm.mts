import session from 'express-session'
import { PersistentMemoryStore, StoreError, gracefulShutdown } from 'persistent-memorystore'
import type { PersistentMemoryStoreOptions } from 'persistent-memorystore'
import createMemoryStore from 'persistent-memorystore/memorystore'
import { createServer } from 'node:http'

declare module 'express-session' {
  interface SessionData {
    user?: string
  }
}

const options: PersistentMemoryStoreOptions = {
  ttl: (data, sid) => (data.user === undefined ? 60 : sid.length),
  snapshotPath: new URL('./sessions.snapshot', import.meta.url),
  dispose: (sid, data, reason) => {
    const text: string | undefined = data.user
    const why: 'expired' | 'evicted' | 'destroyed' | 'replaced' = reason
    console.log(sid, text, why)
  },
}
const store = new PersistentMemoryStore(options)
session({ store, secret: 'x' })
const undo: () => void = gracefulShutdown(createServer(), store, { timeout: 1000 })
undo()
store.on('error', (error) => console.log(error instanceof StoreError, error.code.length))
store.once('ready', ({ sessions }) => console.log(sessions.toFixed()))
store.off('evicted', (sid) => console.log(sid.length))
store.on('connect', () => console.log('what express-session listens to'))
// @ts-expect-error no figure of a snapshot
store.on('snapshot', ({ files }) => console.log(files))
const sessions: number = (await store.ready()).sessions
const data = await store.get('sid-1')
console.log(sessions, data?.user, store.stats().sessions)

const MemoryStore = createMemoryStore(session)
session({ store: new MemoryStore({ ttl: 60_000, checkPeriod: 86_400_000 }), secret: 'x' })

// @ts-expect-error a misspelled option
new PersistentMemoryStore({ snapshotpath: './x' })
// @ts-expect-error a durability that there isn't
new PersistentMemoryStore({ durability: 'never' })
