import session = require('express-session')
import { PersistentMemoryStore, gracefulShutdown } from 'persistent-memorystore'
import createMemoryStore = require('persistent-memorystore/memorystore')

const MemoryStore = createMemoryStore(session)
const dropIn = new MemoryStore({ checkPeriod: 86_400_000 })
const store = new PersistentMemoryStore({ max: 1000, durability: 'always' })
session({ store, secret: 'x' })
session({ store: dropIn, secret: 'x' })
dropIn.on('snapshot', ({ bytes }) => console.log(bytes.toFixed()))
store.get('sid-1', (error: unknown, data) => console.log(error, data?.cookie.originalMaxAge))
store.get('sid-1', (error: Error | null, data) => console.log(error, data?.cookie.path))
dropIn.destroy('sid-1', (error?: Error) => console.log(error))
export function logout(sid: string, done?: (error?: any) => void) {
  store.destroy(sid, done)
  dropIn.destroy(sid, done)
}
console.log(typeof gracefulShutdown)
