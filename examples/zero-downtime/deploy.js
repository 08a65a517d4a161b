/**
 * Deploys three versions of a real app, one after another, behind one port, while visitors use it.
 *
 * In: `--visitors` (40) and `--seconds` (3) that each version is left alone. Out: what the visitors
 * saw; exit code 1 if a request failed, a login or an item was lost, or somebody who had logged out
 * was logged in again. The steps of `deploy` are those of any rolling deploy.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Proxy } from './proxy.js'
import { Visitors } from './visitors.js'

const { values } = parseArgs({
  options: {
    visitors: { type: 'string', default: '40' },
    seconds: { type: 'string', default: '3' },
  },
})
const visitorCount = Number(values.visitors)
const pause = Number(values.seconds) * 1000
/** How long connections take to move to a new version, in ms. */
const DRAIN = 1000

const app = fileURLToPath(new URL('./app.js', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'zero-downtime-'))
const proxy = new Proxy()
let running
let badExits = 0

/** Starts a version; resolves when it is ready to be asked. */
async function start(version) {
  const started = performance.now()
  const child = spawn(process.execPath, [app], {
    env: {
      ...process.env,
      PORT: '0',
      VERSION: String(version),
      SESSION_FILE: join(folder, 'sessions.snapshot'),
      SESSION_SECRET: 'one secret for all versions',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  let printed = ''
  const origin = await new Promise((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text) => {
      printed += text
      const found = /Listening on (\S+)/.exec(printed)?.[1]
      if (found) resolve(found)
    })
    exited.then(
      ([code]) => reject(new Error(`v${version} ended with ${code} at its start`)),
      reject,
    )
  })
  return { version, child, origin, exited, took: Math.round(performance.now() - started) }
}

/** Stops a version as a process manager does. */
async function stop({ version, child, exited }) {
  const asked = performance.now()
  child.kill('SIGTERM')
  const [code, signal] = await exited
  if (code !== 0) {
    badExits++
    console.error(`v${version} ended with ${signal ?? `code ${code}`}`)
  }
  return Math.round(performance.now() - asked)
}

/** Puts a new version in the place of the running one. */
async function deploy(version) {
  const next = await start(version)
  await proxy.switchTo(next.origin, DRAIN)
  const took = running ? await stop(running) : 0
  const before = running ? `, v${running.version} stopped within ${took} ms` : ''
  console.log(`v${version} was ready after ${next.took} ms${before}`)
  running = next
}

let visitors
try {
  await deploy(1)
  visitors = new Visitors(await proxy.listen(), visitorCount)
  visitors.start()
  for (const version of [2, 3]) {
    await wait(pause)
    await deploy(version)
  }
  await wait(pause)
  await visitors.stop()
  await visitors.check()
} finally {
  if (running) await stop(running)
  await proxy.close()
  await rm(folder, { recursive: true, force: true })
}

const { counts, byVersion, problems } = visitors
const perVersion = Object.entries(byVersion).map(([version, count]) => `v${version} ${count}`)
console.log(`
requests             ${counts.requests} (${perVersion.join(', ')})
failures             ${counts.failures}
lost logins          ${counts.lostLogins}
lost items           ${counts.lostItems}
resurrected logouts  ${counts.resurrected}

At the end ${counts.loggedIn} visitors are still logged in, and ${counts.loggedOut} cookies of those who left are worthless.`)
for (const problem of new Set(problems)) console.error(problem)

const { failures, lostLogins, lostItems, resurrected } = counts
const wrong = failures + lostLogins + lostItems + resurrected + badExits
const idle = [1, 2, 3].filter((version) => !byVersion[version])
if (idle.length > 0) console.error(`Nobody was served by version ${idle.join(', ')}`)
process.exitCode = wrong > 0 || idle.length > 0 ? 1 : 0
