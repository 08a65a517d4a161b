/**
 * The process's memory once everything that can go has gone. Needs `--expose-gc`.
 */
import { setTimeout as sleep } from 'node:timers/promises'

/** @returns {Promise<NodeJS.MemoryUsage>} */
export async function settledMemory() {
  for (let i = 0; i < 3; i++) {
    ;/** @type {any} */ (globalThis).gc()
    await sleep(150)
  }
  return process.memoryUsage()
}

/** Follows the resident size until stopped. @returns {() => number} stops, gives the peak in bytes */
export function watchResident() {
  let peak = process.memoryUsage.rss()
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 20)
  return () => {
    clearInterval(timer)
    return Math.max(peak, process.memoryUsage.rss())
  }
}
