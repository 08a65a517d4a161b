/**
 * Every way a process ends, short of a kill: a clean stop loses nothing, in any durability, and it
 * ends as it would have without the store.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkRestored, Victim } from '../lib/child.js'
import { History } from '../lib/history.js'
import { KEY } from '../lib/pictures.js'
import { Random } from '../lib/random.js'
import { Tally } from '../lib/tally.js'

export const name = 'exit ways'

const LEAVER = fileURLToPath(new URL('../lib/leaver.js', import.meta.url))
const SNAPSHOT_GONE = /^ERR_WRITE .* found ENOENT\b/
/**
 * How it ends → how the process is then seen to have ended, and what it may have told: that a snapshot
 * under way has lost its file, to whoever deleted the folder, or at a signal, when write-file-atomic
 * clears up, though process 1 goes on.
 */
const WAYS = {
  close: { code: 0 },
  'end of loop': { code: 0 },
  'process.exit': { code: 7 },
  'process.exit in close': { code: 7 },
  'process.exit soon after close': { code: 7 },
  'process.exit while a snapshot is taken': { code: 7 },
  'process.exit soon': { code: 7 },
  'process.exit in beforeExit': { code: 7 },
  SIGTERM: { signal: 'SIGTERM' },
  SIGINT: { signal: 'SIGINT' },
  SIGHUP: { signal: 'SIGHUP' },
  'SIGTERM, handler exits': { code: 7 },
  'SIGINT, handler exits later': { code: 7 },
  'SIGTERM, handler closes the store': { code: 7 },
  'SIGTERM, handler closes the server': { code: 0 },
  'SIGTERM twice': { signal: 'SIGTERM' },
  'SIGTERM to process 1, process.exit later': { code: 7, told: SNAPSHOT_GONE },
  'SIGTERM to process 1, close later': { code: 0, told: SNAPSHOT_GONE },
  'folder deleted, process.exit': { code: 7, told: SNAPSHOT_GONE },
  'folder deleted, close': { code: 0, told: SNAPSHOT_GONE },
  'uncaught exception': { code: 1 },
  'uncaught exception in a timer': { code: 1 },
  'unhandled rejection': { code: 1 },
}
const DURABILITIES = ['snapshot', 'everysec', 'always']
const LIFE = 3_600_000
const SIDS = Array.from({ length: 20 }, (_, i) => `session-${i}`)
const PATIENCE = 20_000
/** Prime to the number of cases: small runs have some of everything, large ones each as often. */
const STRIDE = 31

/** Each way in each durability, four times. */
export const full = Object.keys(WAYS).length * DURABILITIES.length * 4

export async function run(count, seed) {
  const tally = new Tally(name)
  const cases = Object.keys(WAYS).flatMap((end) =>
    DURABILITIES.map((durability) => ({ end, durability })),
  )
  let next = 0
  const worker = async () => {
    while (next < count) {
      const i = next++
      const { end, durability } = cases[((i + seed) * STRIDE) % cases.length]
      const what = `${end}, '${durability}', seed ${seed + i}`
      await tally.try(what, () => leave(tally, what, end, durability, new Random(seed + i)))
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  return tally
}

async function leave(tally, what, end, durability, random) {
  const folder = mkdtempSync(join(tmpdir(), 'pms-exit-'))
  const history = new History(LIFE, SIDS)
  const config = {
    options: {
      snapshotPath: join(folder, 'sessions.snapshot'),
      durability,
      snapshotInterval: random.pick([0, 50]),
      encryptionKey: random.chance(0.1) ? KEY : undefined,
    },
    sids: SIDS,
    life: LIFE,
    bytes: random.pick([0, 0, 30_000]),
    end,
    operations: 120,
    seed: random.below(1e9),
    base: 0,
  }
  try {
    for (const base of [0, 1_000_000]) {
      const victim = new Victim({ ...config, base, seed: config.seed + base }, history, {
        script: LEAVER,
      })
      victim.onRestored = () => checkRestored(tally, what, victim, history, () => true)
      const late = setTimeout(() => {
        tally.fail('wrong', `${what}: did not end`)
        victim.kill()
      }, PATIENCE)
      const { code, signal } = await victim.ended
      clearTimeout(late)
      victim.adopt()
      const { code: expected = null, signal: by = null, told } = WAYS[end]
      tally.require(
        code === expected && signal === by,
        `${what}: ended ${code} ${signal} ${victim.stderr}`,
      )
      const unexpected = victim.errors.find((error) => !told?.test(error))
      tally.require(unexpected === undefined, `${what}: told ${unexpected}`)
    }
    const last = { ...config, writers: 0, base: 2_000_000 }
    const looker = new Victim(last, history)
    looker.onRestored = () => checkRestored(tally, what, looker, history, () => true)
    await looker.ended
    looker.adopt()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
