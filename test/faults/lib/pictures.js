/**
 * Files to damage: a journal and a snapshot made by a real store, with what each part of them says.
 */
import { TestClock } from './clock.js'
import { Disk } from './disk.js'
import { DISK_PATH, surroundingsOf } from './disk-files.js'
import { Random } from './random.js'
import { openStore } from './stores.js'
import { sessionOf } from './sessions.js'

export const KEY = 'a key that only these files were ever sealed with'

/**
 * A journal of one frame an operation.
 *
 * @returns `ends[k]`: its length after operation `k`; `states[k]`: sid → version by then; `ops`
 */
export async function journalPicture(seed, { key = undefined, records = 60 } = {}) {
  const random = new Random(seed)
  const disk = new Disk()
  const clock = new TestClock()
  const options = { snapshotPath: DISK_PATH, encryptionKey: key, ttl: '12h' }
  const { store } = await openStore(options, surroundingsOf(disk, clock))
  const path = `${DISK_PATH}.journal-1`
  const state = new Map()
  const ends = []
  const states = []
  const ops = []
  for (let version = 0; version < records; version++) {
    const sid = `session-${random.below(records / 2)}`
    let kind = 'set'
    if (version === Math.floor(records / 3)) kind = 'clear'
    else if (state.has(sid) && random.chance(0.3)) kind = random.pick(['destroy', 'touch'])
    clock.advance(kind === 'touch' ? 90_000 : 5)
    if (kind === 'clear') await store.clear()
    else if (kind === 'destroy') await store.destroy(sid)
    else if (kind === 'touch') await store.touch(sid, {})
    else await store.set(sid, sessionOf(sid, version))
    await store.flush()
    ops.push({ kind, sid, version })
    apply(state, ops.at(-1))
    ends.push(disk.read(path)?.length ?? 0)
    states.push(new Map(state))
  }
  await store.close()
  return { disk, clock, options, path, ends, states, ops }
}

/** What an operation makes of a state, sid → version. */
export function apply(state, { kind, sid, version }) {
  if (kind === 'set') state.set(sid, version)
  else if (kind === 'destroy') state.delete(sid)
  else if (kind === 'clear') state.clear()
}

/**
 * A snapshot, of one frame of entries or, with `bytes` a session, of several.
 *
 * @returns `state`: sid → version; `before`: the state of the generation before, where it is kept
 */
export async function snapshotPicture(
  seed,
  { key = undefined, records = 55, bytes = 0, previous = false, durability = 'everysec' } = {},
) {
  const random = new Random(seed)
  const disk = new Disk()
  const clock = new TestClock()
  const options = { snapshotPath: DISK_PATH, encryptionKey: key, ttl: '12h', durability }
  const { store } = await openStore(options, surroundingsOf(disk, clock))
  const state = new Map()
  const set = async (sid, version) => {
    await store.set(sid, sessionOf(sid, version, bytes))
    state.set(sid, version)
  }
  for (let k = 0; k < records; k++) await set(`session-${k}`, k)
  for (let k = 0; k < 6; k++) await set(`gone-${k}`, k)
  await store.snapshot()
  const before = new Map(state)
  for (let k = 0; k < records; k++) {
    if (random.chance(0.3)) await set(`session-${k}`, records + k)
  }
  for (let k = 0; k < 6; k++) {
    await store.destroy(`gone-${k}`)
    state.delete(`gone-${k}`)
  }
  await store.snapshot()
  await store.close()
  // Without the generation before, only what the file itself says can be served.
  if (!previous) {
    for (const name of disk.siblings(DISK_PATH)) disk.drop(`/disk/${name}`)
  }
  return { disk, clock, options, path: DISK_PATH, state, before, bytes }
}

/** Evenly spread places, all of them where there are no more than `count`. */
export function spread(places, count, random) {
  const list = Array.from({ length: places }, (_, i) => i)
  if (places <= count) return list
  const stride = places / count
  const phase = random.next() * stride
  const picked = Array.from({ length: count }, (_, i) => Math.floor(phase + i * stride))
  return [...new Set([0, ...picked.filter((i) => i < places), places - 1])]
}

/** A store on a copy of the picture's disk in which one file holds `bytes`. */
export async function openDamaged({ disk, clock, options, path }, bytes, more = {}) {
  const damaged = disk.copy()
  damaged.put(path, bytes)
  const opened = await openStore({ ...options, ...more }, surroundingsOf(damaged, clock))
  return { ...opened, damaged }
}
