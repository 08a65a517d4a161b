/**
 * A clock that jumps: an hour back, ten years on, back again, while running and across a restart.
 * The order of changes never depends on it; expiry follows it.
 */
import { TestClock } from '../lib/clock.js'
import { Disk } from '../lib/disk.js'
import { DISK_PATH, surroundingsOf } from '../lib/disk-files.js'
import { Random } from '../lib/random.js'
import { sessionOf, versionOf } from '../lib/sessions.js'
import { openStore, settle } from '../lib/stores.js'
import { Tally } from '../lib/tally.js'

export const name = 'clock'
export const full = 600

const HOUR = 3_600_000
const TEN_YEARS = 10 * 365 * 24 * HOUR
const SIDS = Array.from({ length: 8 }, (_, i) => `session-${i}`)

export async function run(count, seed) {
  const tally = new Tally(name)
  for (let i = 0; i < count; i++) {
    const own = seed * 1_000_003 + i
    await tally.try(`seed ${own}`, () => jumps(tally, `seed ${own}`, new Random(own)))
  }
  return tally
}

async function jumps(tally, what, random) {
  const clock = new TestClock()
  const start = clock.now()
  const options = {
    snapshotPath: DISK_PATH,
    durability: random.pick(['snapshot', 'everysec', 'always']),
    ttl: '24h',
    snapshotInterval: random.pick([0, HOUR]),
  }
  const jump = () => clock.set(random.pick([clock.now() - HOUR, start, start + TEN_YEARS]))
  /** sid → version, expiry, and whether it has been seen expired. */
  const state = new Map()
  let disk = new Disk()
  let version = 0
  let store
  const check = async (where) => {
    const served = await store.all()
    for (const sid of SIDS) {
      tally.sessionsChecked++
      const is = versionOf(sid, served[sid])
      const { version: latest = -1, expires = 0, dropped = false } = state.get(sid) ?? {}
      const alive = expires > clock.now()
      if (is === (alive ? latest : -1) || (dropped && is === -1)) continue
      tally.fail(is === -1 ? 'lost' : 'wrong', `${what}, ${where}: ${sid} is ${is}, not ${latest}`)
    }
  }
  const drop = (sid) => {
    const entry = state.get(sid)
    if (entry && entry.expires <= clock.now()) entry.dropped = true
  }
  for (let life = 0; life < 3; life++) {
    if (random.chance(0.5)) jump()
    ;({ store } = await openStore(options, surroundingsOf(disk, clock)))
    // What has expired by now may have gone for good with the restart.
    SIDS.forEach(drop)
    await check(`life ${life}`)
    for (let i = 0; i < 25; i++) {
      const sid = random.pick(SIDS)
      const way = random.next()
      if (way < 0.15) jump()
      else if (way < 0.55) {
        await store.set(sid, sessionOf(sid, ++version))
        state.set(sid, { version, expires: clock.now() + 24 * HOUR })
      } else if (way < 0.65) {
        await store.destroy(sid)
        state.delete(sid)
      } else if (way < 0.75) {
        drop(sid)
        if (state.has(sid) && !state.get(sid).dropped)
          state.get(sid).expires = clock.now() + 24 * HOUR
        await store.touch(sid, {})
      } else if (way < 0.85) {
        drop(sid)
        await store.get(sid)
      } else if (way < 0.9) await store.snapshot()
      else if (way < 0.93) {
        SIDS.forEach(drop)
        await store.prune()
      } else clock.advance(random.pick([10, 2000, 70_000, 7 * HOUR]))
      if (random.chance(0.3)) await check(`life ${life}, operation ${i}`)
    }
    if (random.chance(0.5)) {
      await store.flush()
      await settle()
      disk = disk.copy()
    } else await store.close()
  }
}
