/**
 * The sections that the tables returned → text for the console, and a Markdown report with machine,
 * versions, tables and what was reached.
 */

/**
 * @typedef {object} Grid
 * @property {string} [caption]
 * @property {string[]} columns
 * @property {string[][]} rows
 *
 * @typedef {object} Section
 * @property {string} title
 * @property {string} [intro]
 * @property {Grid[]} tables
 * @property {import('./targets.js').Target[]} targets
 * @property {{ file: string, svg: string }[]} charts
 * @property {string[]} [notes]
 */

/** @param {Section} section @returns {string} */
export function consoleText({ title, intro, tables, targets, notes = [] }) {
  const parts = [`\n${title}\n${'='.repeat(title.length)}`]
  if (intro) parts.push(intro)
  for (const table of tables) parts.push(consoleGrid(table))
  if (targets.length > 0) parts.push(consoleGrid(targetGrid(targets)))
  return [...parts, ...notes].join('\n') + '\n'
}

/** @param {Grid} grid */
function consoleGrid({ caption, columns, rows }) {
  const all = [columns, ...rows]
  const widths = columns.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0)))
  const lines = all.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  lines.splice(1, 0, widths.map((length) => '-'.repeat(length)).join('  '))
  return [caption ? `\n${caption}` : '', ...lines].join('\n')
}

/** @param {import('./targets.js').Target[]} targets @returns {Grid} */
function targetGrid(targets) {
  return {
    caption: 'To reach',
    columns: ['', 'required', 'measured', ''],
    rows: targets.map(({ what, required, measured, reached }) => [
      what,
      required,
      measured,
      reached === undefined ? '–' : reached ? 'reached' : 'SHORT',
    ]),
  }
}

/**
 * @param {object} run
 * @param {string} run.title
 * @param {string[]} run.preamble
 * @param {{ what: string, is: string }[]} run.facts
 * @param {Section[]} run.sections
 * @param {(file: string) => string} run.chartPath
 * @returns {string}
 */
export function markdown({ title, preamble, facts, sections, chartPath }) {
  const targets = sections.flatMap((section) => section.targets)
  const parts = [
    `# ${title}`,
    ...preamble,
    markdownGrid({ columns: ['', ''], rows: facts.map(({ what, is }) => [what, is]) }),
    summaryOf(targets),
  ]
  for (const section of sections) {
    parts.push(`## ${section.title}`)
    if (section.intro) parts.push(section.intro)
    for (const { file } of section.charts) parts.push(`![${section.title}](${chartPath(file)})`)
    for (const table of section.tables) {
      if (table.caption) parts.push(`**${table.caption}**`)
      parts.push(markdownGrid(table))
    }
    if (section.targets.length > 0) parts.push(markdownGrid(targetGrid(section.targets)))
    parts.push(...(section.notes ?? []))
  }
  return parts.join('\n\n') + '\n'
}

/** @param {import('./targets.js').Target[]} targets */
export function summaryOf(targets) {
  const reached = targets.filter((target) => target.reached).length
  const short = targets.filter((target) => target.reached === false)
  const open = targets.length - reached - short.length
  const counts = `${reached} of ${targets.length} targets reached, ${short.length} short, ${open} not measured.`
  return [counts, ...short.map(({ what, measured }) => `- short: ${what}: ${measured}`)].join('\n')
}

/** @param {Grid} grid */
function markdownGrid({ columns, rows }) {
  const line = (/** @type {string[]} */ cells) =>
    `| ${cells.map((cell) => cell.replace(/\|/g, '\\|')).join(' | ')} |`
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n')
}
