/**
 * Several rounds over several systems, alternating: every round goes through all of them, each time
 * beginning with another, so that whatever else the machine does hits all alike. A system that is
 * quick to fill gets a new process every round (not in a quick run), the others keep theirs, idle in
 * between. One that fails is named with its reason and left out of the rounds that follow.
 */
import { WorkerProcess } from './worker-process.js'

/**
 * @typedef {import('../systems/index.js').System} System
 * @typedef {import('./context.js').Context} Context
 *
 * @typedef {object} Outcome
 * @property {System} system
 * @property {any[]} rounds what `measure` returned
 * @property {string} [failed]
 */

/**
 * @param {Context} context
 * @param {object} plan
 * @param {string} plan.table whose tasks the workers run
 * @param {System[]} plan.systems
 * @param {number} plan.rounds
 * @param {any} plan.open arguments of the task `open`, besides the system and its place
 * @param {number} [plan.core] the core to pin the workers to
 * @param {boolean} [plan.together] fill all at once, a core each, before the first is measured
 * @param {(worker: WorkerProcess, system: System) => Promise<any>} plan.measure
 * @returns {Promise<Outcome[]>}
 */
export async function alternate(context, plan) {
  const { table, systems, rounds, open, core, together, measure } = plan
  const seats = systems.map((system) => new Seat(context, { table, system, open, core }))
  try {
    if (together) await Promise.all(seats.map((seat) => seat.prepare()))
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < seats.length; i++) {
        const seat = /** @type {Seat} */ (seats[(i + round) % seats.length])
        context.progress(`${table}: round ${round + 1} of ${rounds}, ${seat.system.label}`)
        await seat.play(measure)
      }
    }
  } finally {
    for (const seat of seats) await seat.leave()
  }
  return seats
}

/** One system's place at the table. @implements {Outcome} */
class Seat {
  /** @type {any[]} */
  rounds = []
  /** @type {string | undefined} */
  failed
  /** @type {WorkerProcess | undefined} */
  #worker
  /** @type {import('./redis-server.js').RedisServer | undefined} */
  #host

  /**
   * @param {Context} context
   * @param {{ table: string, system: System, open: any, core: number | undefined }} plan
   */
  constructor(context, { table, system, open, core }) {
    this.context = context
    this.table = table
    this.system = system
    this.open = open
    this.core = core
  }

  async prepare() {
    if (this.failed) return
    try {
      this.#worker ??= await this.#sitDown()
    } catch (error) {
      this.#fail(error)
    }
  }

  /** @param {(worker: WorkerProcess, system: System) => Promise<any>} measure */
  async play(measure) {
    await this.prepare()
    try {
      if (this.#worker) this.rounds.push(await measure(this.#worker, this.system))
    } catch (error) {
      this.#fail(error)
    }
    const renewed = this.system.quick && !this.context.quick
    if (renewed || this.failed) await this.leave()
  }

  /** @param {unknown} error */
  #fail(error) {
    this.failed = firstLine(error)
    this.context.progress(`${this.table}: ${this.system.label} failed: ${this.failed}`)
  }

  async #sitDown() {
    const folder = this.context.temp.folder(this.system.id)
    this.#host = await this.system.host?.(folder)
    const worker = new WorkerProcess(this.table, { cwd: folder, core: this.core })
    const place = { folder, port: this.#host?.port }
    await worker
      .call('open', { system: this.system.id, place, ...this.open })
      .catch(async (error) => {
        await worker.stop()
        throw error
      })
    return worker
  }

  async leave() {
    await this.#worker?.stop()
    await this.#host?.stop()
    this.#worker = this.#host = undefined
  }
}

/** @param {unknown} error */
export function firstLine(error) {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n')[0]?.slice(0, 160)
}
