/**
 * The bench's end of a worker: starts it, calls its tasks one after another, ends it. A worker that
 * dies fails the call on its way.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('./worker.js', import.meta.url))
const heap = Math.floor(Math.min(12_288, (totalmem() / 2 ** 20) * 0.6))

/** @typedef {{ resolve: (value: any) => void, reject: (error: Error) => void }} Pending */

export class WorkerProcess {
  /** @type {Map<number, Pending>} */
  #pending = new Map()
  #count = 0
  #table
  #child
  #stderr = ''

  /**
   * @param {string} table whose tasks it runs
   * @param {{ first?: { task: string, args: any }, core?: number, cwd: string }} options `first`: a
   *   call that doesn't wait for the worker to be up; `core`: pin it there
   */
  constructor(table, { first, core, cwd }) {
    this.#table = table
    const pin = core === undefined ? {} : { execPath: 'taskset' }
    const node = ['--expose-gc', `--max-old-space-size=${heap}`, '--no-warnings']
    const execArgv = core === undefined ? node : ['-c', String(core), process.execPath, ...node]
    const argv = first ? [JSON.stringify({ id: ++this.#count, table, ...first })] : []
    this.#child = fork(script, argv, {
      ...pin,
      execArgv,
      cwd,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.firstAnswer = first && this.#answerTo(this.#count)
    this.#child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.#stderr = (this.#stderr + text).slice(-4000)
    })
    this.#child.on('message', (message) => this.#answered(/** @type {any} */ (message)))
    this.#child.once('exit', (code, signal) => {
      const reason = reasonOf(this.#stderr) ?? `it ended with ${signal ?? code}`
      for (const { reject } of this.#pending.values()) reject(new Error(reason))
      this.#pending.clear()
    })
  }

  /** @param {string} task @param {any} [args] @returns {Promise<any>} */
  call(task, args) {
    const id = ++this.#count
    const answer = this.#answerTo(id)
    this.#child.send({ id, table: this.#table, task, args }, (error) => {
      if (error) this.#answered({ id, error: error.message })
    })
    return answer
  }

  /** @param {number} id @returns {Promise<any>} */
  #answerTo(id) {
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }))
  }

  /** @param {{ id: number, result?: any, error?: string }} message */
  #answered({ id, result, error }) {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    if (error === undefined) pending?.resolve(result)
    else pending?.reject(new Error(error))
  }

  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }
}

/** @param {string} stderr @returns {string | undefined} the line that says what went wrong */
function reasonOf(stderr) {
  return /^.*(?:Error|FATAL).*$/m.exec(stderr)?.[0]
}
