/**
 * A process with a store in it, for tests that end processes. In: the store's options as JSON in
 * the first argument, calls of its methods over IPC. Out: their results, the store's events and the
 * process's warnings. SIGTERM closes the store and ends the process, as an app would.
 */
import { PersistentMemoryStore } from '../../dist/index.js'

const store = new PersistentMemoryStore(JSON.parse(process.argv[2]))
const send = (message) => {
  if (process.connected) process.send(message)
}
const plain = (value) =>
  value instanceof Error ? { code: value.code, message: value.message } : value

for (const event of ['ready', 'snapshot', 'owner', 'follow', 'merge', 'error']) {
  store.on(event, (payload) => send({ event, payload: plain(payload) }))
}
process.on('warning', (warning) => send({ event: 'warning', payload: plain(warning) }))

process.on('message', async ({ id, method, args }) => {
  try {
    send({ id, value: await store[method](...args) })
  } catch (error) {
    send({ id, error: plain(error) })
  }
})

// The test has gone, and with it all who could end this process.
process.on('disconnect', () => process.exit(1))

process.on('SIGTERM', () => {
  // What was told before this has been sent when this has.
  const end = (code) => process.send({ event: 'closed' }, () => process.exit(code))
  store.close().then(
    () => end(0),
    () => end(1),
  )
})
