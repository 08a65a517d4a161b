/**
 * Each system call that touches the files fails in turn, with a kill, with EIO or ENOSPC once, or
 * for good from then on: sessions are served, errors told, nothing acknowledged is lost, and once
 * the fault is over everything is written.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkRestored, Victim } from '../lib/child.js'
import { History } from '../lib/history.js'
import { Random } from '../lib/random.js'
import { attach, countCalls, whyNoStrace } from '../lib/strace.js'
import { Tally } from '../lib/tally.js'

export const name = 'system calls'
/** More than there are: each call that the process makes, in each way. */
export const full = 4000

const STEPPER = fileURLToPath(new URL('../lib/stepper.js', import.meta.url))
/** Calls of one kind, by what they are called on this machine and on others. */
const CALLS = [
  ['write'],
  ['pwrite64'],
  ['fdatasync'],
  ['fsync'],
  ['rename', 'renameat', 'renameat2'],
  ['openat', 'open'],
  ['unlink', 'unlinkat'],
  ['link', 'linkat'],
  ['ftruncate'],
]
const WAYS = [
  { way: 'killed', inject: 'signal=SIGKILL', durabilities: ['snapshot', 'everysec', 'always'] },
  { way: 'EIO once', inject: 'error=EIO', durabilities: ['snapshot', 'always'] },
  { way: 'EIO for good', inject: 'error=EIO', onwards: '+', durabilities: ['snapshot', 'always'] },
  { way: 'ENOSPC once', inject: 'error=ENOSPC', durabilities: ['everysec', 'always'] },
  { way: 'ENOSPC for good', inject: 'error=ENOSPC', onwards: '+', durabilities: ['always'] },
]
const LIFE = 3_600_000
const SIDS = Array.from({ length: 6 }, (_, i) => `session-${i}`)
const PATIENCE = 60
// Where every attempt to write fails it takes 17 s, and several times that on a busy machine.
const LATE = 120_000
/** All that may be said of files that can't be opened or read. */
const REFUSALS = ['ERR_OPEN', 'ERR_WRITE']

export async function run(count, seed) {
  const tally = new Tally(name)
  tally.skipped = whyNoStrace()
  if (tally.skipped) return tally
  const folder = mkdtempSync(join(tmpdir(), 'pms-calls-'))
  try {
    const cases = await casesOf(folder)
    const random = new Random(seed)
    const stride = Math.max(1, cases.length / count)
    const picked = []
    for (let i = random.next() * stride; i < cases.length; i += stride)
      picked.push(cases[Math.floor(i)])
    const next = picked.entries()
    const worker = async () => {
      for (const [i, one] of next) {
        const what = `${one.durability}, ${one.calls[0]} ${one.nth} ${one.way}`
        await tally.try(what, () => attempt(tally, what, join(folder, `run-${i}`), one))
      }
    }
    await Promise.all(Array.from({ length: availableParallelism() }, worker))
    tally.notes.push(`${picked.length} of ${cases.length} cases`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return tally
}

/** Runs the process once in peace, to see which calls it makes. */
async function casesOf(folder) {
  const cases = []
  for (const durability of ['snapshot', 'everysec', 'always']) {
    // What the process under test finds is what one before it left.
    const template = join(folder, `template-${durability}`)
    mkdirSync(template)
    const history = new History(LIFE, SIDS)
    const first = start(template, durability, 0, history)
    first.go()
    await first.ended
    history.restart((sid) => ({ version: history.version(sid), expires: history.expires(sid) }))
    const counting = join(folder, `counting-${durability}`)
    cpSync(template, counting, { recursive: true })
    const log = `${counting}.log`
    const victim = start(counting, durability, 1000, new History(LIFE, SIDS))
    await victim.until(() => victim.paths)
    const { ended } = await attach({ pid: victim.pid, paths: victim.paths, trace: all(), log })
    victim.go()
    await Promise.all([victim.ended, ended])
    const counts = countCalls(log)
    for (const calls of CALLS) {
      const most = Math.max(0, ...calls.map((call) => counts.get(call) ?? 0))
      for (const { durabilities, ...way } of WAYS) {
        if (!durabilities.includes(durability)) continue
        for (let nth = 1; nth <= most; nth++) {
          cases.push({ durability, calls, nth, template, history, ...way })
        }
      }
    }
  }
  return cases
}

async function attempt(
  tally,
  what,
  folder,
  { durability, calls, nth, inject, onwards = '', ...rest },
) {
  const { template, way } = rest
  const history = rest.history.copy()
  cpSync(template, folder, { recursive: true })
  const log = `${folder}.log`
  const victim = start(folder, durability, 1000, history)
  victim.onRestored = () => checkRestored(tally, `${what}, opened`, victim, history, () => true)
  const late = setTimeout(() => {
    tally.fail('wrong', `${what}: did not end`)
    victim.kill()
  }, LATE)
  await victim.until(() => victim.paths)
  const { ended } = await attach({
    pid: victim.pid,
    paths: victim.paths,
    trace: all(),
    inject: `${calls.map((call) => `?${call}`).join(',')}:${inject}:when=${nth}${onwards}`,
    log,
  })
  victim.go()
  const { signal } = await victim.ended
  await ended
  clearTimeout(late)
  const injected = readFileSync(log, 'utf8').includes('(INJECTED)')
  const killed = signal === 'SIGKILL'
  if (victim.served) victim.adopt()
  tally.require(victim.unserved.length === 0, `${what}: not served after ${victim.unserved}`)
  if (way === 'killed') tally.require(killed || victim.done, `${what}: ${victim.stderr}`)
  else if (victim.refused) {
    tally.require(REFUSALS.includes(victim.refused), `${what}: refused with ${victim.refused}`)
  } else {
    tally.require(victim.done, `${what}: ended by ${signal}: ${victim.stderr}`)
  }
  // What was written once the fault was over has been flushed, and so has to be there.
  const whole = !killed && onwards === '' && !victim.refused
  await lookAgain(tally, what, folder, durability, history, whole)
  tally.require(
    !existsSync(join(folder, 'core')) && (injected || killed || victim.done || victim.refused),
    what,
  )
}

async function lookAgain(tally, what, folder, durability, history, whole) {
  const looker = new Victim(configOf(folder, durability, 9000, 0), history)
  const durable = (state) =>
    whole || (durability === 'always' && state.acknowledged !== undefined && !state.touch)
  looker.onRestored = () => checkRestored(tally, `${what}, afterwards`, looker, history, durable)
  await looker.ended
  if (looker.refused) tally.fail('lost', `${what}: afterwards refused with ${looker.refused}`)
  else looker.adopt()
  rmSync(folder, { recursive: true, force: true })
}

function start(folder, durability, base, history) {
  const env = { UV_THREADPOOL_SIZE: '1' }
  return new Victim(configOf(folder, durability, base), history, { script: STEPPER, env })
}

function configOf(folder, durability, base) {
  return {
    options: { snapshotPath: join(folder, 'sessions.snapshot'), durability, watch: false },
    sids: SIDS,
    life: LIFE,
    bytes: 0,
    writers: 0,
    operations: 0,
    base,
    patience: PATIENCE,
    seed: 1,
  }
}

function all() {
  // A name that the machine doesn't know is passed over.
  return CALLS.flat()
    .map((call) => `?${call}`)
    .join(',')
}
