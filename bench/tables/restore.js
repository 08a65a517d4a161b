/**
 * A restart with a million sessions: from the start of the process to `ready()` and to the first
 * answered `get`; Redis with the same sessions from its RDB.
 */
import { barChart } from '../lib/charts.js'
import { howMany, milliseconds, spread } from '../lib/format.js'
import { ourMillion } from '../lib/our-million.js'
import { redisMillion } from '../lib/redis-million.js'
import { firstLine } from '../lib/rounds.js'
import { sessionId } from '../lib/sessions.js'
import { summarizeAll } from '../lib/summary.js'
import { atMostTimes, ratio } from '../lib/targets.js'
import { commonTasks } from '../lib/tasks.js'
import { systemOf } from '../systems/index.js'
import { WorkerProcess } from '../lib/worker-process.js'

const system = 'ours-everysec'

export const tasks = {
  ...commonTasks,

  /** @param {{ folder: string, spawned: number, count: number }} args */
  async restore({ folder, spawned, count }) {
    const { store, close } = await systemOf(system).open({ folder })
    const ready = Date.now() - spawned
    const session = await store.get(sessionId(count - 1))
    const firstGet = Date.now() - spawned
    const sessions = await store.length()
    if (!session || sessions !== count) throw new Error(`${sessions} sessions came back`)
    await close()
    return { ready, firstGet }
  },
}

/** @param {import('../lib/context.js').Context} context */
export async function run(context) {
  const count = context.million
  const redis = await redisMillion(context)
  await redis?.save()
  /** @type {Record<string, number>[]} */
  const ours = []
  /** @type {Record<string, number>[]} */
  const theirs = []
  /** @type {string | undefined} */
  let failed
  try {
    const folder = context.only(system).length > 0 ? await ourMillion(context) : undefined
    for (let round = 0; round < context.size(3, 2); round++) {
      context.progress(`restore: round ${round + 1}`)
      if (folder) ours.push(await restore(folder, count))
      if (redis) theirs.push(await redis.load())
    }
  } catch (error) {
    failed = firstLine(error)
  }
  const mine = ours.length > 0 ? summarizeAll(ours) : undefined
  const its = theirs.length > 0 ? summarizeAll(theirs) : undefined
  return {
    title: `Restore, ${howMany(count)} sessions`,
    intro:
      'From the start of the process, the file in the page cache. What Redis says that its loading ' +
      'took leaves out the start of its process; ours never does.',
    tables: [
      {
        columns: ['', 'ours', 'Redis'],
        rows: [
          ['to ready', show(mine?.ready), `${show(its?.load)}, by its own log`],
          ['to the first answered get', show(mine?.firstGet), show(its?.firstGet)],
        ],
      },
    ],
    targets: [
      atMostTimes(
        'to ready() against Redis’s load',
        ratio(mine?.ready?.median, its?.load?.median),
        0.7,
      ),
    ],
    notes: failed ? [`Failed: ${failed}`] : [],
    charts: [
      {
        file: 'restore.svg',
        svg: barChart({
          title: `A restart with ${howMany(count)} sessions`,
          panels: [
            {
              title: 'from the start of the process to the first answered get',
              unit: milliseconds,
              bars: [
                { label: 'ours', figure: mine?.firstGet, ours: true },
                { label: 'Redis', figure: its?.firstGet },
              ],
            },
          ],
        }),
      },
    ],
  }
}

/** @param {import('../lib/summary.js').Figure} [figure] */
function show(figure) {
  return figure ? spread(figure, milliseconds) : '–'
}

/** @param {string} folder @param {number} count @returns {Promise<{ ready: number, firstGet: number }>} */
async function restore(folder, count) {
  const args = { folder, spawned: Date.now(), count }
  const worker = new WorkerProcess('restore', { cwd: folder, first: { task: 'restore', args } })
  try {
    return await worker.firstAnswer
  } finally {
    await worker.stop()
  }
}
