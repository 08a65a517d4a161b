/**
 * A Redis with the big number of sessions in it, filled once through connect-redis: its used_memory,
 * its `SAVE`, the size of its RDB, and how long another server takes to load that. Memory, snapshot
 * and restore are measured against it.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { RedisServer } from './redis-server.js'
import { sessionId } from './sessions.js'
import { WorkerProcess } from './worker-process.js'

const system = 'connect-redis-everysec'

/** @typedef {Awaited<ReturnType<typeof make>>} RedisMillion */

/**
 * @param {import('./context.js').Context} context
 * @returns {Promise<RedisMillion | undefined>} undefined where Redis is missing
 */
export async function redisMillion(context) {
  if (context.only(system).length === 0) return undefined
  return context.fixture('redis', () => make(context))
}

/** @param {import('../systems/index.js').Place} place @param {number} from @param {number} count */
async function fillHalf(place, from, count) {
  const worker = new WorkerProcess('memory', { cwd: place.folder })
  try {
    await worker.call('open', { system, place, from, count })
  } finally {
    await worker.stop()
  }
}

/** @param {import('./context.js').Context} context */
async function make(context) {
  const count = context.million
  context.progress(`filling Redis with ${count} sessions`)
  const folder = context.temp.folder('redis')
  const server = await RedisServer.start(folder, ['--appendonly', 'no'])
  context.atEnd(() => server.stop())
  const empty = await server.usedMemory()
  const place = { folder, port: server.port }
  // Two at once: the client takes longer than the server.
  await Promise.all([fillHalf(place, 0, count / 2), fillHalf(place, count / 2, count / 2)])
  // The client's buffers go with its connection.
  const used = (await server.usedMemory()) - empty
  return { count, server, bytesPerSession: used / count, save, load }

  /** @returns {Promise<{ ms: number, bytes: number }>} a `SAVE`, which holds the server up */
  async function save() {
    const start = performance.now()
    await server.command('SAVE', '+OK')
    return { ms: performance.now() - start, bytes: statSync(join(folder, 'dump.rdb')).size }
  }

  /**
   * Starts a second server over the RDB.
   * @returns {Promise<{ load: number, firstGet: number }>} ms: what its log says the loading took,
   *   and from the start of the process to the first answered GET
   */
  async function load() {
    const start = performance.now()
    const other = await RedisServer.start(folder, ['--appendonly', 'no'])
    await other.command(`GET sess:${sessionId(0)}`, '$')
    const firstGet = performance.now() - start
    await other.stop()
    const log =
      other
        .log()
        .match(/DB loaded from disk: ([\d.]+) seconds/g)
        ?.at(-1) ?? ''
    return { load: Number(/[\d.]+/.exec(log)?.[0]) * 1000, firstGet }
  }
}
