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

// What express-session's own stores take: an error of any type, a callback that may be missing.
type Done = (error?: any) => void
export function logout(sid: string, done?: Done) {
  store.destroy(sid, done)
  store.touch(sid, data!, done)
  store.set(sid, data!, done)
  store.clear(done)
}
store.destroy('sid-1', (error?: Error) => console.log(error?.message))
store.get('sid-1', (error: Error | null, found) => console.log(error?.message, found?.user))
store.get('sid-1', (error, found?: session.SessionData | null) => console.log(error, found?.user))
// @ts-expect-error a number is no session
store.length((error: Error | null, found) => console.log(error, found?.user))

const parse = (text: string): Omit<session.SessionData, 'cookie'> => JSON.parse(text)
console.log(new PersistentMemoryStore({ serializer: { stringify: JSON.stringify, parse } }))
const MemoryStore = createMemoryStore(session)
const dropIn = new MemoryStore({ ttl: 60_000, checkPeriod: 86_400_000 })
session({ store: dropIn, secret: 'x' })
export function logoutThere(sid: string, done?: Done) {
  dropIn.destroy(sid, done)
}
dropIn.destroy('sid-1', (error?: Error) => console.log(error?.message))
dropIn.get('sid-1', (error: Error | null, found) => console.log(error?.message, found?.user))
console.log((await dropIn.get('sid-1'))?.user)
console.log(dropIn.on('error', ({ code }) => console.log(code)).store.itemCount)
console.log(dropIn.once('connect', () => undefined).setMaxListeners(0).options.max)

// @ts-expect-error a misspelled option
new PersistentMemoryStore({ snapshotpath: './x' })
// @ts-expect-error a durability that there isn't
new PersistentMemoryStore({ durability: 'never' })
