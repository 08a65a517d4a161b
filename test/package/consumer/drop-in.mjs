import assert from 'node:assert/strict'
import session from 'express-session'
import createMemoryStore from 'persistent-memorystore/memorystore'

const MemoryStore = createMemoryStore(session)
const store = new MemoryStore({ ttl: 60_000 })
assert.ok(store instanceof session.Store)
await store.set('sid-1', { cookie: { originalMaxAge: null }, user: 'Ada' })
assert.equal((await store.get('sid-1')).user, 'Ada')
console.log('drop-in.mjs ok')
