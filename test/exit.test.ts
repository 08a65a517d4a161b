/**
 * What a store leaves behind in the process that it belongs to. What is written at its end is for
 * the tests that end processes.
 */
import { expect, test } from 'vitest'
import { errno } from './support/memory-files.js'
import { open, sessionOf } from './support/stores.js'

const hooks = () => process.listenerCount('SIGTERM')

test.each([
  ['is closed', undefined],
  ['could not write when it was closed', errno('ENOSPC')],
])('the end of the process is nothing to a store that %s', async (_name, failure) => {
  const before = hooks()
  const { store, files } = await open({ flushOnExit: true })
  await store.set('a', sessionOf())
  expect(hooks()).toBe(before + 1)
  files.fail = (operation) => (operation === 'append' ? failure : undefined)
  const closed = store.close()
  await (failure ? expect(closed).rejects.toMatchObject({ code: 'ERR_WRITE' }) : closed)
  expect(hooks()).toBe(before)
})
