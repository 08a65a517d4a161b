/**
 * The campaign: every fault of the list, many times, and a table of what it did to the sessions.
 *
 * `FAULTS` scales the number of tries (0.02 takes minutes, 1 is everything, 5 more); `SEED` starts
 * the random numbers elsewhere; `--only <name>` runs the faults whose names contain it. Exits with 1
 * where a session was lost or wrong beyond what its durability allows, or, with
 * `PMS_REQUIRE_TOOLS=1`, where a fault could not be caused for want of a program.
 */
import * as clock from './faults/clock.js'
import * as cutTail from './faults/cut-tail.js'
import * as exitWays from './faults/exit-ways.js'
import * as failedSync from './faults/failed-sync.js'
import * as flippedByte from './faults/flipped-byte.js'
import * as foreignFiles from './faults/foreign-files.js'
import * as fullDisk from './faults/full-disk.js'
import * as handover from './faults/handover.js'
import * as hostileBytes from './faults/hostile-bytes.js'
import * as kill from './faults/kill.js'
import * as powerLoss from './faults/power-loss.js'
import * as reload from './faults/reload.js'
import * as systemCalls from './faults/system-calls.js'
import * as tornSector from './faults/torn-sector.js'
import { header, row } from './lib/table.js'

const FAULTS = [
  cutTail,
  flippedByte,
  tornSector,
  hostileBytes,
  reload,
  clock,
  failedSync,
  powerLoss,
  foreignFiles,
  fullDisk,
  exitWays,
  kill,
  handover,
  systemCalls,
]

const scale = positive('FAULTS', 1)
const seed = positive('SEED', 1)
const only = argument('--only')
const chosen = FAULTS.filter(({ name }) => only === undefined || name.includes(only))
if (chosen.length === 0) {
  const names = FAULTS.map(({ name }) => name).join(', ')
  console.error(`Expected \`--only\` to name one of: ${names}`)
  process.exit(2)
}

// A session lost in a rejected promise that nobody looks at would not be noticed otherwise.
const unforeseen = []
process.on('unhandledRejection', (error) => unforeseen.push(error))

let passed = 0
let failed = 0
const problems = []
console.log(header())
for (const { name, full, run } of chosen) {
  const started = performance.now()
  const tally = await run(Math.max(1, Math.ceil(full * scale)), seed)
  for (const error of unforeseen.splice(0))
    tally.fail('wrong', `unhandled: ${error?.stack ?? error}`)
  console.log(row(tally, performance.now() - started))
  if (tally.skipped) {
    problems.push(`${name}: skipped, ${tally.skipped}`)
    if (process.env['PMS_REQUIRE_TOOLS'] === '1') failed++
  } else if (tally.passed) passed++
  else failed++
  problems.push(...tally.problems.map((problem) => `${name}: ${problem}`))
}
if (problems.length > 0) console.log(`\n${problems.join('\n')}`)
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0

function positive(variable, fallback) {
  const value = Number(process.env[variable] ?? fallback)
  if (value > 0 && Number.isFinite(value)) return value
  console.error(`Expected ${variable} to be a positive number`)
  process.exit(2)
}

function argument(option) {
  const at = process.argv.indexOf(option)
  return at < 0 ? undefined : process.argv[at + 1]
}
