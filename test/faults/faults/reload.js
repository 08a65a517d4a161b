/**
 * Random sequences of operations beside a simple model: what a store serves is what the model says,
 * and it is the same after a clean close, and after a kill that followed a flush; so is when each
 * session ends.
 */
import { TestClock } from '../lib/clock.js'
import { Disk } from '../lib/disk.js'
import { DISK_PATH, surroundingsOf } from '../lib/disk-files.js'
import { ModelStore, show } from '../lib/model.js'
import { KEY } from '../lib/pictures.js'
import { Random } from '../lib/random.js'
import { openStore } from '../lib/stores.js'
import { Tally } from '../lib/tally.js'

export const name = 'reload'
/** Sequences of operations. */
export const full = 1000

const HOUR = 3_600_000
const ODD_SIDS = ['', '__proto__', 'constructor', 'ü', '春', '\u{1f36a}', 'x'.repeat(300)]
const LOAD = [1, 5, 20, 60]

export async function run(count, seed) {
  const tally = new Tally(name)
  for (let i = 0; i < count; i++) {
    const own = seed * 1_000_003 + i
    await tally.try(`seed ${own}`, () => sequence(tally, `seed ${own}`, new Random(own)))
  }
  return tally
}

async function sequence(tally, what, random) {
  const limits = { max: random.pick([0, 0, 5, 20]), ttl: random.pick([HOUR, 24 * HOUR, 60_000]) }
  const options = {
    snapshotPath: DISK_PATH,
    durability: random.pick(['snapshot', 'everysec', 'always']),
    max: limits.max,
    ttl: `${limits.ttl}ms`,
    encryptionKey: random.chance(0.02) ? KEY : undefined,
  }
  const model = new ModelStore(limits)
  const clock = new TestClock()
  let disk = new Disk()
  for (let life = 0; life < 3; life++) {
    const where = `${what}, life ${life}`
    const { store, errors } = await openStore(options, surroundingsOf(disk, clock))
    // What has expired is not restored, and counts for no limit from then on.
    model.prune(clock.now())
    await compare(tally, `${where}, opened`, store, model, clock)
    const operations = random.pick(LOAD)
    for (let i = 0; i < operations; i++) {
      // A mere read is not written down, so that it counts for the order of use until a restart only.
      await operate(store, model, clock, random, limits.max > 0)
    }
    await compare(tally, `${where}, before closing`, store, model, clock)
    if (random.chance(0.3)) {
      await store.flush()
      // As a kill leaves it: everything written is there.
      disk = disk.copy()
    } else {
      await store.close()
    }
    tally.require(errors.length === 0, `${where}: ${errors[0]?.message}`)
  }
  const { store } = await openStore(options, surroundingsOf(disk, clock))
  for (const later of [0, limits.ttl / 3, limits.ttl / 2, limits.ttl]) {
    clock.advance(later)
    await compare(tally, `${what}, ${later} ms later`, store, model, clock)
  }
  await store.close()
}

async function operate(store, model, clock, random, limited) {
  const sid = random.chance(0.1) ? random.pick(ODD_SIDS) : `session-${random.below(30)}`
  const now = clock.now()
  const cookie = cookieOf(random, now)
  const way = random.next()
  if (way < 0.5) {
    const session = { ...dataOf(random), ...(cookie && { cookie }) }
    model.set(sid, session, now)
    await store.set(sid, session)
  } else if (way < 0.65) {
    model.touch(sid, { cookie }, now)
    await store.touch(sid, cookie ? { cookie } : {})
  } else if (way < 0.75) {
    model.destroy(sid)
    await store.destroy(sid)
  } else if (way < 0.9 && !limited) {
    model.get(sid, now)
    await store.get(sid)
  } else if (way < 0.91) {
    model.clear()
    await store.clear()
  } else if (way < 0.93) {
    model.prune(now)
    await store.prune()
  } else if (way < 0.96) {
    await store.snapshot()
  } else {
    clock.advance(random.pick([1, 1500, 40_000, HOUR]))
  }
}

async function compare(tally, what, store, model, clock) {
  const shown = model.shown(clock.now())
  const served = await store.all()
  for (const sid of new Set([...shown.keys(), ...Object.keys(served)])) {
    tally.sessionsChecked++
    const is = sid in served ? show(served[sid]) : undefined
    const ought = shown.get(sid)
    if (is === ought) continue
    const kind = is === undefined ? 'lost' : 'wrong'
    tally.fail(kind, `${what}: ${JSON.stringify(sid).slice(0, 40)}: ${is} for ${ought}`)
  }
}

function cookieOf(random, now) {
  const path = random.pick(['/', '/', '/shop'])
  const way = random.below(4)
  if (way === 0) return undefined
  if (way === 1) return { path, httpOnly: true, originalMaxAge: null }
  const life = random.pick([-1, 1000, 60_000, HOUR, 30 * 24 * HOUR])
  return { path, originalMaxAge: life, expires: new Date(now + life).toISOString() }
}

/** Data of few shapes that recur, and of some that don't. */
function dataOf(random) {
  const number = random.pick([0, -0, 1.5, NaN, 2 ** 53, -1, Infinity])
  const text = random.pick(['', 'plain', 'grün', '春', '\u{1f36a}', '\ud800', 'x'.repeat(5000)])
  switch (random.below(9)) {
    case 0:
      return { user: { id: number, name: text } }
    case 1:
      return { cart: [{ item: text, count: number }], seen: true }
    case 2:
      return { ['key\ud800']: text, ['key\ud801']: number }
    case 3:
      return { [`own${random.below(1000)}`]: text, nested: { [text]: number } }
    case 4:
      return { at: new Date(random.below(2 ** 40)), all: new Set([text, number]), of: /a+/gi }
    case 5:
      return { map: new Map([[text, number]]), big: 2n ** 70n, bytes: new Uint8Array([1, 2, 3]) }
    case 6:
      return { nothing: undefined, none: null, list: [undefined, null, [], {}] }
    case 7:
      return { ['__proto__x']: 1, constructor: text, hasOwnProperty: number }
    default:
      return {}
  }
}
