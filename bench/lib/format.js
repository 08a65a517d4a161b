/** Figures as people read them. A figure of several rounds stands with its smallest and largest. */

/** @typedef {import('./summary.js').Figure} Figure */
/** @typedef {(value: number) => string} Unit */

/** @type {Unit} */
export const perSecond = (value) =>
  value >= 10_000 ? `${grouped(value / 1000, value >= 100_000 ? 0 : 1)} k/s` : `${grouped(value)}/s`

/** @type {Unit} */
export const milliseconds = (value) =>
  value >= 10_000 ? `${grouped(value / 1000, 1)} s` : `${grouped(value, value < 100 ? 1 : 0)} ms`

/** @param {number} seconds @returns {string} `4:05`, minutes and seconds */
export function minutes(seconds) {
  const whole = Math.round(seconds)
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}

/** @type {Unit} */
export const microseconds = (value) => `${grouped(value, value < 100 ? 2 : 0)} µs`

/** @type {Unit} */
export const bytes = (value) => {
  if (value < 10_000) return `${grouped(value)} B`
  return value < 1e6 ? `${grouped(value / 1e3)} kB` : `${grouped(value / 1e6, 1)} MB`
}

/** @type {Unit} */
export const times = (value) => `${grouped(value, value < 10 ? 2 : 1)}×`

/** @type {Unit} */
export const plain = (value) => grouped(value, 0)

/** @param {number} value @param {number} [decimals] */
function grouped(value, decimals = 0) {
  const rounded = Math.abs(value).toFixed(decimals)
  const [whole = '', rest] = rounded.split('.')
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, '\u202f')
  const sign = value < 0 && Number(rounded) !== 0 ? '−' : ''
  return sign + (rest === undefined ? spaced : `${spaced}.${rest}`)
}

/** @param {Figure} figure @param {Unit} unit @returns {string} median (min–max) */
export function spread({ median, min, max }, unit) {
  return min === max ? unit(median) : `${unit(median)} (${unit(min)}–${unit(max)})`
}

/** @param {number} count @returns {string} `100 k`, `1 M` */
export function howMany(count) {
  if (count >= 1e6) return `${count / 1e6} M`
  return count >= 1e3 ? `${count / 1e3} k` : String(count)
}
