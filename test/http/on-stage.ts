/**
 * What each file of tests with express begins with: a stage for each test, cleared after it, with
 * time and methods put back in their places, and the handler that most of them serve.
 */
import { afterEach, beforeEach, vi } from 'vitest'
import { type Handler, Stage, visit } from './stage.js'

/** The stage of the test that runs. */
export let stage: Stage

beforeEach(async () => {
  stage = await Stage.set()
})

afterEach(async () => {
  vi.useRealTimers()
  vi.restoreAllMocks()
  await stage.clear()
})

/** Counts the visits of a session and answers how many they are. */
export const count: Handler = (req, res) => {
  const here = visit(req)
  here.count = (here.count ?? 0) + 1
  res.end(String(here.count))
}
