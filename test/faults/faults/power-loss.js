/**
 * The power goes between any two steps of any file operation, and what was not synced is gone, or
 * partly gone. Three lives in a row, the recoveries interrupted as well; what the durability
 * promises is there each time, and no file is called torn or damaged where it had been synced.
 */
import { TestClock } from '../lib/clock.js'
import { Disk } from '../lib/disk.js'
import { DISK_PATH, surroundingsOf } from '../lib/disk-files.js'
import { checkHistory, History } from '../lib/history.js'
import { KEY } from '../lib/pictures.js'
import { Random } from '../lib/random.js'
import { sessionOf, versionOf } from '../lib/sessions.js'
import { openStore, settle } from '../lib/stores.js'
import { Tally } from '../lib/tally.js'

export const name = 'power loss'
/** Seeds, a third for each durability. */
export const full = 3000

const DURABILITIES = ['snapshot', 'everysec', 'always']
const SIDS = Array.from({ length: 12 }, (_, i) => `session-${i}`)
/** A file that ends with it has never held anything, and nothing of it is damaged. */
const HEADER = 1024
const LIFE = 3_600_000
const LIVES = 3
/** The clock moves in steps of at most this, ms: timers are due no more exactly than that. */
const STEP = 250

export async function run(count, seed) {
  const tally = new Tally(name)
  for (let i = 0; i < count; i++) {
    const durability = DURABILITIES[i % DURABILITIES.length]
    const own = seed * 1_000_003 + i
    const what = `seed ${own}, '${durability}'`
    await tally.try(what, () => lives(tally, what, new Random(own), durability))
  }
  return tally
}

async function lives(tally, what, random, durability) {
  let clock = new TestClock()
  const history = new History(LIFE, SIDS)
  const options = {
    snapshotPath: DISK_PATH,
    durability,
    encryptionKey: random.chance(0.01) ? KEY : undefined,
    snapshotInterval: random.chance(0.5) ? 2000 : 0,
  }
  let disk = new Disk()
  // An empty folder exists; what the first life makes of it may be interrupted as any other.
  let lost = 0
  const known = new Set()
  for (let life = 0; life <= LIVES; life++) {
    const where = `${what}, life ${life}`
    // The last one only looks.
    disk.prompt = random.chance(0.5)
    disk.stopAt = life < LIVES ? random.between(1, random.pick([20, 60, 150, 300])) : Infinity
    let stoppedAt = Infinity
    disk.onStop = () => (stoppedAt = clock.now())
    const durable = (state) => mustHold(state, durability, lost)
    const certain = new Map([...disk.entries].map(([path, inode]) => [path, inode.certain]))
    let opened
    try {
      opened = await openStore(options, surroundingsOf(disk, clock))
    } catch (error) {
      if (!disk.stopped) throw error
    }
    if (opened && !disk.stopped) {
      checkReport(tally, where, opened, certain, known)
      const { store, report } = opened
      const gaps = report.damaged > 0
      const served = await checkHistory(tally, where, store, history, durable, read, gaps)
      history.restart((sid) => read(sid, served[sid]))
      await live(store, disk, clock, random, history)
      if (!disk.stopped && life < LIVES && random.chance(0.2)) {
        const mark = history.mark
        await store.close().catch(ignore)
        if (!disk.stopped) history.flushed(mark)
      }
    }
    // What is under way fails, and nothing that follows is heard of.
    disk.stop()
    await settle()
    if (stoppedAt !== Infinity) lost = stoppedAt
    // Timers of the life that has ended are not to fire in the next.
    clock = new TestClock(clock.now())
    // What a kill leaves is all there until the power goes as well.
    disk = random.chance(0.3) ? disk.afterKill() : disk.afterPowerLoss(random)
  }
}

/**
 * Nothing is found torn or damaged but what had not been synced, and damage is told.
 *
 * @param known where ends were torn before: one that could not be copied aside is cut by a later life
 */
function checkReport(tally, what, { report, errors }, certain, known) {
  for (const { path, state, bytes: size, damage } of report.files) {
    const allowed = size > HEADER ? ['whole', 'torn', 'damaged'] : ['whole', 'torn']
    tally.require(allowed.includes(state), `${what}: found a file of ${size} bytes ${state}`)
    for (const { offset, bytes } of damage) {
      const unsynced = offset + bytes > certain.get(path) || certain.get(path) === 0
      const due = unsynced || known.has(`${path} ${offset}`)
      if (state === 'torn') known.add(`${path} ${offset}`)
      tally.require(due, `${what}: ${state} at ${offset}, of ${certain.get(path)} bytes synced`)
    }
  }
  const told = errors.some(({ code }) => code === 'ERR_DAMAGED')
  tally.require(told === report.damaged > 0, `${what}: ${report.damaged} damages, told: ${told}`)
}

/** Operations, several under way at once, until the power goes or there are enough. */
async function live(store, disk, clock, random, history) {
  let version = clock.now() % 1_000_000
  for (let round = 0; round < 30 && !disk.stopped; round++) {
    for (let i = random.between(1, 5); i > 0 && !disk.stopped; i--) {
      operate(store, disk, clock, random, history, ++version)
      await settle(random.below(4))
    }
    await quiet(disk)
    clock.advance(random.between(1, STEP))
  }
}

function operate(store, disk, clock, random, history, version) {
  const sid = random.pick(SIDS)
  const at = clock.now()
  const expires = at + LIFE
  const session = { ...sessionOf(sid, version), cookie: cookieOf(expires) }
  const way = random.next()
  if (way < 0.03 || way > 0.95) {
    const mark = history.mark
    const asked = way < 0.03 ? store.snapshot() : store.flush()
    asked.then(() => disk.stopped || history.flushed(mark), ignore)
    return
  }
  const kind = way < 0.5 ? 'set' : way < 0.7 ? 'destroy' : way < 0.72 ? 'clear' : 'touch'
  const states = history.note(kind, sid, version, at, expires)
  const asked = {
    set: () => store.set(sid, session),
    destroy: () => store.destroy(sid),
    clear: () => store.clear(),
    touch: () => store.touch(sid, session),
  }[kind]()
  asked.then(() => disk.stopped || history.acknowledge(states, clock.now()), ignore)
}

/** Whether a state must not be lost by a power loss at `lost`. */
function mustHold(state, durability, lost) {
  if (state.acknowledged === undefined || durability === 'snapshot') return false
  if (durability === 'always' && !state.touch) return true
  return state.at <= lost - 1000 - 2 * STEP
}

/** Waits until the disk has nothing to do. */
async function quiet(disk) {
  for (let before = -1; before !== disk.steps && !disk.stopped;) {
    before = disk.steps
    await settle(4)
  }
}

function read(sid, session) {
  const version = versionOf(sid, session)
  return { version, expires: version >= 0 ? Date.parse(session.cookie.expires) : 0 }
}

function cookieOf(expires) {
  return {
    originalMaxAge: LIFE,
    expires: new Date(expires).toISOString(),
    httpOnly: true,
    path: '/',
  }
}

function ignore() {
  // Not acknowledged.
}
