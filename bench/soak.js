#!/usr/bin/env node
/**
 * node bench/soak.js MINUTES
 * Steady traffic with logins, logouts, touches, changes and expiry over a store that is full, so that
 * logins push others out, with a journal and a snapshot every 20 s (oftener in under ten minutes). Samples memory, files and
 * descriptors, writes them to bench/results/soak.csv with a plot beside it, and compares the last
 * third with the middle one: exit code 1 if something grew, if a session that had been logged out was
 * read again, or if a stop and a start at the end lost one or brought one back.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { lineChart } from './lib/charts.js'
import { bytes, milliseconds, plain } from './lib/format.js'
import { compareThirds, Sampler, toCsv } from './lib/samples.js'
import { SoakTraffic } from './lib/soak-traffic.js'
import { Temp } from './lib/temp.js'
import { everysec } from './systems/ours.js'

const max = 20_000
const minutes = Number(process.argv[2] ?? 10)
if (!(minutes > 0)) throw new Error('Expected the minutes as a number above 0')

const results = new URL('results/', import.meta.url)
const temp = new Temp()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
const folder = temp.folder('soak')
// A short trial needs several snapshots in each third as well.
const snapshotInterval = Math.min(20_000, minutes * 2000)
const options = { max, snapshotInterval, checkPeriod: 10_000 }
const { store, close } = await everysec.open({ folder }, options)
store.on('error', (/** @type {unknown} */ error) => {
  throw error
})

const traffic = new SoakTraffic(store, { max })
await traffic.fill()
const sampler = new Sampler(folder, store, Math.max(250, Math.min(3000, minutes * 400)))
traffic.start()
console.log(`${minutes} minutes of traffic over at most ${max} sessions`)
await sleep(minutes * 60_000)
const samples = sampler.stop()
await traffic.stop()

const before = await livesOf(store)
await close()
const reopened = await everysec.open({ folder }, options)
const after = await reopened.store.ids()
const foreign = after.filter((/** @type {string} */ sid) => !before.has(sid)).length
const back = new Set(after)
const soon = Date.now() + 1000
const lost = [...before].filter(([sid, end]) => end > soon && !back.has(sid)).length
await reopened.close()

mkdirSync(results, { recursive: true })
writeFileSync(new URL('soak.csv', results), toCsv(samples))
/** @type {[title: string, key: keyof import('./lib/samples.js').Sample, unit: any][]} */
const plots = [
  ['heap in use', 'heap', bytes],
  ['resident memory', 'resident', bytes],
  ['files', 'fileBytes', bytes],
  ['descriptors', 'descriptors', plain],
  ['sessions', 'sessions', plain],
  ['longest stop of the event loop', 'longestStop', milliseconds],
]
writeFileSync(
  new URL('soak.svg', results),
  lineChart({
    title: `${minutes} minutes of traffic, at most ${max} sessions, everysec`,
    panels: plots.map(([title, key, unit]) => ({
      title,
      unit,
      points: samples.map((sample) => [sample.seconds, sample[key]]),
    })),
  }),
)

const thirds = compareThirds(samples)
for (const { what, middle, last, flat } of thirds) {
  console.log(`${flat ? 'flat    ' : 'NOT FLAT'}  ${what}: ${plain(middle)} → ${plain(last)}`)
}
console.log(`requests: ${JSON.stringify(traffic.counts)}`)
console.log(`stop and start again: ${before.size} sessions, then ${after.length}`)
if (lost > 0) console.log(`NOT RIGHT: ${lost} sessions were lost that had not expired`)
if (foreign > 0) console.log(`NOT RIGHT: ${foreign} sessions came back that had gone`)
if (traffic.resurrected > 0) console.log(`NOT RIGHT: ${traffic.resurrected} reads after a logout`)
const good = thirds.every(({ flat }) => flat) && lost + foreign + traffic.resurrected === 0
console.log(good ? 'flat' : 'not flat')
temp.remove()
process.exitCode = good ? 0 : 1

/** @param {any} of a store @returns {Promise<Map<string, number>>} when each live session ends */
async function livesOf(of) {
  const lives = new Map()
  for (const sid of await of.ids()) {
    const session = await of.get(sid)
    if (!session) continue
    const { expires } = session.cookie
    lives.set(sid, expires ? +new Date(expires) : Infinity)
  }
  return lives
}
