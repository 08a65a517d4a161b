/**
 * What every table is handed: the systems that take part, how much to measure, a temporary folder,
 * and fixtures that several tables use, made when first asked for.
 */
import { clearLine, cursorTo } from 'node:readline'
import { minutes } from './format.js'
import { Temp } from './temp.js'

/** @typedef {import('../systems/index.js').System} System */

export class Context {
  temp = new Temp()
  /** @type {Map<string, Promise<any>>} */
  #fixtures = new Map()
  /** @type {(() => Promise<void>)[]} */
  #endings = []
  #started = Date.now()

  /** @param {{ systems: System[], quick: boolean }} options */
  constructor({ systems, quick }) {
    this.systems = systems
    this.quick = quick
    /** The big number of sessions, the same in every table that speaks of a million. */
    this.million = this.size(1_000_000, 20_000)
  }

  /** @template T @param {T} full @param {T} quick @returns {T} */
  size(full, quick) {
    return this.quick ? quick : full
  }

  /** @param {...string} ids @returns {System[]} those of them that take part */
  only(...ids) {
    return this.systems.filter(({ id }) => ids.includes(id))
  }

  /**
   * @template T
   * @param {string} name
   * @param {() => Promise<T>} make
   * @returns {Promise<T>}
   */
  fixture(name, make) {
    const made = this.#fixtures.get(name) ?? make()
    this.#fixtures.set(name, made)
    return made
  }

  /** @param {() => Promise<void>} ending what to undo at the end of the run */
  atEnd(ending) {
    this.#endings.push(ending)
  }

  /** @param {string} text a line that the next one replaces, on a terminal; in a log, with the time */
  progress(text) {
    if (process.stderr.isTTY) {
      clearLine(process.stderr, 0)
      cursorTo(process.stderr, 0)
      process.stderr.write(text.slice(0, process.stderr.columns - 1))
    } else process.stderr.write(`${minutes((Date.now() - this.#started) / 1000)}  ${text}\n`)
  }

  async end() {
    for (const ending of this.#endings.reverse()) await ending()
    this.temp.remove()
  }
}
