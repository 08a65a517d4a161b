/** Several rounds → median with the smallest and the largest. */

/** @typedef {{ median: number, min: number, max: number }} Figure */

/** @param {number[]} values @returns {Figure} */
export function summarize(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length / 2
  const low = /** @type {number} */ (sorted[Math.ceil(half) - 1])
  const high = /** @type {number} */ (sorted[Math.floor(half)])
  return {
    median: (low + high) / 2,
    min: /** @type {number} */ (sorted[0]),
    max: /** @type {number} */ (sorted.at(-1)),
  }
}

/**
 * @template {Record<string, number>} T
 * @param {T[]} rounds
 * @returns {{ [K in keyof T]: Figure }} each member summarized over the rounds
 */
export function summarizeAll(rounds) {
  const keys = Object.keys(rounds[0] ?? {})
  return /** @type {any} */ (
    Object.fromEntries(
      keys.map((key) => [key, summarize(rounds.map((r) => /** @type {number} */ (r[key])))]),
    )
  )
}
