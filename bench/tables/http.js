/**
 * An Express app with express-session under autocannon: requests a second and their 99th percentile,
 * at rest and while a million sessions are snapshotted, beside the same app with MemoryStore. Server
 * and load each have a core to themselves. One request in ten changes its session.
 */
import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { barChart } from '../lib/charts.js'
import { howMany, milliseconds, perSecond, spread, times } from '../lib/format.js'
import { listen, load } from '../lib/http.js'
import { alternate } from '../lib/rounds.js'
import { summarizeAll } from '../lib/summary.js'
import { atLeastTimes, atMost, ratio } from '../lib/targets.js'
import { commonTasks } from '../lib/tasks.js'
import { WorkerProcess } from '../lib/worker-process.js'

const ours = 'ours-everysec'
const theirs = 'memory-store'
/** @type {WeakSet<WorkerProcess>} */
const warm = new WeakSet()

/** @typedef {Record<string, import('../lib/summary.js').Figure>} Figures */
/** @typedef {{ id: string, label: string, figures: Figures }} Row */

export const tasks = {
  ...commonTasks,
  load,

  /** @param {unknown} _ @param {Record<string, any>} state */
  async listen(_, state) {
    state.port ??= await listen(state.store)
    return state.port
  },

  /** Snapshots without a pause. @param {unknown} _ @param {Record<string, any>} state */
  startSnapshots(_, state) {
    state.snapshotting = true
    state.snapshots = (async () => {
      let taken = 0
      for (; state.snapshotting; taken++) await state.store.snapshot()
      return taken
    })()
  },

  /** @param {unknown} _ @param {Record<string, any>} state */
  stopSnapshots(_, state) {
    state.snapshotting = false
    return state.snapshots
  },
}

/** @param {import('../lib/context.js').Context} context */
export async function run(context) {
  const counts = context.size([10_000, context.million], [context.million])
  const cores = pinning()
  const loader = new WorkerProcess('http', { cwd: context.temp.folder('load'), core: cores?.load })
  /** @type {{ count: number, rows: Row[] }[]} */
  const sizes = []
  /** @type {string[]} */
  const notes = cores ? [] : ['taskset is missing or there is one core only: nothing was pinned.']
  try {
    for (const count of counts) {
      const outcomes = await alternate(context, {
        table: 'http',
        systems: context.only(ours, theirs).map((system) => ({ ...system, quick: false })),
        rounds: context.size(3, 1),
        open: { count, fromPool: true },
        core: cores?.server,
        measure: (worker, system) => measure(context, { worker, loader, system, count }),
      })
      for (const { system, failed } of outcomes) {
        if (failed) notes.push(`${system.label} failed: ${failed}`)
      }
      sizes.push({ count, rows: outcomes.flatMap(rowsOf) })
    }
  } finally {
    await loader.stop()
  }
  return section(sizes, notes)
}

/** @returns {{ server: number, load: number } | undefined} */
function pinning() {
  if (availableParallelism() < 2) return undefined
  try {
    execFileSync('taskset', ['--version'])
    return { server: 0, load: 1 }
  } catch {
    return undefined
  }
}

/**
 * @param {import('../lib/context.js').Context} context
 * @param {{ worker: WorkerProcess, loader: WorkerProcess, system: import('../systems/index.js').System,
 *   count: number }} seat
 */
async function measure(context, { worker, loader, system, count }) {
  const port = await worker.call('listen')
  const run = (/** @type {number} */ seconds) => loader.call('load', { port, count, seconds })
  const seconds = context.size(5, 1.5)
  // A process that was measured before needs only its connections.
  await run(warm.has(worker) ? 1 : 2)
  warm.add(worker)
  const idle = await run(seconds)
  if (!system.ours) return { rate: idle.rate, p99: idle.p99 }
  await worker.call('startSnapshots')
  const during = await run(seconds)
  const snapshots = await worker.call('stopSnapshots')
  if (snapshots === 0) throw new Error('no snapshot was taken under load')
  return { rate: idle.rate, p99: idle.p99, rateDuring: during.rate, p99During: during.p99 }
}

/** @param {import('../lib/rounds.js').Outcome} outcome @returns {Row[]} */
function rowsOf({ system, rounds }) {
  if (rounds.length === 0) return []
  const { rate, p99, rateDuring, p99During } = /** @type {any} */ (summarizeAll(rounds))
  const label = system.ours ? 'ours, everysec' : system.label
  /** @type {Row[]} */
  const rows = [{ id: system.id, label, figures: { rate, p99 } }]
  if (rateDuring) {
    const figures = { rate: rateDuring, p99: p99During }
    rows.push({ id: 'during', label: 'ours, snapshotting', figures })
  }
  return rows
}

/** @param {{ count: number, rows: Row[] }[]} sizes @param {string[]} notes */
function section(sizes, notes) {
  return {
    title: 'HTTP',
    intro:
      'Express 5, express-session, 50 connections that wait for their answers, so that the server is ' +
      'never at rest; × is the ratio to MemoryStore.',
    tables: sizes.map(({ count, rows }) => ({
      caption: `${howMany(count)} sessions`,
      columns: ['', 'requests', '99th percentile'],
      rows: rows.map(({ id, label, figures }) => {
        const share = ratio(figures.rate?.median, median(rows, theirs, 'rate'))
        const against = share === undefined || id === theirs ? '' : `, ${times(share)}`
        return [label, show(figures.rate, perSecond) + against, show(figures.p99, milliseconds)]
      }),
    })),
    targets: sizes.flatMap(({ count, rows }) => [
      withinNoise(rows, count),
      atMost(
        `99th percentile during a snapshot, above idle, ${howMany(count)} sessions`,
        difference(median(rows, 'during', 'p99'), median(rows, ours, 'p99')),
        10,
        milliseconds,
      ),
    ]),
    notes,
    charts: [
      {
        file: 'http.svg',
        svg: barChart({
          title: 'Express and express-session under load',
          panels: sizes.flatMap(({ count, rows }) => [
            panel(`requests a second, ${howMany(count)} sessions`, rows, 'rate', perSecond),
            panel(`99th percentile, ${howMany(count)} sessions`, rows, 'p99', milliseconds),
          ]),
        }),
      },
    ],
  }
}

/**
 * Not below MemoryStore by more than its own rounds differ.
 * @param {Row[]} rows
 * @param {number} count
 */
function withinNoise(rows, count) {
  const mine = rows.find(({ id }) => id === ours)?.figures.rate
  const its = rows.find(({ id }) => id === theirs)?.figures.rate
  const noise = its ? (its.max - its.min) / its.median : 0
  const what = `requests against MemoryStore’s, whose rounds differ by ${(noise * 100).toFixed(0)} %`
  return atLeastTimes(
    `${what}, ${howMany(count)} sessions`,
    ratio(mine?.median, its?.median),
    Math.min(1, 1 - noise),
  )
}

/** @param {Row[]} rows @param {string} id @param {string} key */
function median(rows, id, key) {
  return rows.find((row) => row.id === id)?.figures[key]?.median
}

/** @param {number | undefined} a @param {number | undefined} b */
function difference(a, b) {
  return a === undefined || b === undefined ? undefined : a - b
}

/** @param {import('../lib/summary.js').Figure | undefined} figure @param {import('../lib/format.js').Unit} unit */
function show(figure, unit) {
  return figure ? spread(figure, unit) : '–'
}

/** @param {string} title @param {Row[]} rows @param {string} key @param {import('../lib/format.js').Unit} unit */
function panel(title, rows, key, unit) {
  return {
    title,
    unit,
    bars: rows.map(({ id, label, figures }) => ({
      label,
      figure: figures[key],
      ours: id !== theirs,
    })),
  }
}
