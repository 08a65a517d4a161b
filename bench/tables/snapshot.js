/**
 * One snapshot of a million sessions while requests go on, beside the same time without one; and
 * Redis's `SAVE` of the same sessions, which serves nobody meanwhile.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { whileBusy } from '../lib/busy.js'
import { barChart } from '../lib/charts.js'
import { bytes, howMany, milliseconds, spread } from '../lib/format.js'
import { redisMillion } from '../lib/redis-million.js'
import { alternate } from '../lib/rounds.js'
import { summarizeAll } from '../lib/summary.js'
import { atMost, atMostTimes, ratio } from '../lib/targets.js'
import { commonTasks } from '../lib/tasks.js'

export const tasks = {
  ...commonTasks,

  /** @param {{ folder: string }} args @param {Record<string, any>} state */
  async round({ folder }, state) {
    const busy = /** @type {any} */ (state)
    if (!state.warm) await whileBusy(busy, () => state.store.snapshot())
    state.warm = true
    const taken = await whileBusy(busy, () => state.store.snapshot())
    const idle = await whileBusy(busy, () => undefined, taken.ms)
    return {
      duration: taken.ms,
      cpu: Math.max(0, taken.cpu - idle.cpu),
      size: statSync(join(folder, 'sessions.snapshot')).size,
      grown: taken.grown,
      longest: taken.longest,
      idle: idle.longest,
      beyond: Math.max(0, taken.longest - idle.longest),
      slowest: taken.slowest,
    }
  },
}

/** @param {import('../lib/context.js').Context} context */
export async function run(context) {
  const count = context.million
  const redis = await redisMillion(context)
  /** @type {Record<string, number>[]} */
  const saves = []
  const folder = context.temp.folder('snapshot')
  const [ours] = await alternate(context, {
    table: 'snapshot',
    // The same process and sessions throughout: what is written is what is measured.
    systems: context.only('ours-everysec').map((system) => ({ ...system, quick: false })),
    rounds: context.size(3, 2),
    open: { count, place: { folder }, overrides: { snapshotInterval: 3_600_000 } },
    async measure(worker) {
      if (redis) saves.push(await redis.save())
      return worker.call('round', { folder })
    },
  })
  if (redis && saves.length === 0) saves.push(await redis.save())
  const mine = ours && ours.rounds.length > 0 ? summarizeAll(ours.rounds) : undefined
  const theirs = saves.length > 0 ? summarizeAll(saves) : undefined
  return {
    title: `Snapshot, ${howMany(count)} sessions`,
    intro:
      'Ours with 2000 requests a second going on, one in ten of which changes its session. ' +
      'Processor time is what the same requests alone don’t take.',
    tables: [
      {
        columns: ['', 'ours', 'Redis, SAVE'],
        rows: [
          ['duration', show(mine?.duration, milliseconds), show(theirs?.ms, milliseconds)],
          ['processor time', show(mine?.cpu, milliseconds), ''],
          ['file', show(mine?.size, bytes), show(theirs?.bytes, bytes)],
          ['memory beyond, at the most', show(mine?.grown, bytes), ''],
          ['longest stop of the loop', show(mine?.longest, milliseconds), 'the whole duration'],
          ['the same without a snapshot', show(mine?.idle, milliseconds), ''],
          ['longest stop beyond that', show(mine?.beyond, milliseconds), ''],
          ['slowest request', show(mine?.slowest, milliseconds), ''],
        ],
      },
    ],
    targets: [
      atMost('longest stop in a snapshot', mine?.beyond?.median, 10, milliseconds),
      atMostTimes(
        'duration against Redis’s SAVE',
        ratio(mine?.duration?.median, theirs?.ms?.median),
        0.5,
      ),
      atMostTimes('size against its RDB', ratio(mine?.size?.median, theirs?.bytes?.median), 0.6),
    ],
    notes: ours?.failed ? [`Ours failed: ${ours.failed}`] : [],
    charts: [
      {
        file: 'snapshot.svg',
        svg: barChart({
          title: `A snapshot of ${howMany(count)} sessions`,
          panels: [
            {
              title: 'duration',
              unit: milliseconds,
              bars: [
                { label: 'ours, serving', figure: mine?.duration, ours: true },
                { label: 'Redis, SAVE', figure: theirs?.ms },
              ],
            },
            {
              title: 'file',
              unit: bytes,
              bars: [
                { label: 'ours', figure: mine?.size, ours: true },
                { label: 'Redis, RDB', figure: theirs?.bytes },
              ],
            },
          ],
        }),
      },
    ],
  }
}

/**
 * @param {import('../lib/summary.js').Figure | undefined} figure
 * @param {import('../lib/format.js').Unit} unit
 */
function show(figure, unit) {
  return figure ? spread(figure, unit) : '–'
}
