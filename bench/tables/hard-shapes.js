/**
 * Sessions that are hard to keep small and quick: keys that never repeat, 12 KB each, text beyond
 * ASCII, one shape that changes all the time, and the payload `large-report` by itself. Ours beside
 * memorystore.
 */
import { callNames, calls, rates } from '../lib/calls.js'
import { barChart } from '../lib/charts.js'
import { drive } from '../lib/drive.js'
import { perSecond, spread, times } from '../lib/format.js'
import { hardShapes } from '../lib/hard-shapes.js'
import { alternate } from '../lib/rounds.js'
import { summarizeAll } from '../lib/summary.js'
import { atLeastTimes, ratio } from '../lib/targets.js'
import { commonTasks } from '../lib/tasks.js'

const inFlight = 64
const ours = 'ours-everysec'
const theirs = 'memorystore'

/** @typedef {keyof typeof hardShapes} ShapeName */
/** @typedef {Record<string, import('../lib/summary.js').Figure>} Figures */

export const tasks = {
  ...commonTasks,

  /** @param {any} args @param {Record<string, any>} state */
  async open({ shape, ...args }, state) {
    const { shapes } = hardShapes[/** @type {ShapeName} */ (shape)]
    await commonTasks.open({ ...args, shapes: shapes() }, state)
  },

  /** @param {{ ms: number }} args @param {Record<string, any>} state */
  async round({ ms }, state) {
    const timed = calls(state.store, { count: state.count, pool: state.pool })
    for (const name of callNames) await drive(timed[name], { inFlight, ms: ms / 2 })
    return rates(state.store, timed, { inFlight, ms })
  },
}

/** @param {import('../lib/context.js').Context} context */
export async function run(context) {
  const rounds = context.size(3, 1)
  /** @type {{ label: string, figures: Map<string, Figures> }[]} */
  const measured = []
  /** @type {string[]} */
  const notes = []
  for (const [shape, { label, count }] of Object.entries(hardShapes)) {
    const outcomes = await alternate(context, {
      table: 'hard-shapes',
      systems: context.only(ours, theirs),
      rounds,
      open: {
        shape,
        // So many that shapes which are hard to learn stay so.
        poolOf: context.size(4500, 200),
        fromPool: context.quick,
        count: context.size(count, count / 20),
      },
      measure: (worker) => worker.call('round', { ms: context.size(500, 60) }),
    })
    const figures = new Map()
    for (const { system, rounds: results, failed } of outcomes) {
      if (results.length > 0) figures.set(system.id, summarizeAll(results))
      if (failed) notes.push(`${label}, ${system.label} failed: ${failed}`)
    }
    measured.push({ label, figures })
  }
  return section(measured, notes)
}

/** @param {{ label: string, figures: Map<string, Figures> }[]} measured @param {string[]} notes */
function section(measured, notes) {
  return {
    title: 'Hard shapes',
    intro: `Calls a second, ${inFlight} in flight; × is the ratio of ours, everysec, to memorystore.`,
    tables: [
      {
        columns: ['', '', ...callNames],
        rows: measured.flatMap(({ label, figures }) =>
          [ours, theirs].map((id) => [
            label,
            id === ours ? 'ours' : id,
            ...callNames.map((name) => cell(figures, id, name)),
          ]),
        ),
      },
    ],
    targets: measured.flatMap(({ label, figures }) =>
      callNames.map((name) => atLeastTimes(`${name}, ${label}`, share(figures, name), 1)),
    ),
    notes,
    charts: [
      {
        file: 'hard-shapes.svg',
        svg: barChart({
          title: 'Hard shapes: ours against memorystore (the line: as fast)',
          panels: callNames.map((name) => ({
            title: name,
            unit: times,
            limit: 1,
            bars: measured.map(({ label, figures }) => {
              const value = share(figures, name)
              const figure =
                value === undefined ? undefined : { median: value, min: value, max: value }
              return { label, figure, ours: true }
            }),
          })),
        }),
      },
    ],
  }
}

/** @param {Map<string, Figures>} figures @param {string} name */
function share(figures, name) {
  return ratio(figures.get(ours)?.[name]?.median, figures.get(theirs)?.[name]?.median)
}

/** @param {Map<string, Figures>} figures @param {string} id @param {string} name */
function cell(figures, id, name) {
  const figure = figures.get(id)?.[name]
  const value = share(figures, name)
  if (!figure) return '–'
  return spread(figure, perSecond) + (id === ours && value !== undefined ? `, ${times(value)}` : '')
}
