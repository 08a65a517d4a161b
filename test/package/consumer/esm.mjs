import assert from 'node:assert/strict'
import session from 'express-session'
import * as ours from 'persistent-memorystore'

const { PersistentMemoryStore, StoreError, gracefulShutdown } = ours
assert.equal(typeof gracefulShutdown, 'function')
assert.ok(StoreError.prototype instanceof Error)

const options = { snapshotPath: './esm/sessions.snapshot', checkPeriod: 0 }
const first = new PersistentMemoryStore(options)
assert.ok(first instanceof session.Store)
session({ store: first, secret: 'x', resave: false, saveUninitialized: false })
await first.ready()
await first.set('sid-1', { cookie: { originalMaxAge: null }, user: 'Ada' })
await first.close()

const second = new PersistentMemoryStore(options)
const report = await second.ready()
assert.equal(report.sessions, 1)
assert.equal((await second.get('sid-1')).user, 'Ada')
await second.close()
console.log('esm.mjs ok')
