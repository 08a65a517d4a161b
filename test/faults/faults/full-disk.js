/**
 * A disk that fills up: the last good files stay readable, sessions are served, a start on the full
 * disk serves what is there, and writing goes on when there is room. A small tmpfs where this may
 * mount one, and a limit on the size of files anywhere.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkRestored, Victim } from '../lib/child.js'
import { History } from '../lib/history.js'
import { Random } from '../lib/random.js'
import { sessionOf, versionOf } from '../lib/sessions.js'
import { openStore } from '../lib/stores.js'
import { Tally } from '../lib/tally.js'

export const name = 'full disk'
export const full = 60

const STEPPER = fileURLToPath(new URL('../lib/stepper.js', import.meta.url))
const DURABILITIES = ['snapshot', 'everysec', 'always']
const SIZE = 1024 * 1024
const PAGE = 4096
const BYTES = 2000
const SIDS = Array.from({ length: 60 }, (_, i) => `session-${i}`)
const LIFE = 3_600_000

export async function run(count, seed) {
  const tally = new Tally(name)
  const folder = mkdtempSync(join(tmpdir(), 'pms-full-'))
  const mounts = mountTwo(folder)
  try {
    for (let i = 0; i < count; i++) {
      const random = new Random(seed * 7919 + i)
      const durability = DURABILITIES[i % 3]
      if (mounts && i % 4 !== 3) {
        const free = random.pick([0, 0, 1, 2, 5, 10, 20, 40])
        const what = `'${durability}', ${free} pages free, seed ${i}`
        await tally.try(what, () => fill(tally, what, mounts, durability, free, random))
      } else {
        const blocks = random.pick([1, 2, 4, 8, 30])
        const what = `'${durability}', files of ${blocks} blocks at most`
        await tally.try(what, () => limit(tally, what, folder, durability, blocks))
      }
    }
    if (!mounts) tally.notes.push('may not mount a tmpfs: by a limit on the size of files only')
  } finally {
    for (const mount of mounts ?? []) spawnSync('umount', ['-l', mount])
    rmSync(folder, { recursive: true, force: true })
  }
  return tally
}

/** Two small disks, or nothing where this process may not have them. */
function mountTwo(folder) {
  const mounts = ['one', 'two'].map((one) => join(folder, one))
  for (const mount of mounts) {
    mkdirSync(mount)
    const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', mount])
    if (status !== 0) return undefined
  }
  return mounts
}

async function fill(tally, what, [mount, second], durability, free, random) {
  empty(mount)
  const path = join(mount, 'sessions.snapshot')
  const options = { snapshotPath: path, durability }
  const { store, errors } = await openStore(options)
  /** sid → version in memory; sid → version that must be on disk. */
  const state = new Map()
  const safe = new Map()
  const put = async (sid, version) => {
    state.set(sid, version)
    // From now on the disk may have the one or the other, until one is acknowledged.
    const before = safe.get(sid)
    safe.set(sid, [...(before ?? [-1]), version])
    const change =
      version < 0 ? store.destroy(sid) : store.set(sid, { ...sessionOf(sid, version, BYTES) })
    await change.then(() => durability === 'always' && safe.set(sid, [version]), ignore)
  }
  const hold = () => state.forEach((version, sid) => safe.set(sid, [version]))
  for (const [i, sid] of SIDS.slice(0, 30).entries()) await put(sid, i)
  await store.snapshot()
  hold()
  ballast(mount, free)
  for (let i = 0; i < 60; i++) {
    const sid = random.pick(SIDS)
    await put(sid, random.chance(0.2) ? -1 : 1000 + i)
    const is = versionOf(sid, await store.get(sid), BYTES)
    tally.require(is === state.get(sid), `${what}: ${sid} is not served`)
    if (random.chance(0.05)) {
      const asked = new Map(state)
      const done = await store[random.pick(['snapshot', 'flush'])]().then(() => true, ignore)
      if (done)
        asked.forEach((version, one) => state.get(one) === version && safe.set(one, [version]))
    }
  }
  const told = new Set(errors.map(({ code }) => code))
  tally.require(
    told.size === 0 || (told.size === 1 && told.has('ERR_WRITE')),
    `${what}: ${[...told]}`,
  )

  // As a kill leaves it, and a start while there still is no room.
  empty(second)
  copyFiles(mount, second)
  ballast(second, 0)
  const started = await openStore({ ...options, snapshotPath: join(second, 'sessions.snapshot') })
  const found = await started.store.all()
  for (const [sid, versions] of safe) {
    tally.sessionsChecked++
    const is = versionOf(sid, found[sid], BYTES)
    if (!versions.includes(is)) tally.fail('lost', `${what}: ${sid} is ${is}, not ${versions}`)
  }
  await started.store.set('more', { there: 'is no room' }).catch(ignore)
  tally.require((await started.store.get('more')) !== undefined, `${what}: started, does not serve`)
  rmSync(join(second, 'ballast'))
  await started.store.flush()
  await started.store.close()

  rmSync(join(mount, 'ballast'))
  await store.flush()
  await store.close()
  const again = await openStore(options)
  const served = await again.store.all()
  for (const [sid, version] of state) {
    tally.sessionsChecked++
    const is = versionOf(sid, served[sid], BYTES)
    if (is !== version)
      tally.fail('lost', `${what}: with room again ${sid} is ${is}, not ${version}`)
  }
  await again.store.close()
}

/** Writes until `free` pages are left. */
function ballast(mount, free) {
  const file = join(mount, 'ballast')
  const available = Number(execFileSync('stat', ['-f', '-c', '%f', mount], { encoding: 'utf8' }))
  writeFileSync(file, Buffer.alloc(Math.max(0, available - free) * PAGE))
}

function empty(folder) {
  for (const file of readdirSync(folder)) rmSync(join(folder, file), { recursive: true })
}

function copyFiles(from, to) {
  for (const file of readdirSync(from)) {
    if (file !== 'ballast') cpSync(join(from, file), join(to, file))
  }
}

/** The same few steps in a process whose files may not grow beyond a limit. */
async function limit(tally, what, folder, durability, blocks) {
  const own = mkdtempSync(join(folder, 'limit-'))
  const history = new History(LIFE, SIDS)
  const config = {
    options: { snapshotPath: join(own, 'sessions.snapshot'), durability },
    sids: SIDS,
    life: LIFE,
    bytes: 0,
    writers: 0,
    operations: 0,
    patience: 3,
    base: 0,
    seed: 1,
  }
  const command = ['sh', '-c', `ulimit -f ${blocks}; exec "$0" "$@"`]
  const victim = new Victim(config, history, { script: STEPPER, command })
  victim.go()
  const { code, signal } = await victim.ended
  if (victim.served) victim.adopt()
  tally.require(
    victim.done && code === 0,
    `${what}: ended with ${code} ${signal}: ${victim.stderr}`,
  )
  tally.require(victim.unserved.length === 0, `${what}: not served after ${victim.unserved}`)
  const looker = new Victim(config, history)
  const durable = (state) =>
    state.acknowledged !== undefined && durability === 'always' && !state.touch
  looker.onRestored = () => checkRestored(tally, what, looker, history, durable)
  await looker.ended
  if (looker.refused) tally.fail('lost', `${what}: refused with ${looker.refused}`)
  else looker.adopt()
}

function ignore() {
  // Served from memory.
}
