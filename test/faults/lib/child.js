/**
 * Starts victims and keeps the books of what they were told: the history that is the oracle.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const VICTIM = fileURLToPath(new URL('victim.js', import.meta.url))

/**
 * @typedef {object} VictimConfig
 * @property {object} options of the store
 * @property {string[]} sids
 * @property {number} life of each session, ms
 * @property {number} bytes of padding a session
 * @property {number} writers at the same time; 0: only look
 * @property {number} operations each
 * @property {number} base versions start behind it
 * @property {number} seed
 */

/** A running victim. */
export class Victim {
  /** What it restored, `[sid, version, expires]`; undefined before it has. */
  served = undefined
  /** Why it could not open. */
  refused = undefined
  /** Codes its store told. @type {string[]} */
  errors = []
  done = false
  /** Files it is about to touch. @type {string[] | undefined} */
  paths = undefined
  /** Steps after which a session was not served. @type {string[]} */
  unserved = []
  #process
  #history
  #begun = new Map()
  #waiting = []
  #killedAt = Infinity
  #adopted = false
  /** Called once with what was restored in {@link served}. */
  onRestored = () => undefined
  stderr = ''

  /**
   * @param {VictimConfig} config
   * @param {import('./history.js').History} history
   * @param {{ command?: string[], env?: object, script?: string }} [how] what to run, and under which command
   */
  constructor(config, history, { command = [], env = {}, script = VICTIM, ...spawning } = {}) {
    this.#history = history
    const line = [...command, process.execPath, script, JSON.stringify(config)]
    this.#process = spawn(line[0], line.slice(1), {
      ...spawning,
      env: { ...process.env, ...env },
      stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
    })
    this.#process.stderr.on('data', (data) => (this.stderr += data))
    const lines = createInterface({ input: this.#process.stdio[3] })
    lines.on('line', (text) => this.#hear(text))
    /** Resolves with how it ended when all it said has been heard. */
    this.ended = new Promise((resolve) => {
      this.#process.on('close', (code, signal) => {
        this.#wake()
        resolve({ code, signal })
      })
    })
  }

  get pid() {
    return this.#process.pid
  }

  get killedAt() {
    return this.#killedAt
  }

  /** Resolves when it has restored its sessions, can't, or has ended. */
  restored() {
    return this.until(() => this.served ?? this.refused)
  }

  /** Resolves when `holds`, or it has ended. */
  async until(holds) {
    const closed = this.ended.then(() => true)
    while (!holds()) {
      if (await Promise.race([closed, new Promise((resolve) => this.#waiting.push(resolve))])) break
    }
  }

  /** Lets one that waits go on. */
  go() {
    this.#process.stdin.on('error', () => undefined)
    this.#process.stdin.write('go\n')
  }

  kill(signal = 'SIGKILL') {
    this.#killedAt = Date.now()
    this.#process.kill(signal)
  }

  #hear(line) {
    const [kind, ...rest] = line.split(' ')
    if (kind === 'R') this.served = JSON.parse(line.slice(2))
    else if (kind === 'X') this.refused = rest[0]
    else if (kind === '!') this.errors.push(rest.join(' '))
    else if (kind === 'D') this.done = true
    else if (kind === 'P') this.paths = JSON.parse(line.slice(2))
    else if (kind === 'W') this.unserved.push(rest[0])
    else if (kind === 'B') this.#begin(...rest)
    else if (kind === 'A') this.#answer(Number(rest[0]), Number(rest[1]))
    this.#wake()
  }

  #begin(id, kind, sid, version, at, expires) {
    const history = this.#history
    if (kind === 'snapshot' || kind === 'flush') this.#begun.set(Number(id), history.mark)
    else {
      this.adopt()
      this.#begun.set(
        Number(id),
        history.note(kind, sid, Number(version), Number(at), Number(expires)),
      )
    }
  }

  #answer(id, at) {
    const begun = this.#begun.get(id)
    if (typeof begun === 'number') this.#history.flushed(begun)
    else this.#history.acknowledge(begun, at)
  }

  /** Lets what was restored be checked, before anything else is noted. */
  adopt() {
    if (this.#adopted) return
    this.#adopted = true
    this.onRestored()
  }

  #wake() {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve(false)
  }
}

/** Checks what a victim restored, and lets the history go on from there. */
export function checkRestored(tally, what, victim, history, durable) {
  const served = new Map(
    victim.served.map(([sid, version, expires]) => [sid, { version, expires }]),
  )
  const known = new Set(history.sids)
  for (const sid of served.keys()) {
    if (!known.has(sid)) tally.fail('wrong', `${what}: serves a session that never was`)
  }
  const of = (sid) => served.get(sid) ?? { version: -1, expires: 0 }
  history.check(tally, what, durable, of)
  history.restart(of)
}
