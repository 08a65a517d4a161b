const assert = require('node:assert/strict')
const session = require('express-session')
const MemoryStore = require('persistent-memorystore/memorystore')(session)

const store = new MemoryStore({ checkPeriod: 86_400_000 })
assert.ok(store instanceof session.Store)
store.set('sid-1', { cookie: { originalMaxAge: null }, user: 'Ada' }, (error) => {
  assert.ifError(error)
  store.get('sid-1', (failed, found) => {
    assert.ifError(failed)
    assert.equal(found.user, 'Ada')
    store.stopInterval()
    console.log('drop-in.cjs ok')
  })
})
