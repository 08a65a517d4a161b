/**
 * Calls a second over 100 000 sessions: `get`, `set`, `touch` and the cycle of a request that changes
 * nothing (`get`, then `touch`), one at a time and 64 in flight.
 */
import { callNames, calls, rates } from '../lib/calls.js'
import { barChart, barsOf } from '../lib/charts.js'
import { drive } from '../lib/drive.js'
import { howMany, perSecond, spread, times } from '../lib/format.js'
import { alternate } from '../lib/rounds.js'
import { summarizeAll } from '../lib/summary.js'
import { atLeastTimes, ratio } from '../lib/targets.js'
import { commonTasks } from '../lib/tasks.js'
import * as nothing from '../systems/nothing.js'

/** Those that answer from memory: on one scale they can be compared by eye. */
const inMemory = ['ours-snapshot', 'ours-everysec', 'memory-store', 'memorystore']
const required = { get: 3, set: 1.5, touch: 8, cycle: 4 }

/** @typedef {Record<string, import('../lib/summary.js').Figure>} Figures */

export const tasks = {
  ...commonTasks,

  /** @param {{ ms: number, warmUp: number }} args @param {Record<string, any>} state */
  async round({ ms, warmUp }, state) {
    const timed = calls(state.store, { count: state.count, pool: state.pool })
    if (!state.warm) {
      for (const name of callNames) await drive(timed[name], { inFlight: 64, ms: warmUp })
    }
    state.warm = true
    /** @type {Record<string, number>} */
    const results = {}
    for (const inFlight of [1, 64]) {
      const measured = await rates(state.store, timed, { inFlight, ms })
      for (const name of callNames) results[`${name} ${inFlight}`] = measured[name]
    }
    return results
  },
}

/** @param {import('../lib/context.js').Context} context */
export async function run(context) {
  const count = context.size(100_000, 1_000)
  const limits = context.size({ ms: 400, warmUp: 300 }, { ms: 40, warmUp: 60 })
  const outcomes = await alternate(context, {
    table: 'operations',
    systems: [...context.systems, nothing],
    rounds: context.size(3, 2),
    open: { count },
    measure: (worker) => worker.call('round', limits),
  })
  /** @type {Map<string, Figures>} */
  const figures = new Map()
  for (const { system, rounds } of outcomes) {
    if (rounds.length > 0) figures.set(system.id, summarizeAll(rounds))
  }
  return {
    title: `Operations, ${howMany(count)} sessions`,
    intro:
      'Calls a second; × is the ratio to memorystore. connect-loki hands out its own object, not a ' +
      'copy. The memory stores and the last row, which keeps nothing, answer in another turn of the ' +
      'event loop: a large part of their figures where one call waits for the other. Ours answers ' +
      'what is asked in an answer in the same turn, up to 256 calls; better-sqlite3 and ' +
      'connect-loki answer at once.',
    tables: [1, 64].map((inFlight) => ({
      caption: inFlight === 1 ? 'One at a time' : `${inFlight} in flight`,
      columns: ['', ...callNames],
      rows: outcomes.map(({ system, failed }) => [
        system.label,
        ...callNames.map((name) => cell(figures, system.id, `${name} ${inFlight}`, failed)),
      ]),
    })),
    targets: [...againstMemorystore(figures), ...everysecAgainstSnapshot(figures)],
    charts: [
      chartInMemory(
        outcomes.filter(({ system }) => inMemory.includes(system.id)),
        figures,
        count,
      ),
      chartOfAll(
        outcomes.filter(({ system }) => system !== nothing),
        figures,
        count,
      ),
    ],
  }
}

/** @param {Map<string, Figures>} figures @param {string} id @param {string} key @param {string} [failed] */
function cell(figures, id, key, failed) {
  const figure = figures.get(id)?.[key]
  if (!figure) return `failed: ${failed}`
  const against = ratio(figure.median, figures.get('memorystore')?.[key]?.median)
  return spread(figure, perSecond) + (against === undefined ? '' : `, ${times(against)}`)
}

/** @param {Map<string, Figures>} figures */
function againstMemorystore(figures) {
  const ours = figures.get('ours-everysec')
  const theirs = figures.get('memorystore')
  return [1, 64].flatMap((inFlight) =>
    callNames.map((name) => {
      const key = `${name} ${inFlight}`
      return atLeastTimes(
        `${name}, ${inFlight} in flight, everysec against memorystore`,
        ratio(ours?.[key]?.median, theirs?.[key]?.median),
        required[name],
      )
    }),
  )
}

/** @param {Map<string, Figures>} figures */
function everysecAgainstSnapshot(figures) {
  return [1, 64].flatMap((inFlight) =>
    callNames.map((name) => {
      const key = `${name} ${inFlight}`
      return atLeastTimes(
        `${name}, ${inFlight} in flight, everysec against snapshot`,
        ratio(
          figures.get('ours-everysec')?.[key]?.median,
          figures.get('ours-snapshot')?.[key]?.median,
        ),
        0.9,
      )
    }),
  )
}

/**
 * A row of panels for each operation: on the left one at a time, on the right 64 in flight.
 * @param {import('../lib/rounds.js').Outcome[]} outcomes
 * @param {Map<string, Figures>} figures
 * @param {number} count
 */
function chartInMemory(outcomes, figures, count) {
  return {
    file: 'operations.svg',
    svg: barChart({
      title: `Calls a second, ${howMany(count)} sessions`,
      panels: callNames.flatMap((name) =>
        [1, 64].map((inFlight) => ({
          title: `${titleOf(name)}; ${inFlight === 1 ? 'one at a time' : `${inFlight} in flight`}`,
          unit: perSecond,
          bars: barsOf(outcomes, (id) => figures.get(id)?.[`${name} ${inFlight}`]),
        })),
      ),
    }),
  }
}

/**
 * All of them, which differ by orders of magnitude.
 * @param {import('../lib/rounds.js').Outcome[]} outcomes
 * @param {Map<string, Figures>} figures
 * @param {number} count
 */
function chartOfAll(outcomes, figures, count) {
  return {
    file: 'operations-all.svg',
    svg: barChart({
      title: `Calls a second, ${howMany(count)} sessions, 64 in flight, each line ten times the one before`,
      panels: callNames.map((name) => ({
        title: titleOf(name),
        unit: perSecond,
        logarithmic: true,
        bars: barsOf(outcomes, (id) => figures.get(id)?.[`${name} 64`]),
      })),
    }),
  }
}

/** @param {import('../lib/calls.js').CallName} name */
function titleOf(name) {
  return name === 'cycle' ? 'cycle: get, then touch' : name
}
