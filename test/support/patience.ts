/**
 * For what has to happen soon, on machines that are busy with something else: a wait that goes on
 * until it has happened, and a watch that stands still while nobody gets a turn.
 */
import { afterEach } from 'vitest'

/** For `expect.poll`: as long as it takes. How long it may take is the watch's to say. */
export const patient = { timeout: 20_000, interval: 10 } as const

const TICK = 10
const running = new Set<NodeJS.Timeout>()

afterEach(() => {
  for (const timer of running) clearInterval(timer)
  running.clear()
})

/** Starts a watch; what it gives tells the ms since, of which each delay of the loop is one tick. */
export function stopwatch(): () => number {
  let ticks = 0
  running.add(setInterval(() => ticks++, TICK))
  return () => ticks * TICK
}
