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
const { describeMachine } = await import('./lib/machine.js')
const { consoleText, markdown, summaryOf } = await import('./lib/report.js')
const { firstLine } = await import('./lib/rounds.js')
const { systems } = await import('./systems/index.js')

const name = options.quick ? 'quick' : options.only.length < tables.length ? 'partial' : 'report'
const out = resolve(
  options.out ?? join(fileURLToPath(new URL('results', import.meta.url)), `${name}.md`),
)
const charts = name === 'report' ? '' : `${basename(out, '.md')}-`

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
const started = Date.now()
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
    context.progress(`${table}: took ${Math.round((Date.now() - begun) / 1000)} s\n`)
  }
} finally {
  await context.end()
}

const seconds = Math.round((Date.now() - started) / 1000)
facts.push({ what: 'measured on', is: new Date(started).toISOString().slice(0, 10) })
facts.push({ what: 'in', is: `${Math.floor(seconds / 60)} min ${seconds % 60} s` })
const preamble = ['Each figure is the median of several rounds, with the smallest and the largest.']
if (options.quick) {
  preamble.push(
    '**A quick run: small counts, few rounds. Good for a first look, not for a claim.**',
  )
}
mkdirSync(dirname(out), { recursive: true })
writeFileSync(
  out,
  markdown({
    title: 'Side by side',
    preamble,
    facts,
    sections,
    chartPath: (file) => charts + file,
  }),
)
for (const { file, svg } of sections.flatMap((section) => section.charts)) {
  writeFileSync(join(dirname(out), charts + file), svg)
}
console.log(summaryOf(sections.flatMap((section) => section.targets)))
console.log(`\n${seconds} s; the report is ${out}`)
