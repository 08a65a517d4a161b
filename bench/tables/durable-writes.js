/**
 * Acknowledged `set`s a second, 64 in flight, where an acknowledged `set` must survive a power cut;
 * the systems that promise less stand beside for comparison.
 */
import { calls } from '../lib/calls.js'
import { barChart, barsOf } from '../lib/charts.js'
import { drive } from '../lib/drive.js'
import { perSecond, spread, times } from '../lib/format.js'
import { alternate } from '../lib/rounds.js'
import { summarize } from '../lib/summary.js'
import { atLeastTimes, ratio } from '../lib/targets.js'
import { commonTasks } from '../lib/tasks.js'

const inFlight = 64

/** @type {Record<string, string>} */
const promises = {
  'ours-always': 'nothing acknowledged',
  'better-sqlite3': 'nothing acknowledged',
  'connect-redis-always': 'nothing acknowledged',
  'session-file-store': 'the file is synced, its folder isn’t',
  'ours-everysec': 'the last second',
  'connect-redis-everysec': 'the last second',
  'connect-loki': 'the last five seconds',
}

export const tasks = {
  ...commonTasks,

  /** @param {{ ms: number }} args @param {Record<string, any>} state */
  async round({ ms }, state) {
    const { set } = calls(state.store, { count: state.count, pool: state.pool })
    if (!state.warm) await drive(set, { inFlight, ms: ms / 2 })
    state.warm = true
    return (await drive(set, { inFlight, ms })).perSecond
  },
}

/** @param {import('../lib/context.js').Context} context */
export async function run(context) {
  const outcomes = await alternate(context, {
    table: 'durable-writes',
    systems: context.only(...Object.keys(promises)),
    rounds: context.size(3, 2),
    open: { count: context.size(20_000, 500) },
    measure: (worker) => worker.call('round', { ms: context.size(1500, 150) }),
  })
  const figures = new Map(
    outcomes
      .filter(({ rounds }) => rounds.length > 0)
      .map(({ system, rounds }) => [system.id, summarize(rounds)]),
  )
  const median = (/** @type {string} */ id) => figures.get(id)?.median
  const against = (/** @type {string} */ id) => ratio(median('ours-always'), median(id))
  return {
    title: `Durable writes, ${inFlight} in flight`,
    intro: 'Acknowledged `set`s a second; × is the ratio of ours, always, to the row.',
    tables: [
      {
        columns: ['', 'a power cut loses', 'sets', 'ours, always, against it'],
        rows: outcomes.map(({ system, failed }) => {
          const figure = figures.get(system.id)
          const share = against(system.id)
          return [
            system.label,
            promises[system.id] ?? '',
            figure ? spread(figure, perSecond) : `failed: ${failed}`,
            share === undefined ? '–' : times(share),
          ]
        }),
      },
    ],
    targets: [
      atLeastTimes('always against better-sqlite3 FULL', against('better-sqlite3'), 5),
      atLeastTimes('always against connect-redis always', against('connect-redis-always'), 1.5),
    ],
    charts: [
      {
        file: 'durable-writes.svg',
        svg: barChart({
          title: `Acknowledged sets a second, ${inFlight} in flight`,
          panels: [
            {
              title: 'a power cut loses nothing that was acknowledged',
              unit: perSecond,
              bars: barsOf(
                outcomes.filter(({ system }) => system.durable),
                (id) => figures.get(id),
              ),
            },
            {
              title: 'a power cut may lose the last second or more',
              unit: perSecond,
              bars: barsOf(
                outcomes.filter(({ system }) => !system.durable),
                (id) => figures.get(id),
              ),
            },
          ],
        }),
      },
    ],
  }
}
