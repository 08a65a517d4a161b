/**
 * What most tables ask of a worker first: open a system, fill it, close it.
 */
import { cpSync } from 'node:fs'
import { systemOf } from '../systems/index.js'
import { drive } from './drive.js'
import { Pool } from './pool.js'
import { SessionSource, mix, sessionId } from './sessions.js'

const inFlight = 256
/** Few enough to lie in the processor's caches, as a session does that a request has just worked on. */
const atHand = 180

/**
 * @param {any} opened
 * @param {SessionSource} source
 * @param {number} from
 * @param {number} count
 */
export async function fill(opened, source, from, count) {
  await opened.beginFill?.()
  await drive(
    (n, done) => {
      const sid = sessionId(n)
      opened.store.set(sid, source.session(n, 0, sid), done)
    },
    { inFlight, from, count },
  )
  await opened.endFill?.()
  await opened.store.flush?.()
}

/**
 * Fills more quickly where it doesn't matter that values come again.
 * @param {any} store
 * @param {Pool} pool
 * @param {number} from
 * @param {number} count
 */
export async function fillFromPool(store, pool, from, count) {
  await drive((n, done) => store.set(sessionId(n), pool.session(n, 0), done), {
    inFlight,
    from,
    count,
  })
  await store.flush?.()
}

export const commonTasks = {
  /**
   * @param {{ system: string, place: import('../systems/index.js').Place, overrides?: any,
   *   from?: number, count?: number, poolOf?: number, fromPool?: boolean, restored?: string,
   *   shapes?: import('./sessions.js').Shape[] }} args `poolOf`: how many sessions are made
   *   beforehand, to be set; `fromPool`: fill with these only, again and again; `restored`: don't
   *   fill, start with a copy of that folder's files
   * @param {Record<string, any>} state gets `opened`, `store`, `source`, `count`, `pool`
   */
  async open(args, state) {
    const { system, place, overrides, from = 0, count = 0, fromPool = false, restored } = args
    if (restored) cpSync(restored, place.folder, { recursive: true })
    state.opened = await systemOf(system).open(place, overrides)
    state.store = state.opened.store
    state.store.on?.('error', (/** @type {unknown} */ error) => (state.failure ??= error))
    state.source = new SessionSource(args.shapes ?? mix())
    state.count = count
    state.pool = new Pool(state.source, args.poolOf ?? atHand)
    if (restored) {
      const length = await state.store.length()
      if (length !== count) throw new Error(`${length} sessions came back, not ${count}`)
      return
    }
    if (fromPool) await fillFromPool(state.store, state.pool, from, count)
    else await fill(state.opened, state.source, from, count)
    await state.opened.settle?.()
  },

  /** @param {unknown} _ @param {Record<string, any>} state */
  async close(_, state) {
    await state.opened.close()
  },
}
