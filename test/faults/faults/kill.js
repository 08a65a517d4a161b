/**
 * kill -9 while eight writers write, again and again on the same files, in every durability, also
 * encrypted, with large sessions, and while snapshots are taken or the files are being restored.
 * The parent knows what was acknowledged and when.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkRestored, Victim } from '../lib/child.js'
import { History } from '../lib/history.js'
import { KEY } from '../lib/pictures.js'
import { Random } from '../lib/random.js'
import { Tally } from '../lib/tally.js'

export const name = 'kill -9'
/** Kills, a third in each durability. */
export const full = 600

const DURABILITIES = ['snapshot', 'everysec', 'always']
const LIFE = 3_600_000
const WRITERS = 8
const SIDS = Array.from({ length: WRITERS * 6 }, (_, i) => `session-${i}`)
/** What a busy machine may add to the last second, ms. */
const SLACK = 400
const KILLS_A_CHAIN = 20

export async function run(count, seed) {
  const tally = new Tally(name)
  const chains = []
  for (const durability of DURABILITIES) {
    for (let left = Math.ceil(count / DURABILITIES.length); left > 0; left -= KILLS_A_CHAIN) {
      chains.push({
        durability,
        kills: Math.min(left, KILLS_A_CHAIN),
        seed: seed * 1009 + chains.length,
      })
    }
  }
  const next = chains[Symbol.iterator]()
  const worker = async () => {
    for (const one of next) await chain(tally, one)
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  return tally
}

async function chain(tally, { durability, kills, seed }) {
  const random = new Random(seed)
  const folder = mkdtempSync(join(tmpdir(), 'pms-kill-'))
  const history = new History(LIFE, SIDS)
  const bytes = random.pick([0, 0, 0, 20_000])
  const options = {
    snapshotPath: join(folder, 'sessions.snapshot'),
    durability,
    snapshotInterval: random.pick([0, 100, 1000]),
    encryptionKey: random.chance(0.15) ? KEY : undefined,
  }
  const config = { options, sids: SIDS, life: LIFE, bytes, writers: WRITERS, operations: 1e6 }
  let killedAt = 0
  const durable = (state) => mustHold(state, durability, killedAt)
  try {
    for (let kill = 0; kill <= kills; kill++) {
      const what = `chain ${seed}, '${durability}', kill ${kill}`
      const last = kill === kills
      const attempt = async () => {
        const own = { ...config, seed: random.below(1e9), base: kill * 1_000_000 }
        if (last) own.writers = 0
        const victim = new Victim(own, history)
        const check = () => checkRestored(tally, what, victim, history, durable)
        victim.onRestored = check
        if (!last && random.chance(0.1)) await pause(random.below(250))
        else {
          await victim.restored()
          if (!last) await pause(lifetime(durability, random))
        }
        if (!last) victim.kill()
        const { code } = await victim.ended
        if (victim.refused) tally.fail('wrong', `${what}: could not open: ${victim.refused}`)
        else if (last && code !== 0)
          tally.fail('wrong', `${what}: ended with ${code}: ${victim.stderr}`)
        if (victim.served) victim.adopt()
        if (victim.served && !last) killedAt = victim.killedAt
      }
      if (last) await attempt()
      else await tally.try(what, attempt)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function lifetime(durability, random) {
  return random.below(durability === 'everysec' ? random.pick([300, 1500, 3000]) : 400)
}

/** Whether a state must not be lost by a kill then. */
function mustHold(state, durability, killedAt) {
  if (state.acknowledged === undefined || durability === 'snapshot') return false
  if (durability === 'always' && !state.touch) return true
  return state.acknowledged <= killedAt - 1000 - SLACK
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
