/**
 * A process and its files, looked at every so often, and whether they grew: the last third of the
 * samples against the middle one. The first third is for warming up.
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'

/**
 * @typedef {object} Sample
 * @property {number} seconds
 * @property {number} heap bytes
 * @property {number} resident bytes
 * @property {number} external bytes
 * @property {number} fileBytes
 * @property {number} files
 * @property {number} descriptors NaN where the system doesn't list them
 * @property {number} sessions
 * @property {number} longestStop ms since the sample before
 */

export class Sampler {
  /** @type {Sample[]} */
  #samples = []
  #start = performance.now()
  #delay = monitorEventLoopDelay({ resolution: 1 })
  #timer

  /** @param {string} folder whose files @param {any} store @param {number} every ms */
  constructor(folder, store, every) {
    this.folder = folder
    this.store = store
    this.#delay.enable()
    this.#timer = setInterval(() => this.#samples.push(this.#take()), every)
  }

  /** @returns {Sample} */
  #take() {
    const memory = process.memoryUsage()
    const sizes = fileSizes(this.folder)
    const longestStop = Math.max(0, this.#delay.max / 1e6 - 1)
    this.#delay.reset()
    return {
      seconds: (performance.now() - this.#start) / 1000,
      heap: memory.heapUsed,
      resident: memory.rss,
      external: memory.external,
      fileBytes: sizes.reduce((sum, size) => sum + size, 0),
      files: sizes.length,
      descriptors: openDescriptors(),
      sessions: this.store.stats().sessions,
      longestStop,
    }
  }

  stop() {
    clearInterval(this.#timer)
    this.#delay.disable()
    return this.#samples
  }
}

/** @param {string} folder @returns {number[]} */
function fileSizes(folder) {
  return readdirSync(folder).map(
    (file) => statSync(join(folder, file), { throwIfNoEntry: false })?.size ?? 0,
  )
}

function openDescriptors() {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return NaN
  }
}

/** @param {Sample[]} samples @returns {string} */
export function toCsv(samples) {
  const keys = /** @type {(keyof Sample)[]} */ (Object.keys(samples[0] ?? {}))
  const lines = samples.map((sample) => keys.map((key) => +sample[key].toFixed(2)).join(','))
  return [keys.join(','), ...lines].join('\n') + '\n'
}

/**
 * What has to be flat: how the samples of a third are taken together (the heap goes up and down with
 * each collection, so its floor), and how much more the last may be, as a share and absolutely.
 * @type {[what: keyof Sample, quantile: number, share: number, absolute: number][]}
 */
const flatness = [
  ['heap', 0.25, 0.1, 2e6],
  ['resident', 0.5, 0.1, 8e6],
  ['external', 0.5, 0.1, 2e6],
  ['fileBytes', 0.5, 0.15, 1e5],
  ['files', 0.5, 0, 1],
  ['descriptors', 0.5, 0, 2],
  ['sessions', 0.5, 0.02, 10],
]

/** @param {Sample[]} samples */
export function compareThirds(samples) {
  const third = Math.floor(samples.length / 3)
  if (third < 3) throw new Error('there are too few samples to compare')
  const parts = [samples.slice(third, 2 * third), samples.slice(2 * third)]
  return flatness.map(([what, quantile, share, absolute]) => {
    const [middle = NaN, last = NaN] = parts.map((part) => {
      const sorted = part.map((sample) => sample[what]).sort((a, b) => a - b)
      return sorted[Math.floor((sorted.length - 1) * quantile)] ?? NaN
    })
    // A figure that the system doesn't tell is no growth.
    return { what, middle, last, flat: !(last > middle * (1 + share) + absolute) }
  })
}
