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
console.log(typeof gracefulShutdown)
