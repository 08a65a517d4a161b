/**
 * Bar charts as SVG text, drawn by hand: a card with its own ground, so that they can be read on a
 * light and on a dark page, in panels of horizontal bars with whiskers from the smallest to the
 * largest round.
 */

/**
 * @typedef {object} Bar
 * @property {string} label
 * @property {import('./summary.js').Figure} [figure] none: it failed or is missing
 * @property {boolean} [ours]
 *
 * @typedef {object} Panel
 * @property {string} title
 * @property {import('./format.js').Unit} unit
 * @property {Bar[]} bars
 * @property {number} [limit] a line to stay below, or above
 * @property {boolean} [logarithmic] from the power of ten below the smallest, with a line at each power
 *
 * @typedef {object} Chart
 * @property {string} title
 * @property {Panel[]} panels
 */

const width = 860
const margin = 24
const gutter = 28
const labelWidth = 178
const figureWidth = 82
const rowHeight = 20
const barHeight = 12

const style = `
  .ground{fill:#fff;stroke:#d0d7de}
  text{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}
  .title{font-size:15px;font-weight:600}
  .panel{font-size:13px;font-weight:600}
  .figure,.note{fill:#59636e}
  .bar{fill:#a8b3bf}
  .ours{fill:#0a7d55}
  .whisker{stroke:#1f2328;stroke-opacity:.55}
  .limit{stroke:#cf222e;stroke-dasharray:3 3}
  .line{fill:none;stroke:#0a7d55;stroke-width:1.5}
  .axis{stroke:#d0d7de}
  @media (prefers-color-scheme:dark){
    .ground{fill:#0d1117;stroke:#3d444d}
    text{fill:#f0f6fc}
    .figure,.note{fill:#9198a1}
    .bar{fill:#4b5662}
    .ours{fill:#2fb57f}
    .whisker{stroke:#f0f6fc}
    .line{stroke:#2fb57f}
    .axis{stroke:#3d444d}
  }`

/** @param {Chart} chart @returns {string} */
export function barChart({ title, panels }) {
  const columns = panels.length > 1 ? 2 : 1
  const panelWidth = (width - 2 * margin - (columns - 1) * gutter) / columns
  let y = 62
  let body = ''
  for (let first = 0; first < panels.length; first += columns) {
    const row = panels.slice(first, first + columns)
    row.forEach((panel, i) => {
      body += drawPanel(panel, margin + i * (panelWidth + gutter), y, panelWidth)
    })
    y += 34 + Math.max(...row.map(({ bars }) => bars.length)) * rowHeight
  }
  return card(title, y - 4, body)
}

/** @param {string} title @param {number} height @param {string} body @returns {string} */
function card(title, height, body) {
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
    `width="${width}" height="${height}" role="img" aria-label="${escape(title)}">` +
    `<style>${style}</style>` +
    `<rect class="ground" x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8"/>` +
    `<text class="title" x="${margin}" y="32">${escape(title)}</text>${body}</svg>\n`
  )
}

/** @param {Panel} panel @param {number} x @param {number} y @param {number} panelWidth */
function drawPanel({ title, unit, bars, limit, logarithmic }, x, y, panelWidth) {
  const left = x + labelWidth
  const longest = panelWidth - labelWidth - figureWidth
  const largest = Math.max(limit ?? 0, ...bars.map(({ figure }) => figure?.max ?? 0)) || 1
  const scale = logarithmic
    ? logarithmicScale(bars, largest, longest)
    : (/** @type {number} */ value) => (Math.max(0, value) / largest) * longest
  let svg = `<text class="panel" x="${x}" y="${y}">${escape(title)}</text>`
  if (logarithmic) svg += powerLines(scale, { left, top: y + 6, rows: bars.length, largest })
  bars.forEach((bar, i) => {
    svg += drawBar(bar, { x, left, top: y + 10 + i * rowHeight, scale, unit })
  })
  if (limit !== undefined) {
    const at = left + scale(limit)
    const bottom = y + 8 + bars.length * rowHeight
    svg += `<line class="limit" x1="${at}" x2="${at}" y1="${y + 6}" y2="${bottom}"/>`
  }
  return svg
}

/** @param {Bar[]} bars @param {number} largest @param {number} longest */
function logarithmicScale(bars, largest, longest) {
  const smallest = Math.min(largest, ...bars.map(({ figure }) => figure?.min ?? Infinity))
  const lowest = Math.floor(Math.log10(smallest) - 1e-9)
  const powers = Math.log10(largest) - lowest
  return (/** @type {number} */ value) =>
    value > 0 ? (Math.max(0, Math.log10(value) - lowest) / powers) * longest : 0
}

/**
 * @param {(value: number) => number} scale
 * @param {{ left: number, top: number, rows: number, largest: number }} place
 */
function powerLines(scale, { left, top, rows, largest }) {
  let svg = ''
  for (let power = Math.floor(Math.log10(largest)); scale(10 ** power) > 0; power--) {
    const at = left + scale(10 ** power)
    svg += `<line class="axis" x1="${at}" x2="${at}" y1="${top}" y2="${top + rows * rowHeight}"/>`
  }
  return svg
}

/**
 * @param {Bar} bar
 * @param {{ x: number, left: number, top: number, scale: (value: number) => number,
 *   unit: import('./format.js').Unit }} place
 */
function drawBar({ label, figure, ours }, { x, left, top, scale, unit }) {
  const baseline = top + barHeight - 2
  const name = `<text x="${x}" y="${baseline}">${escape(label)}</text>`
  if (!figure) return `${name}<text class="note" x="${left}" y="${baseline}">failed</text>`
  const { median, min, max } = figure
  const long = Math.max(1, scale(median))
  const middle = top + barHeight / 2
  const end = left + Math.max(long, scale(max)) + 6
  const whisker =
    min === max
      ? ''
      : `<line class="whisker" x1="${left + scale(min)}" x2="${left + scale(max)}" y1="${middle}" y2="${middle}"/>`
  return (
    `${name}<rect class="bar${ours ? ' ours' : ''}" x="${left}" y="${top}" width="${long}" ` +
    `height="${barHeight}" rx="2"/>${whisker}` +
    `<text class="figure" x="${end}" y="${baseline}">${escape(unit(median))}</text>`
  )
}

/**
 * @param {import('./rounds.js').Outcome[]} outcomes
 * @param {(id: string) => import('./summary.js').Figure | undefined} figureOf
 * @returns {Bar[]}
 */
export function barsOf(outcomes, figureOf) {
  return outcomes.map(({ system }) => ({
    label: system.ours ? `ours, ${system.label.split(', ')[1]}` : system.label,
    figure: figureOf(system.id),
    ours: system.ours ?? false,
  }))
}

/**
 * Lines over time, a panel each: for the soak.
 * @param {{ title: string, panels: { title: string, unit: import('./format.js').Unit,
 *   points: [number, number][] }[] }} chart points: seconds, value
 * @returns {string}
 */
export function lineChart({ title, panels }) {
  const plotHeight = 70
  const plotWidth = width - 2 * margin - figureWidth
  let y = 62
  let body = ''
  for (const { title: name, unit, points } of panels) {
    const top = y + 12
    const last = points.at(-1)?.[0] || 1
    const largest = Math.max(...points.map(([, value]) => value)) || 1
    const place = ([at, value] = [0, 0]) =>
      `${(margin + (at / last) * plotWidth).toFixed(1)},${(top + plotHeight * (1 - value / largest)).toFixed(1)}`
    const end = points.at(-1)?.[1] ?? 0
    body +=
      `<text class="panel" x="${margin}" y="${y}">${escape(name)}</text>` +
      `<line class="axis" x1="${margin}" x2="${margin + plotWidth}" y1="${top + plotHeight}" y2="${top + plotHeight}"/>` +
      `<polyline class="line" points="${points.map((point) => place(point)).join(' ')}"/>` +
      `<text class="figure" x="${margin + plotWidth + 6}" y="${top + plotHeight * (1 - end / largest) + 4}">${escape(unit(end))}</text>`
    y += plotHeight + 44
  }
  return card(title, y - 10, body)
}

/** @param {string} text */
function escape(text) {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;')
}
