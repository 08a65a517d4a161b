/**
 * Requests at a fixed rate, as an app makes them: each reads its session, then touches it, and some
 * change it instead. A few at a time every few milliseconds, so that the traffic itself holds the
 * loop for well under a millisecond.
 */
import { performance } from 'node:perf_hooks'
import { sessionId } from './sessions.js'

const tick = 4

/**
 * @typedef {object} Traffic
 * @property {() => Promise<{ slowest: number }>} stop waits for the requests on their way; in ms
 */

/**
 * @param {any} store
 * @param {{ sessions: number, perSecond: number, changes: number, pool: import('./pool.js').Pool }} options `changes`:
 *   which share of the requests ends in a `set` of one of the pool, 0 to 1
 * @returns {Traffic}
 */
export function startTraffic(store, { sessions, perSecond, changes, pool }) {
  const start = performance.now()
  let issued = 0
  let answered = 0
  let slowest = 0
  /** @type {unknown} */
  let failure

  /** @param {number} n */
  const request = (n) => {
    const began = performance.now()
    const number = (n * 7919) % sessions
    const sid = sessionId(number)
    /** @param {unknown} [error] */
    const done = (error) => {
      answered++
      failure ??= error ?? undefined
      slowest = Math.max(slowest, performance.now() - began)
    }
    store.get(sid, (/** @type {unknown} */ error, /** @type {any} */ session) => {
      if (error) return done(error)
      if (!session) return done()
      pool.renew()
      if ((n * 31) % 1000 < changes * 1000) return store.set(sid, pool.session(number, n), done)
      session.cookie = pool.cookie(number)
      store.touch(sid, session, done)
    })
  }

  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - start) * perSecond) / 1000)
    // After a long stop the backlog is spread, or the catching up would be seen as a stop too.
    const burst = Math.min(due - issued, Math.ceil((perSecond * tick * 4) / 1000))
    for (let i = 0; i < burst; i++) request(issued++)
  }, tick)

  return {
    async stop() {
      clearInterval(timer)
      while (answered < issued && !failure) await new Promise((resolve) => setImmediate(resolve))
      if (failure) throw failure
      return { slowest }
    },
  }
}
