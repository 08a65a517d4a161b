/**
 * A store in a process of its own, driven by calls, with books on what it was asked and what it
 * answered. Ends when it is told to, in either way, and is heard out to its last answer.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const SCRIPT = fileURLToPath(new URL('../../support/store-process.js', import.meta.url))

/** A running store. */
export class StoreProcess {
  /** Codes of the errors it told. @type {string[]} */
  errors = []
  /** When it told that it owns the files, or opened them as their owner; 0: it hasn't. */
  ownerSince = 0
  /** When each snapshot it told of was finished. @type {number[]} */
  snapshots = []
  /** Whether it has finished a snapshot since it took over from another. */
  merged = false
  killedAt = Infinity
  /** The first signal it was sent. @type {string | undefined} */
  endedBy = undefined
  #child
  #calls = 0
  #waiting = new Map()
  #ended

  /** Resolves with a process whose store is ready. */
  static async start(options) {
    const one = new StoreProcess(options)
    await one.call('ready')
    if ((await one.role()) === 'owner') one.ownerSince ||= Date.now()
    return one
  }

  constructor(options) {
    this.#child = fork(SCRIPT, [JSON.stringify(options)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.stderr = ''
    this.#child.stderr.on('data', (data) => (this.stderr += data))
    this.#child.on('message', (message) => this.#hear(message))
    // What it said before it died arrives before the channel closes.
    const gone = new Promise((resolve) => this.#child.once('disconnect', resolve))
    const exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve({ code, signal }))
    })
    this.#ended = Promise.all([exited, gone]).then(([how]) => {
      for (const { reject } of this.#waiting.values()) reject(new Error('The process has ended'))
      this.#waiting.clear()
      return how
    })
  }

  get pid() {
    return this.#child.pid
  }

  /** Whether nobody has told it to end. */
  get running() {
    return this.killedAt === Infinity
  }

  /** Calls a method of the store; rejects with its error, or when the process ends first. */
  call(method, ...args) {
    const id = ++this.#calls
    return new Promise((resolve, reject) => {
      if (!this.#child.connected) return reject(new Error('The process has ended'))
      this.#waiting.set(id, { resolve, reject })
      this.#child.send({ id, method, args }, (error) => {
        if (error) reject(new Error('The process has ended'))
      })
    })
  }

  async role() {
    return (await this.call('stats')).ownership?.role
  }

  /** Sends a signal. */
  signal(signal) {
    if (this.running) {
      this.killedAt = Date.now()
      this.endedBy = signal
    }
    this.#child.kill(signal)
  }

  /** Resolves with how it ended, when all it said has been heard. */
  ended() {
    return this.#ended
  }

  async end(signal) {
    this.signal(signal)
    return this.#ended
  }

  #hear({ id, value, error, event, payload }) {
    if (event === 'error') this.errors.push(payload.code)
    if (event === 'owner') this.ownerSince ||= Date.now()
    if (event === 'snapshot') {
      this.snapshots.push(Date.now())
      this.merged ||= this.ownerSince > 0
    }
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error) waiting?.reject(Object.assign(new Error(error.message), { code: error.code }))
    else waiting?.resolve(value)
  }
}
