/**
 * The systems that are measured, in the order of the tables. Each is a module of its own with the
 * same face:
 *
 * - `id`, `label`, `version()`; `ours`, `durable` (an acknowledged `set` survives a power cut),
 *   `quick` (filling it takes seconds, so that every round gets a new process)
 * - `missing()`: why it can't take part on this machine, or undefined
 * - `host(folder)`: what has to run beside it (a Redis server), started by the bench's own process
 * - `open(place, overrides)`: in the process of its own, the store as its README sets it up
 */
import * as connectLoki from './connect-loki.js'
import { always, everysec, memoryOnly, snapshot } from './ours.js'
import * as memoryStore from './memory-store.js'
import * as memorystore from './memorystore.js'
import * as nothing from './nothing.js'
import { redisAlways, redisEverysec } from './connect-redis.js'
import * as sessionFileStore from './session-file-store.js'
import * as sqlite from './better-sqlite3.js'

/**
 * @typedef {object} Place where a system keeps its files, and where its host listens
 * @property {string} folder
 * @property {number} [port]
 *
 * @typedef {object} Opened
 * @property {any} store
 * @property {() => Promise<unknown> | unknown} close
 * @property {() => unknown} [beginFill] filling isn't measured, and may be made quicker than `set` is
 * @property {() => unknown} [endFill]
 * @property {() => Promise<unknown>} [settle] writes what filling has left for later
 *
 * @typedef {object} System
 * @property {string} id
 * @property {string} label
 * @property {boolean} [ours]
 * @property {boolean} [durable]
 * @property {boolean} [quick]
 * @property {() => string} version
 * @property {() => Promise<string | undefined>} missing
 * @property {(folder: string) => Promise<import('../lib/redis-server.js').RedisServer>} [host]
 * @property {(place: Place, overrides?: any) => Promise<Opened>} open
 */

/** @type {System[]} */
export const systems = [
  snapshot,
  everysec,
  always,
  memoryStore,
  memorystore,
  connectLoki,
  sessionFileStore,
  sqlite,
  redisEverysec,
  redisAlways,
]

/** @param {string} id @returns {System} */
export function systemOf(id) {
  const system = [...systems, memoryOnly, nothing].find((candidate) => candidate.id === id)
  if (!system) throw new Error(`no system is called ${id}`)
  return system
}
