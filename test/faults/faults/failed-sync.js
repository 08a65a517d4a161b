/**
 * Each step on the disk fails, once or for a while, EIO or ENOSPC; a failed sync above all. Sessions
 * are served throughout, a file whose sync failed is never written or synced again, nothing is
 * acknowledged before a whole new generation stands, and once the disk is well all is written and on the platters.
 */
import { TestClock } from '../lib/clock.js'
import { Disk } from '../lib/disk.js'
import { DISK_PATH, surroundingsOf } from '../lib/disk-files.js'
import { Random } from '../lib/random.js'
import { sessionOf, versionOf } from '../lib/sessions.js'
import { openStore, settle } from '../lib/stores.js'
import { Tally } from '../lib/tally.js'

export const name = 'failed sync'
/** Seeds; each fails another step. */
export const full = 1500

const SIDS = Array.from({ length: 10 }, (_, i) => `session-${i}`)
const HEADER = 1024
const SYNCS = new Set(['fsync', 'fdatasync'])

export async function run(count, seed) {
  const tally = new Tally(name)
  for (let i = 0; i < count; i++) {
    const own = seed * 1_000_003 + i
    await tally.try(`seed ${own}`, () => failing(tally, `seed ${own}`, new Random(own)))
  }
  return tally
}

async function failing(tally, what, random) {
  const clock = new TestClock()
  const disk = new Disk()
  disk.prompt = random.chance(0.5)
  const durability = random.pick(['everysec', 'always', 'always', 'snapshot'])
  const options = { snapshotPath: DISK_PATH, durability, snapshotInterval: random.pick([0, 3000]) }
  const { store, errors } = await openStore(options, surroundingsOf(disk, clock))
  const state = new Map()
  const watch = new Watch(tally, what, disk, random)
  for (let i = 0; i < 40; i++) {
    const sid = random.pick(SIDS)
    const way = random.next()
    const expected = way < 0.6 ? i : -1
    if (way < 0.05) await store.snapshot().catch(ignore)
    else {
      const change = expected >= 0 ? store.set(sid, sessionOf(sid, i)) : store.destroy(sid)
      state.set(sid, expected)
      const answer = change.then(() => {
        if (durability === 'always') watch.acknowledged()
      }, ignore)
      if (random.chance(0.7)) await answer
    }
    tally.require(
      versionOf(sid, await store.get(sid)) === (state.get(sid) ?? -1),
      `${what}: not served`,
    )
    if (random.chance(0.5)) clock.advance(random.pick([100, 1100, 5000]))
    await settle(random.below(30))
  }
  watch.over()
  // The longest pause between attempts.
  clock.advance(60_000)
  await settle(60)
  await store.flush()
  if (watch.failures > 0 && watch.hitWriting) {
    tally.require(
      errors.every((error) => error.code === 'ERR_WRITE'),
      `${what}: told ${errors.map((error) => error.code)}`,
    )
  }
  const { store: again } = await openStore(
    options,
    surroundingsOf(disk.afterPowerLoss(random), clock),
  )
  const served = await again.all()
  for (const sid of SIDS) {
    tally.sessionsChecked++
    const is = versionOf(sid, served[sid])
    const ought = state.get(sid) ?? -1
    if (is !== ought)
      tally.fail(ought < 0 ? 'wrong' : 'lost', `${what}: ${sid} is ${is}, not ${ought}`)
  }
  await again.close()
  await store.close()
}

/** Makes steps fail and watches what is done afterwards. */
class Watch {
  failures = 0
  hitWriting = false
  #tally
  #what
  #left
  #before
  #code
  #only
  /** Files whose sync failed. */
  #tainted = new Set()
  #disk
  /** A sync of a journal failed, and no generation has been finished since. */
  #owed = false
  #renamed = false

  constructor(tally, what, disk, random) {
    this.#tally = tally
    this.#what = what
    this.#disk = disk
    this.#before = random.below(80)
    this.#left = random.pick([1, 1, 3, 20, 200])
    this.#code = random.pick(['EIO', 'ENOSPC'])
    this.#only = random.pick([
      'fdatasync',
      'fdatasync',
      'fsync',
      'write',
      'rename',
      'open',
      undefined,
    ])
    disk.fault = (kind, path) => {
      const error = this.#step(kind, path)
      if (!error) this.#done(kind, path)
      return error
    }
  }

  over() {
    this.#left = 0
  }

  acknowledged() {
    this.#tally.require(!this.#owed, `${this.#what}: acknowledged on a file whose sync failed`)
  }

  /** A generation stands when its name does, on the disk. */
  #done(kind, path) {
    if (kind === 'rename' && path === DISK_PATH) this.#renamed = true
    else if (this.#renamed && kind === 'fsync' && path === `${DISK_PATH}/..`) {
      this.#renamed = this.#owed = false
    }
  }

  #step(kind, path) {
    const inode = this.#disk.entries.get(path)
    const touches = kind === 'write' || SYNCS.has(kind)
    if (touches && inode && this.#tainted.has(inode)) {
      this.#tally.fail('wrong', `${this.#what}: ${kind} on a file whose sync failed`)
    }
    if (this.#before-- > 0 || this.#left <= 0) return undefined
    if (this.#only !== undefined && kind !== this.#only) return undefined
    this.#left--
    this.failures++
    this.hitWriting ||= touches || kind === 'rename'
    if (SYNCS.has(kind) && inode) {
      this.#tainted.add(inode)
      // One that holds no more than its header owes nothing to anybody.
      if (path.includes('.journal-') && inode.data.length > HEADER) this.#owed = true
    }
    // That there is no room turns out when a prompt journal is written to.
    const code = kind === 'fdatasync' && this.#disk.prompt ? 'EIO' : this.#code
    return Object.assign(new Error(code), { code })
  }
}

function ignore() {
  // Served from memory.
}
