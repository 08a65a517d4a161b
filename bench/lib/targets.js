/**
 * What a table has to reach, and whether it did, always from figures of the same run. A comparison
 * that one of its sides is missing for is left open.
 */
import { times } from './format.js'

/**
 * @typedef {object} Target
 * @property {string} what
 * @property {string} required
 * @property {string} measured
 * @property {boolean | undefined} reached undefined: a side is missing
 */

/** @param {string} what @param {number | undefined} ratio @param {number} least @returns {Target} */
export function atLeastTimes(what, ratio, least) {
  return target(what, `at least ${times(least)}`, ratio, times, (value) => value >= least)
}

/** @param {string} what @param {number | undefined} ratio @param {number} most @returns {Target} */
export function atMostTimes(what, ratio, most) {
  return target(what, `at most ${times(most)}`, ratio, times, (value) => value <= most)
}

/**
 * @param {string} what
 * @param {number | undefined} value
 * @param {number} most
 * @param {import('./format.js').Unit} unit
 * @returns {Target}
 */
export function atMost(what, value, most, unit) {
  return target(what, `at most ${unit(most)}`, value, unit, (measured) => measured <= most)
}

/**
 * @param {string} what
 * @param {string} required
 * @param {number | undefined} value
 * @param {import('./format.js').Unit} unit
 * @param {(value: number) => boolean} reached
 * @returns {Target}
 */
function target(what, required, value, unit, reached) {
  if (value === undefined || Number.isNaN(value)) {
    return { what, required, measured: 'not measured', reached: undefined }
  }
  return { what, required, measured: unit(value), reached: reached(value) }
}

/**
 * @param {number | undefined} a
 * @param {number | undefined} b
 * @returns {number | undefined} a over b, undefined if either is missing
 */
export function ratio(a, b) {
  return a === undefined || !b ? undefined : a / b
}
