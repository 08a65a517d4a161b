/**
 * The table that the campaign prints: one row a fault.
 */
const COLUMNS = ['fault', 'tries', 'survived', 'sessions checked', 'lost', 'wrong', 'seconds']
const WIDTHS = [15, 9, 9, 17, 6, 6, 8]

export function header() {
  const line = cells(COLUMNS)
  return `${line}\n${cells(WIDTHS.map((width) => '-'.repeat(width - 1)))}`
}

/** @param {import('./tally.js').Tally} tally */
export function row(tally, ms) {
  const { fault, tries, survived, sessionsChecked, lost, wrong, skipped, notes } = tally
  if (skipped) return cells([fault, 'SKIPPED']) + `  ${skipped}`
  const line = cells([fault, tries, survived, sessionsChecked, lost, wrong, (ms / 1000).toFixed(0)])
  return notes.length > 0 ? `${line}  ${notes.join('; ')}` : line
}

function cells(values) {
  return values
    .map((value, i) => {
      const text = typeof value === 'number' ? value.toLocaleString('en') : value
      return i === 0 ? text.padEnd(WIDTHS[i]) : text.padStart(WIDTHS[i])
    })
    .join('  ')
}
