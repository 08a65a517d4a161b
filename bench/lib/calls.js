/**
 * The calls that throughput is measured with, over sessions that are there already, in an order
 * that jumps about. Ids are other strings than the stored ones; what is set or touched with is of the
 * kind that the session is of, and made beforehand; so what is timed is the store.
 */
import { drive } from './drive.js'
import { Random } from './random.js'
import { sessionId } from './sessions.js'

/** @typedef {'get' | 'set' | 'touch' | 'cycle'} CallName */

/** So often the cookies of requests are made to last anew, in calls. */
const renewEvery = 64

/** @type {readonly CallName[]} */
export const callNames = ['get', 'set', 'touch', 'cycle']

/**
 * @param {any} store
 * @param {{ count: number, pool: import('./pool.js').Pool }} sessions 0 to `count` − 1 are there
 * @returns {Record<CallName, import('./drive.js').Operation>}
 */
export function calls(store, { count, pool }) {
  // Powers of two, so that an index is a mask away; above the count, so that most are called.
  const length = count < 10_000 ? 4096 : 65_536
  const mask = length - 1
  const random = new Random(1, 99)
  const numbers = Uint32Array.from({ length }, () => random.below(count))
  const sids = Array.from(numbers, (number) => sessionId(number))
  const cookies = Array.from(numbers, (number) => pool.cookie(number))
  const sid = (/** @type {number} */ n) => /** @type {string} */ (sids[n & mask])
  const session = (/** @type {number} */ n) =>
    pool.session(/** @type {number} */ (numbers[n & mask]), n)

  const renew = (/** @type {number} */ n) => {
    if (n % renewEvery === 0) pool.renew()
  }

  /** @param {number} n @param {import('./drive.js').Done} done @param {any} touched */
  const touch = (n, done, touched) => {
    renew(n)
    touched.cookie = cookies[n & mask]
    store.touch(sid(n), touched, done)
  }

  /** @param {number} n @param {(error: unknown, session: any) => void} then */
  const get = (n, then) =>
    store.get(sid(n), (/** @type {unknown} */ error, /** @type {any} */ found) =>
      then(error ?? (found ? null : new Error('a session is missing')), found),
    )

  return {
    get: (n, done) => get(n, (error) => done(error)),
    set: (n, done) => {
      renew(n)
      store.set(sid(n), session(n), done)
    },
    touch: (n, done) => touch(n, done, session(n)),
    cycle: (n, done) => get(n, (error, found) => (error ? done(error) : touch(n, done, found))),
  }
}

/** What a store writes once a second, or less often, is written meanwhile. */
const setsLonger = 10

/**
 * How many of each call a store answers in a second. `set` is measured for longer than the others;
 * what it has left to be written in the end counts for nobody.
 *
 * @param {any} store
 * @param {Record<CallName, import('./drive.js').Operation>} timed
 * @param {{ inFlight: number, ms: number }} limits
 * @returns {Promise<Record<string, number>>} by name
 */
export async function rates(store, timed, { inFlight, ms }) {
  /** @type {Record<string, number>} */
  const results = {}
  for (const name of callNames) {
    const limits = { inFlight, ms: name === 'set' ? ms * setsLonger : ms }
    results[name] = (await drive(timed[name], limits)).perSecond
    await store.flush?.()
    // One that the last sets have made due would be taken during the next calls, and slow them down.
    if (name === 'set') await store.snapshot?.()
  }
  return results
}
