const assert = require('node:assert/strict')
const session = require('express-session')
const { PersistentMemoryStore, StoreError, gracefulShutdown } = require('persistent-memorystore')

assert.equal(typeof gracefulShutdown, 'function')
assert.ok(StoreError.prototype instanceof Error)

const store = new PersistentMemoryStore({ snapshotPath: './cjs/sessions.snapshot' })
assert.ok(store instanceof session.Store)
store.set('sid-1', { cookie: { originalMaxAge: null }, user: 'Ada' }, (error) => {
  assert.ifError(error)
  store.get('sid-1', (failed, found) => {
    assert.ifError(failed)
    assert.equal(found.user, 'Ada')
    store.close(() => console.log('cjs.cjs ok'))
  })
})
