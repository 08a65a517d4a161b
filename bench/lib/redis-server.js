/**
 * A redis-server of the bench's own: a free port on loopback, its files in a folder of the bench's,
 * no snapshots of its own accord, ended by `stop()` or, at the latest, when the bench's process ends.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** @type {string | undefined} */
let found

/** @returns {string} empty if there is none */
export function redisServerVersion() {
  try {
    found ??= /v=(\S+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1]
    return `Redis ${found}`
  } catch {
    return ''
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  server.close()
  await once(server, 'close')
  return port
}

export class RedisServer {
  /** @type {import('node:child_process').ChildProcess} */
  #process
  #kill = () => void this.#process.kill('SIGKILL')

  /** @param {string} folder @param {number} port @param {string[]} options */
  constructor(folder, port, options) {
    this.folder = folder
    this.port = port
    const log = join(folder, 'redis.log')
    const own = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', '']
    this.#process = spawn('redis-server', [...own, '--logfile', log, ...options], {
      stdio: 'ignore',
    })
    process.once('exit', this.#kill)
  }

  /** @param {string} folder @param {string[]} options @returns {Promise<RedisServer>} */
  static async start(folder, options) {
    const server = new RedisServer(folder, await freePort(), options)
    await server.command('PING', '+PONG')
    return server
  }

  /**
   * Sends one inline command again and again until the answer begins as it should.
   * @param {string} command @param {string} expected @param {number} [patience] ms
   * @returns {Promise<string>} the answer
   */
  async command(command, expected, patience = 120_000) {
    const deadline = Date.now() + patience
    for (;;) {
      const answer = await ask(this.port, command)
      if (answer.startsWith(expected)) return answer
      if (this.#process.exitCode !== null) throw new Error('redis-server has ended: ' + this.log())
      if (Date.now() > deadline) throw new Error(`redis-server answers ${command} with ${answer}`)
      await sleep(2)
    }
  }

  /** @returns {Promise<number>} bytes */
  async usedMemory() {
    return Number(/used_memory:(\d+)/.exec(await this.command('INFO memory', '$'))?.[1])
  }

  log() {
    return readFileSync(join(this.folder, 'redis.log'), 'utf8')
  }

  async stop() {
    process.off('exit', this.#kill)
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await ended
  }
}

/** @param {number} port @param {string} command @returns {Promise<string>} empty if it can't be reached */
function ask(port, command) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    socket.setEncoding('utf8')
    socket.once('connect', () => socket.write(`${command}\r\n`))
    socket.on('data', (text) => {
      answer += text
      if (complete(answer)) {
        socket.destroy()
        resolve(answer)
      }
    })
    socket.once('error', () => resolve(answer))
    socket.once('close', () => resolve(answer))
  })
}

/** @param {string} answer a simple reply, or a bulk reply with all of its bytes */
function complete(answer) {
  const end = answer.indexOf('\r\n')
  if (end < 0) return false
  if (!answer.startsWith('$')) return true
  const length = Number(answer.slice(1, end))
  return length < 0 || Buffer.byteLength(answer) >= end + 2 + length + 2
}
