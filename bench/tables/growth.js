/**
 * What a call costs, and what a second of persistence costs at a fixed rate of change, as the number
 * of sessions grows. Persistence is the difference to the same store kept in memory only.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { calls } from '../lib/calls.js'
import { barChart } from '../lib/charts.js'
import { drive } from '../lib/drive.js'
import { bytes, howMany, microseconds, milliseconds, spread } from '../lib/format.js'
import { bytesWritten } from '../lib/io.js'
import { alternate } from '../lib/rounds.js'
import { summarizeAll } from '../lib/summary.js'
import { atMostTimes, ratio } from '../lib/targets.js'
import { commonTasks } from '../lib/tasks.js'
import { startTraffic } from '../lib/traffic.js'
import { memoryOnly } from '../systems/ours.js'

const names = /** @type {const} */ (['get', 'set', 'touch'])
const changesPerSecond = 2000
/** Snapshots grow with the sessions and have a table of their own: none while this one measures. */
const overrides = { snapshotInterval: 3_600_000, journalMaxRatio: 1000 }
/** What a session takes while both processes are there, pages that the snapshot left included, bytes. */
const bytesEach = 2000

/**
 * @typedef {Record<string, import('../lib/summary.js').Figure>} Figures
 * @typedef {{ count: number, everysec: Figures, memory: Figures }} Row
 */

export const tasks = {
  ...commonTasks,

  /** @param {{ ms: number }} args @param {any} state */
  async warmUp({ ms }, state) {
    const warm = calls(state.store, state)
    for (const name of names) await drive(warm[name], { inFlight: 64, ms })
    await state.store.flush()
    await sleep(ms)
    state.warm = true
  },

  /** @param {{ ms: number, rateMs: number }} args @param {any} state */
  async round({ ms, rateMs }, state) {
    if (!state.warm) await tasks.warmUp({ ms }, state)
    const { store, count } = state
    const timed = calls(store, state)
    /** @type {Record<string, number>} */
    const cost = {}
    for (const name of names) {
      const { perSecond } = await drive(timed[name], { inFlight: 64, ms })
      cost[name] = 1e6 / perSecond
    }
    await store.flush()
    const options = { sessions: count, perSecond: changesPerSecond, changes: 1, pool: state.pool }
    const before = { bytes: bytesWritten(), cpu: process.cpuUsage() }
    const traffic = startTraffic(store, options)
    await sleep(rateMs)
    await traffic.stop()
    await store.flush()
    const cpu = process.cpuUsage(before.cpu)
    cost.cpu = (cpu.user + cpu.system) / rateMs
    cost.bytes = ((bytesWritten() - before.bytes) / rateMs) * 1000
    return cost
  },
}

/** @param {import('../lib/context.js').Context} context */
export async function run(context) {
  const counts = context.size([10_000, 100_000, 1_000_000, 4_000_000], [2_000, 20_000])
  const limits = context.size({ ms: 500, rateMs: 3000 }, { ms: 80, rateMs: 1200 })
  /** @type {Row[]} */
  const rows = []
  /** @type {string[]} */
  const notes = []
  for (const count of counts) {
    const room = roomFor(count)
    if (room) {
      notes.push(`**${howMany(count)} sessions were left out: ${room}.**`)
      context.progress(`growth: ${howMany(count)} sessions are left out: ${room}`)
      continue
    }
    context.progress(`growth: ${howMany(count)} sessions`)
    const outcomes = await alternate(context, {
      table: 'growth',
      // Filled once for each size: a new process every round would fill 4 M again and again. What
      // is measured begins when both are filled.
      together: true,
      systems: [...context.only('ours-everysec'), memoryOnly].map((system) => ({
        ...system,
        quick: false,
      })),
      rounds: context.size(2, 1),
      open: { count, fromPool: true, overrides },
      measure: (worker) => worker.call('round', limits),
    })
    for (const { failed } of outcomes) if (failed) notes.push(`${howMany(count)} failed: ${failed}`)
    const [everysec, memory] = outcomes.map(({ rounds }) =>
      rounds.length > 0 ? summarizeAll(rounds) : undefined,
    )
    if (everysec && memory) rows.push({ count, everysec, memory })
  }
  return section(rows, notes)
}

/** @param {number} count @returns {string | undefined} why it doesn't fit into memory */
function roomFor(count) {
  const needed = (count * bytesEach) / 2 ** 30
  const free = process.availableMemory() / 2 ** 30
  return free < needed
    ? `they need ${needed.toFixed(1)} GiB of memory, and ${free.toFixed(1)} are free`
    : undefined
}

/** @param {Row[]} rows @param {string[]} notes */
function section(rows, notes) {
  const first = rows[0]
  const last = rows.at(-1)
  return {
    title: 'Growth',
    intro:
      'Ours, everysec, 64 in flight. Persistence: written and processor time in a second with ' +
      `${changesPerSecond} changes, less what the same requests take in memory only.`,
    tables: [
      {
        columns: ['sessions', ...names, 'written in a second', 'processor time for it'],
        rows: rows.map(({ count, everysec, memory }) => [
          howMany(count),
          ...names.map((name) => spread(figure(everysec, name), microseconds)),
          spread(figure(everysec, 'bytes'), bytes),
          milliseconds(figure(everysec, 'cpu').median - figure(memory, 'cpu').median),
        ]),
      },
    ],
    targets:
      first && last && first !== last
        ? [
            ...names.map((name) => growthOf(`${name} at`, first, last, name, 2)),
            growthOf('written in a second at', first, last, 'bytes', 1.25),
          ]
        : [],
    notes: [
      ...notes,
      '“Nearly flat” is taken as: a call at most twice the time, the journal at most a quarter more.',
    ],
    charts: [chart(rows)],
  }
}

/** @param {string} what @param {Row} first @param {Row} last @param {string} key @param {number} most */
function growthOf(what, first, last, key, most) {
  return atMostTimes(
    `${what} ${howMany(last.count)} sessions against ${howMany(first.count)}`,
    ratio(figure(last.everysec, key).median, figure(first.everysec, key).median),
    most,
  )
}

/** @param {Row[]} rows */
function chart(rows) {
  return {
    file: 'growth.svg',
    svg: barChart({
      title: 'As the number of sessions grows',
      panels: [
        ...names.map((name) => ({ title: `one ${name}`, unit: microseconds, key: name })),
        {
          title: `written in a second with ${changesPerSecond} changes`,
          unit: bytes,
          key: 'bytes',
        },
      ].map(({ title, unit, key }) => ({
        title,
        unit,
        bars: rows.map(({ count, everysec }) => ({
          label: `${howMany(count)} sessions`,
          figure: figure(everysec, key),
          ours: true,
        })),
      })),
    }),
  }
}

/** @param {Figures} figures @param {string} key */
function figure(figures, key) {
  return /** @type {import('../lib/summary.js').Figure} */ (figures[key])
}
