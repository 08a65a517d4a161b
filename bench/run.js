#!/usr/bin/env node
/**
 * node bench/run.js [--quick] [--only table,table] [--out file.md]
 * Measures this package beside its peers, prints the tables, and writes a Markdown report and charts
 * to bench/results/ (or beside the file given). What each table measures stands in bench/README.md.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readArguments } from './lib/arguments.js'
import { installPeers } from './lib/install.js'

const tables = [
  'noise',
  'operations',
  'durable-writes',
  'memory',
  'snapshot',
  'restore',
  'background',
  'growth',
  'hard-shapes',
  'http',
]

const options = readArguments(tables)
installPeers()
// Only now can the peers be imported.
const { Context } = await import('./lib/context.js')
const { minutes } = await import('./lib/format.js')
const { describeMachine } = await import('./lib/machine.js')
const { consoleText, markdown, summaryOf } = await import('./lib/report.js')
const { firstLine } = await import('./lib/rounds.js')
const { systems } = await import('./systems/index.js')

const name = options.quick ? 'quick' : options.only.length < tables.length ? 'partial' : 'report'
const out = resolve(
  options.out ?? join(fileURLToPath(new URL('results', import.meta.url)), `${name}.md`),
)
// The charts of a whole run and of a partial one are the same ones; a quick look must not replace them.
const charts = options.quick ? `${basename(out, '.md')}-` : ''

/** @type {import('./systems/index.js').System[]} */
const present = []
const facts = describeMachine()
for (const system of systems) {
  const missing = await system.missing()
  if (missing === undefined) present.push(system)
  const version = missing === undefined ? system.version() : `missing: ${missing}`
  facts.push({ what: system.label, is: version })
}
console.log(facts.map(({ what, is }) => `${what}: ${is}`).join('\n'))

const context = new Context({ systems: present, quick: options.quick })
/** @type {import('./lib/report.js').Section[]} */
const sections = []
/** @type {string[]} */
const durations = []
const started = Date.now()
mkdirSync(dirname(out), { recursive: true })
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
try {
  for (const table of tables.filter((candidate) => options.only.includes(candidate))) {
    const begun = Date.now()
    const { run } = await import(`./tables/${table}.js`)
    const failedSection = (/** @type {unknown} */ error) => {
      process.exitCode = 1
      return {
        title: table,
        tables: [],
        targets: [],
        charts: [],
        notes: [`Failed: ${firstLine(error)}`],
      }
    }
    // What went before must not be lost with a table that fails.
    const section = await run(context).catch(failedSection)
    sections.push(section)
    console.log(consoleText(section))
    durations.push(`${table} ${minutes((Date.now() - begun) / 1000)}`)
    context.progress(`${durations.at(-1)}\n`)
    for (const { file, svg } of section.charts) {
      writeFileSync(join(dirname(out), charts + file), svg)
    }
    // After each table: a run that is broken off has measured something all the same.
    writeReport()
  }
} finally {
  await context.end()
}

console.log(summaryOf(sections.flatMap((section) => section.targets)))
console.log(`\n${minutes((Date.now() - started) / 1000)} min; the report is ${out}`)

function writeReport() {
  const preamble = [
    'Each figure is the median of several rounds, with the smallest and the largest.',
  ]
  if (options.quick) {
    preamble.push(
      '**A quick run: small counts, few rounds. Good for a first look, not for a claim.**',
    )
  }
  const took = `${minutes((Date.now() - started) / 1000)} min (${durations.join(', ')})`
  const chartPath = (/** @type {string} */ file) => charts + file
  const about = [
    ...facts,
    { what: 'measured on', is: new Date(started).toISOString().slice(0, 10) },
    { what: 'in', is: took },
  ]
  writeFileSync(
    out,
    markdown({ title: 'Side by side', preamble, facts: about, sections, chartPath }),
  )
}
