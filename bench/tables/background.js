/**
 * The longest stop of the event loop in everything that a store of a million sessions does besides
 * answering: prune, eviction, `clear`, `all`, journal writing, a snapshot's start and end, `close`.
 * Requests go on meanwhile, and the same time without the work is measured right after it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { whileBusy } from '../lib/busy.js'
import { barChart } from '../lib/charts.js'
import { watchLoop } from '../lib/delay.js'
import { drive } from '../lib/drive.js'
import { howMany, milliseconds, spread } from '../lib/format.js'
import { ourMillion } from '../lib/our-million.js'
import { alternate } from '../lib/rounds.js'
import { freshCookie, sessionId } from '../lib/sessions.js'
import { summarizeAll } from '../lib/summary.js'
import { atMost } from '../lib/targets.js'
import { commonTasks, fillFromPool } from '../lib/tasks.js'
import { startTraffic } from '../lib/traffic.js'

/** Sessions set a second while the journal is watched. */
const changesPerSecond = 20_000
const journalMs = 2500
/** For what warming up set off to be over, ms. */
const quiet = 1200

/** @typedef {{ store: any, opened: any, source: any, count: number, pool: import('../lib/pool.js').Pool }} State */
/** @typedef {[name: string, duration: number, longest: number, idle: number]} Measured */

export const tasks = {
  ...commonTasks,

  /** @param {unknown} _ @param {State} state @returns {Promise<Measured[]>} */
  async withoutLimit(_, state) {
    const { store } = state
    await warmUp(state)
    const measured = [
      await measure('prune, none expired', state, () => store.prune()),
      await measureJournal(state),
    ]
    const { ms, atStart, atEnd, idle } = await beside(state, () => store.snapshot())
    measured.push(
      ['snapshot, its start', ms, atStart, idle],
      ['snapshot, its end', ms, atEnd, idle],
    )
    measured.push(await measure('all', state, () => store.all()))
    measured.push(await measure('clear', state, () => store.clear()))
    return measured
  },

  /** @param {{ name: string, share: number, count: number }} args @param {State} state
   * @returns {Promise<Measured[]>} */
  async expired({ name, share, count }, state) {
    state.count = count
    await fillSoExpired(state, count * share)
    return [await measure(name, state, () => state.store.prune())]
  },

  /** @param {unknown} _ @param {State} state @returns {Promise<Measured[]>} */
  async withLimit(_, state) {
    const { store, count } = state
    await warmUp(state)
    const eviction = await measure('eviction', state, () => arrive(state, count, count / 10))
    const held = await store.length()
    if (held > count) throw new Error(`there are ${held} sessions in a store of ${count}`)
    const requests = startTraffic(store, {
      sessions: count / 2,
      perSecond: 2000,
      changes: 1,
      pool: state.pool,
    })
    await sleep(1800)
    await requests.stop()
    const { ms, longest } = await watchLoop(() => state.opened.close())
    const idle = await watchLoop(() => undefined, ms)
    return [eviction, ['close', ms, longest, idle.longest]]
  },
}

/**
 * A restored store has not set anything yet, and its code isn't compiled.
 * @param {State} state
 */
async function warmUp(state) {
  await fillFromPool(state.store, state.pool, 0, Math.min(state.count, 50_000))
  await whileBusy(state, () => sleep(quiet))
}

/** @param {State} state @param {() => Promise<unknown>} work */
async function beside(state, work) {
  const watched = await whileBusy(state, work)
  const { longest: idle } = await whileBusy(state, () => undefined, watched.ms)
  return { ...watched, idle }
}

/** @param {string} name @param {State} state @param {() => Promise<unknown>} work
 * @returns {Promise<Measured>} */
async function measure(name, state, work) {
  const { ms, longest, idle } = await beside(state, work)
  return [name, ms, longest, idle]
}

/** @param {State} state @returns {Promise<Measured>} */
async function measureJournal(state) {
  const { store, count } = state
  const options = { sessions: count, perSecond: changesPerSecond, changes: 1, pool: state.pool }
  const changes = startTraffic(store, options)
  const { longest } = await watchLoop(() => sleep(journalMs))
  await changes.stop()
  await store.flush()
  const { longest: idle } = await whileBusy(state, () => undefined, journalMs)
  return ['journal writing', journalMs, longest, idle]
}

/**
 * Fills a store with sessions of which some expire by the clock when all of them are there, which is
 * guessed from the others, or from a few that are cleared again.
 * @param {State} state @param {number} expiring
 */
async function fillSoExpired({ store, pool, count }, expiring) {
  const others = count - expiring
  const trial = others > 0 ? others : Math.ceil(count / 10)
  const start = Date.now()
  await fillFromPool(store, pool, expiring, trial)
  const each = (Date.now() - start) / trial
  if (others === 0) await store.clear()
  const end = Date.now() + 1000 + 1.5 * each * expiring
  const cookie = freshCookie(new Date(end))
  await drive((n, done) => store.set(sessionId(n), { ...pool.session(n, 0), cookie }, done), {
    inFlight: 64,
    count: expiring,
  })
  if (Date.now() > end) throw new Error('the first sessions expired while the last were set')
  await store.flush()
  await sleep(Math.max(quiet, end - Date.now() + 50))
}

/** New sessions at a steady rate, each of which pushes another out.
 * @param {State} state @param {number} from @param {number} count */
async function arrive({ store, pool }, from, count) {
  const perTick = 80
  for (let n = from; n < from + count; n += perTick) {
    for (let i = n; i < n + perTick; i++) {
      store.set(sessionId(i), pool.session(i, 0), () => undefined)
    }
    await sleep(3)
  }
}

/** @param {import('../lib/context.js').Context} context */
export async function run(context) {
  const count = context.million
  const overrides = { snapshotInterval: 3_600_000, checkPeriod: 0 }
  // What ends a million sessions has a process of its own.
  const plans = [
    { task: 'withoutLimit', overrides },
    { task: 'expired', args: { name: 'prune, half expired', share: 1 / 2 }, overrides },
    { task: 'expired', args: { name: 'prune, all expired', share: 1 }, overrides },
    { task: 'withLimit', overrides: { ...overrides, max: count } },
  ]
  const systems = context.only('ours-everysec')
  const restored = systems.length > 0 ? await ourMillion(context) : undefined
  /** @type {{ name: string, figures: Record<string, import('../lib/summary.js').Figure> }[]} */
  const rows = []
  /** @type {string[]} */
  const notes = []
  for (const { task, args, overrides } of plans) {
    const [ours] = await alternate(context, {
      table: 'background',
      systems,
      rounds: context.size(2, 1),
      open: args ? { count: 0, overrides } : { count, restored, overrides },
      measure: (worker) => worker.call(task, args && { ...args, count }),
    })
    if (ours?.failed) notes.push(`Ours failed: ${ours.failed}`)
    rows.push(...summarizeRows(/** @type {Measured[][]} */ (ours?.rounds ?? [])))
  }
  const figureOf = (/** @type {string} */ name) => rows.find((row) => row.name === name)?.figures
  return {
    title: `Background work, ${howMany(count)} sessions`,
    intro:
      'The longest stop of the event loop, with 2000 requests a second going on (none in `close`; ' +
      `${changesPerSecond} changes a second in journal writing).`,
    tables: [
      {
        columns: ['', 'took', 'longest stop', 'the same time without it', 'beyond that'],
        rows: rows.map(({ name, figures }) => [
          name,
          ...['duration', 'longest', 'idle', 'beyond'].map((key) =>
            spread(/** @type {any} */ (figures[key]), milliseconds),
          ),
        ]),
      },
    ],
    targets: [
      ...rows.map(({ name, figures }) =>
        atMost(`stop in ${name}`, figures.beyond?.median, 10, milliseconds),
      ),
      atMost('a clean stop in everysec', figureOf('close')?.duration?.median, 100, milliseconds),
    ],
    notes,
    charts: [
      {
        file: 'background.svg',
        svg: barChart({
          title: `Longest stop of the event loop, ${howMany(count)} sessions`,
          panels: [
            {
              title: 'beyond an idle run’s; the line is at 10 ms',
              unit: milliseconds,
              limit: 10,
              bars: rows.map(({ name, figures }) => ({
                label: name,
                figure: figures.beyond,
                ours: true,
              })),
            },
          ],
        }),
      },
    ],
  }
}

/** @param {Measured[][]} rounds */
function summarizeRows(rounds) {
  return (rounds[0] ?? []).map(([name], i) => ({
    name,
    figures: summarizeAll(
      rounds.map((round) => {
        const [, duration, longest, idle] = /** @type {Measured} */ (round[i])
        return { duration, longest, idle, beyond: Math.max(0, longest - idle) }
      }),
    ),
  }))
}
