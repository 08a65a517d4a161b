/**
 * Stores on whatever files a fault puts under them, without timers or watchers of their own.
 */
import { PersistentMemoryStore } from '../../../dist/index.js'

const QUIET = {
  checkPeriod: 0,
  snapshotInterval: 0,
  flushOnExit: false,
  watch: false,
}

/**
 * Opens a store and waits for its sessions. Errors it tells are gathered in `errors`.
 *
 * @returns {Promise<{ store: PersistentMemoryStore, report: any, errors: any[] }>}
 */
export async function openStore(options, surroundings = {}) {
  const store = new PersistentMemoryStore({ ...QUIET, ...options }, surroundings)
  const errors = []
  store.on('error', (error) => errors.push(error))
  const report = await store.ready()
  return { store, report, errors }
}

/** Lets everything that waits for the loop go on. */
export async function settle(turns = 20) {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
}
