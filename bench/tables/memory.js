/**
 * Resident memory for each of a million sessions, id and index included: the process before and
 * after, everything collectable collected. For Redis, its own used_memory.
 */
import { barChart } from '../lib/charts.js'
import { bytes, howMany, spread, times } from '../lib/format.js'
import { settledMemory } from '../lib/memory.js'
import { redisMillion } from '../lib/redis-million.js'
import { alternate } from '../lib/rounds.js'
import { summarizeAll } from '../lib/summary.js'
import { atMostTimes, ratio } from '../lib/targets.js'
import { commonTasks, fill } from '../lib/tasks.js'

const warmUp = 5_000

export const tasks = {
  ...commonTasks,

  /** @param {{ count: number }} args @param {Record<string, any>} state */
  async measure({ count }, state) {
    // Compiled code and grown buffers belong to both sides; the sessions that made them don't.
    await fill(state.opened, state.source, count, warmUp)
    await new Promise((resolve) => state.store.clear(resolve))
    const before = await settledMemory()
    await fill(state.opened, state.source, 0, count)
    const after = await settledMemory()
    const length = await new Promise((resolve, reject) =>
      state.store.length((/** @type {unknown} */ error, /** @type {number} */ n) =>
        error ? reject(error) : resolve(n),
      ),
    )
    if (length !== count) throw new Error(`there are ${length} sessions, not ${count}`)
    return {
      resident: (after.rss - before.rss) / count,
      heap: (after.heapUsed - before.heapUsed) / count,
    }
  },
}

/** @param {import('../lib/context.js').Context} context */
export async function run(context) {
  const count = context.million
  const outcomes = await alternate(context, {
    table: 'memory',
    systems: context
      // connect-loki writes its whole file with each autosave: a million take it many minutes.
      .only('ours-everysec', 'memory-store', 'memorystore')
      // Only a new process can be measured before and after.
      .map((system) => ({ ...system, quick: true })),
    rounds: context.size(2, 1),
    open: {},
    measure: (worker) => worker.call('measure', { count }),
  })
  const rows = outcomes.map(({ system, rounds, failed }) => ({
    system,
    failed,
    figures: rounds.length > 0 ? summarizeAll(rounds) : undefined,
  }))
  const redis = (await redisMillion(context))?.bytesPerSession
  const resident = (/** @type {string} */ id) =>
    rows.find(({ system }) => system.id === id)?.figures?.resident?.median
  const ours = resident('ours-everysec')
  const share = (/** @type {number | undefined} */ value) =>
    value && ours ? times(ours / value) : '–'
  return {
    title: `Memory, ${howMany(count)} sessions`,
    intro: 'Bytes for each session, id and index included. A fresh process each time.',
    tables: [
      {
        columns: ['', 'resident', 'of it, heap in use', 'ours against it'],
        rows: [
          ...rows.map(({ system, failed, figures }) => [
            system.label,
            figures?.resident ? spread(figures.resident, bytes) : `failed: ${failed}`,
            figures?.heap ? spread(figures.heap, bytes) : '',
            share(figures?.resident?.median),
          ]),
          ['Redis, used_memory', redis ? bytes(redis) : 'missing', '', share(redis)],
        ],
      },
    ],
    targets: [
      atMostTimes(
        'resident memory against memorystore’s',
        ratio(ours, resident('memorystore')),
        0.4,
      ),
      atMostTimes('resident memory against Redis’s used_memory', ratio(ours, redis), 0.6),
    ],
    charts: [
      {
        file: 'memory.svg',
        svg: barChart({
          title: `Memory for each of ${howMany(count)} sessions`,
          panels: [
            {
              title: 'resident bytes for each session (Redis: used_memory)',
              unit: bytes,
              bars: [
                ...rows.map(({ system, figures }) => ({
                  label: system.ours ? 'ours' : system.label,
                  figure: figures?.resident,
                  ours: system.ours ?? false,
                })),
                {
                  label: 'Redis',
                  figure: redis ? { median: redis, min: redis, max: redis } : undefined,
                },
              ],
            },
          ],
        }),
      },
    ],
  }
}
