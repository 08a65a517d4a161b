/**
 * Something done to a store while requests go on, watched: how long it took, the processor time
 * beyond what the requests take by themselves, and the longest stop of the event loop.
 */
import { watchLoop } from './delay.js'
import { watchResident } from './memory.js'
import { startTraffic } from './traffic.js'

/** Requests a second, and which share of them changes its session. */
const traffic = { perSecond: 2000, changes: 0.1 }

/**
 * @template T
 * @param {{ store: any, count: number, pool: import('./pool.js').Pool }} state
 * @param {() => Promise<T> | T} work
 * @param {number} [atLeast] ms to watch
 */
export async function whileBusy({ store, count, pool }, work, atLeast = 0) {
  const requests = startTraffic(store, { ...traffic, sessions: count, pool })
  const resident = process.memoryUsage.rss()
  const peak = watchResident()
  const before = process.cpuUsage()
  const watched = await watchLoop(work, atLeast)
  const { user, system } = process.cpuUsage(before)
  const { slowest } = await requests.stop()
  return {
    ...watched,
    slowest,
    cpu: (user + system) / 1000,
    grown: Math.max(0, peak() - resident),
  }
}

/** @typedef {Awaited<ReturnType<typeof whileBusy>>} Busy */
