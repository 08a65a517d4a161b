/**
 * A closed loop: keeps a fixed number of store calls in flight, for a time or for a count, and says
 * how many were answered in how long. Works alike for stores that answer at once and later, and lets
 * the event loop turn for stores that always answer at once. The first error ends it.
 */
import { performance } from 'node:perf_hooks'

/** @typedef {(error?: unknown) => void} Done */
/** @typedef {(n: number, done: Done) => void} Operation starts call number n */

const checkEvery = 16
const turnEvery = 512

/**
 * @param {Operation} operation
 * @param {{ inFlight: number, ms?: number, count?: number, from?: number }} limits
 * @returns {Promise<{ operations: number, ms: number, perSecond: number }>}
 */
export function drive(operation, { inFlight, ms = Infinity, count = Infinity, from = 0 }) {
  return new Promise((resolve, reject) => {
    const start = performance.now()
    let issued = 0
    let answered = 0
    let free = inFlight
    let ending = false
    let pumping = false
    let settled = false

    /** @type {Done} */
    const done = (error) => {
      answered++
      free++
      if (error) fail(error)
      else if (!pumping) pump()
    }

    /** @param {unknown} error */
    const fail = (error) => {
      ending = settled = true
      reject(error)
    }

    const pump = () => {
      pumping = true
      let now = 0
      while (free > 0 && !ending) {
        if (now++ === turnEvery) {
          setImmediate(pump)
          return
        }
        if (issued % checkEvery === 0) ending = performance.now() - start >= ms
        if (issued >= count) ending = true
        if (ending) break
        free--
        operation(from + issued++, done)
      }
      pumping = false
      if (ending && answered === issued && !settled) finish()
    }

    const finish = () => {
      settled = true
      const took = performance.now() - start
      resolve({ operations: answered, ms: took, perSecond: (answered / took) * 1000 })
    }

    pump()
  })
}
