import session from 'express-session'
import { PersistentMemoryStore } from 'persistent-memorystore'
import createMemoryStore, { type MemoryStore } from 'persistent-memorystore/memorystore'

const Drop = createMemoryStore(session)
const dropIn: MemoryStore = new Drop({ checkPeriod: 86_400_000 })
session({ store: dropIn, secret: 'x' })
session({ store: new PersistentMemoryStore({ ttl: '14d' }), secret: 'x' })
