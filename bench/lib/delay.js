/**
 * How long the event loop was held up while something ran: perf_hooks' monitor at a resolution of
 * 1 ms, less that millisecond, read every few milliseconds, so that the beginning, the middle and the
 * end can be told apart. The monitor's timer ticks before and after as well, so that work done in one
 * go is seen.
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

const settle = 25
const readEvery = 5
const resolution = 1
/** What belongs to the start and to the end of something, ms. */
const edge = 100

/**
 * @typedef {object} Watched
 * @property {number} longest ms
 * @property {number} p99 ms
 * @property {number} ms how long the work took
 * @property {number} atStart the longest delay in its first 100 ms
 * @property {number} atEnd the longest delay in its last 100 ms and just after
 */

/**
 * @template T
 * @param {() => Promise<T> | T} work
 * @param {number} [atLeast] ms to go on watching, counted from the start
 * @returns {Promise<Watched & { result: T }>}
 */
export async function watchLoop(work, atLeast = 0) {
  const whole = monitorEventLoopDelay({ resolution })
  const part = monitorEventLoopDelay({ resolution })
  /** @type {[at: number, longest: number][]} */
  const readings = []
  const read = () => {
    readings.push([performance.now(), delayOf(part.max)])
    part.reset()
  }
  whole.enable()
  part.enable()
  await sleep(settle)
  whole.reset()
  part.reset()
  const timer = setInterval(read, readEvery)
  const start = performance.now()
  const result = await work()
  const end = performance.now()
  await sleep(Math.max(settle, atLeast - (end - start)))
  clearInterval(timer)
  read()
  whole.disable()
  part.disable()
  return {
    result,
    ms: end - start,
    longest: delayOf(whole.max),
    p99: delayOf(whole.percentile(99)),
    atStart: longestOf(readings.filter(([at]) => at <= start + edge)),
    atEnd: longestOf(readings.filter(([at]) => at >= end - edge)),
  }
}

/** @param {number} nanoseconds */
function delayOf(nanoseconds) {
  return Math.max(0, nanoseconds / 1e6 - resolution)
}

/** @param {[number, number][]} readings */
function longestOf(readings) {
  return Math.max(0, ...readings.map(([, longest]) => longest))
}
