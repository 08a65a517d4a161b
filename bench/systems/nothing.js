/** Keeps nothing and answers as MemoryStore does, in another turn of the event loop: what that costs. */
export const id = 'nothing'
export const label = '(no store, answers as MemoryStore does)'
export const version = () => ''
export const missing = async () => undefined

const session = { cookie: {} }

/** @typedef {(error: unknown, session?: any) => void} Callback */

/** @returns {Promise<import('./index.js').Opened>} */
export async function open() {
  const answer = (/** @type {Callback} */ callback) => setImmediate(callback, null, session)
  return {
    store: {
      get: (/** @type {string} */ _sid, /** @type {Callback} */ callback) => answer(callback),
      set: (/** @type {string} */ _sid, /** @type {any} */ _, /** @type {Callback} */ callback) =>
        answer(callback),
      touch: (/** @type {string} */ _sid, /** @type {any} */ _, /** @type {Callback} */ callback) =>
        answer(callback),
    },
    close() {},
  }
}
