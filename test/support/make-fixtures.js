/**
 * Makes the files in fixtures/v1/, once: they stand for what released versions have written, so
 * they are committed and never made again for a format version that has been released.
 *
 *     npm run build && node test/support/make-fixtures.js
 *
 * In go the payloads in fixtures/payloads/; out come one folder a fixture, expected.json with what
 * each must give, and SHA256SUMS. What is expected is what was set, never what was read back.
 */
import { createHash } from 'node:crypto'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'
import { Packr } from 'msgpackr'
import { PersistentMemoryStore } from 'persistent-memorystore'
import { values } from './fixture-values.js'

const fixtures = fileURLToPath(new URL('../../fixtures/', import.meta.url))
const target = join(fixtures, 'v1')
const NAME = 'sessions.snapshot'
/** The moment at which everything happens; the tests open the files a minute later. */
const MOMENT = Date.UTC(2026, 0, 1, 12)
const KEY = 'a key for these files, and for nothing else'
/** How often a letter is repeated in a large session; expected.json says so instead. */
const TIMES = 30_000
const HEAD = 17
const HEADER_FRAME = 512

const packr = new Packr({ useRecords: false, variableMapSize: true })
const clock = {
  now: () => MOMENT,
  after: (ms, callback) => stopping(setTimeout(callback, ms)),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  every: () => () => undefined,
}
const stopping = (timer) => () => clearTimeout(timer)
const json = { stringify: JSON.stringify, parse: JSON.parse }

const payloads = Object.fromEntries(
  await Promise.all(
    (await readdir(join(fixtures, 'payloads'))).map(async (file) => [
      file.replace('.json', ''),
      JSON.parse(await readFile(join(fixtures, 'payloads', file), 'utf8')),
    ]),
  ),
)
const small = Object.keys(payloads).filter((name) => name !== 'large-report')

/** A session in the shape of a payload, with a value of its own. */
function session(name, number) {
  return { ...structuredClone(payloads[name]), fixture: `${name} ${number}` }
}

/** One more session that has expired by the time the files are opened. */
const expired = {
  cookie: { originalMaxAge: 30_000, expires: new Date(MOMENT + 30_000).toISOString(), path: '/' },
  fixture: 'expired',
}

const expected = {}
const work = await mkdtemp(join(tmpdir(), 'fixtures-'))
await rm(target, { recursive: true, force: true })

/**
 * Fills a store and keeps its files as a fixture. `change` may damage them, and says which sessions
 * are lost by that, what stands instead and what the report is to say.
 */
async function make(name, options, fill, change = () => undefined) {
  const folder = join(work, name)
  const path = join(folder, NAME)
  const sessions = new Map()
  const store = new PersistentMemoryStore(
    { snapshotPath: path, checkPeriod: 0, snapshotInterval: 0, watch: false, ...options },
    { clock },
  )
  await store.ready()
  await fill({
    store,
    async set(sid, value) {
      await store.set(sid, value)
      if (value !== expired) sessions.set(sid, value)
    },
    async destroy(sid) {
      await store.destroy(sid)
      sessions.delete(sid)
    },
  })
  await store.close()
  await keep(name, folder)
  const own = join(target, name)
  const { lost = [], instead = {}, ...outcome } = (await change(own)) ?? {}
  for (const sid of lost) sessions.delete(sid)
  const found = { ...Object.fromEntries(sessions), ...instead }
  expected[name] = { damaged: 0, filledIn: false, ...outcome, sessions: found }
}

/** Copies the files of a store, without the notes of its process. */
async function keep(name, folder) {
  await mkdir(join(target, name), { recursive: true })
  for (const file of await readdir(folder)) {
    if (/\.(lease|successor)-/.test(file)) continue
    await cp(join(folder, file), join(target, name, file))
  }
}

/** The frames of a file: where each begins, how long it is and what it carries. */
function framesOf(bytes) {
  const frames = []
  for (let offset = 0; offset < bytes.length;) {
    const length = HEAD + bytes.readUInt32BE(offset + 13)
    const payload = bytes.subarray(offset + HEAD, offset + length)
    frames.push({ kind: bytes[offset + 1], offset, length, payload })
    offset += length
  }
  return frames
}

/** The sids of the entries in a frame. */
function sidsIn({ payload }) {
  const records = packr.unpackMultiple(payload)
  const sids = records.filter(([kind]) => kind === 3).map(([, sid]) => sid)
  return sids.map((sid) => (Buffer.isBuffer(sid) ? sid.toString('base64url') : sid))
}

const edit = async (path, change) => writeFile(path, change(await readFile(path)))

/** Flips a byte in the middle of one frame; returns it. */
async function flip(path, choose) {
  let hit
  await edit(path, (bytes) => {
    hit = choose(framesOf(bytes))
    bytes[hit.offset + (hit.length >> 1)] ^= 0x10
    return bytes
  })
  return hit
}

const entries = (frames) => frames.filter((frame) => frame.kind === 1 && sidsIn(frame).length > 0)
const latestJournal = async (folder) => {
  const journals = (await readdir(folder)).filter((file) => file.includes('.journal-'))
  const number = (file) => Number(file.split('-').at(-1))
  return join(folder, journals.sort((a, b) => number(a) - number(b)).at(-1))
}

/** Two of each small shape, and one session that will have expired. */
async function fillSmall({ set }) {
  for (const number of [1, 2]) {
    for (const name of small) await set(`${name}-${number}`, session(name, number))
  }
  // As express-session makes them.
  await set('Vb0JcL8TzQ-4nYx_2mKd6RwEo1PaSgHu', session('views-counter', 4))
  await set('expired', expired)
}

/** Large sessions, so that a snapshot of few has several frames. */
async function fillLarge({ set }) {
  for (let number = 1; number <= 10; number++) {
    const bulk = String.fromCharCode(96 + number).repeat(TIMES)
    await set(`large-${number}`, { ...session('cart', number), bulk })
  }
}

/** A snapshot, the generation before it, and changes in the journals of both. */
async function fillGenerations({ store, set, destroy }) {
  await fillSmall({ set })
  await store.snapshot()
  await set('cart-1', session('cart', 'of the first journal'))
  await destroy('cart-2')
  await store.flush()
  await store.snapshot()
  await set('cart-3', session('cart', 3))
  await store.flush()
  await destroy('shop-app-2')
  await store.flush()
  await set('wizard-form-1', session('wizard-form', 'of the second journal'))
  await set('sid of any text: \u00e9, \u65e5\u672c, \u{1f381}', session('views-counter', 3))
}

/** Opaque and signed tokens of every length to a multiple of four, and what only looks like one. */
function tokens(number) {
  const hash = (text) => createHash('sha512').update(`${text} ${number}`).digest('base64url')
  const part = (text, length) => (hash(text) + hash(`${text} more`)).slice(0, length)
  return {
    ...session('oidc-tokens', number),
    opaque: [40, 41, 42, 43, 120].map((length) => part('opaque', length)),
    signed: [part('header', 36), part('payload', 160), part('signature', 43)].join('.'),
    plain: [part('short', 39), `${part('base64', 60)}+/==`, `${part('host', 50)}.example.com`],
    name: 'Łukasz',
  }
}

const SNAPSHOT = { durability: 'snapshot' }
const EVERYSEC = { durability: 'everysec' }

await make('snapshot', SNAPSHOT, fillSmall)
await make('generations', EVERYSEC, fillGenerations)
await make('encrypted', { ...EVERYSEC, encryptionKey: KEY }, fillGenerations)
await make('serializer', { ...EVERYSEC, serializer: json }, fillGenerations)

await make('values', EVERYSEC, async ({ store }) => {
  // In the journal, and in the snapshot; what is expected stands in fixture-values.js.
  await store.set('in the snapshot', values())
  await store.snapshot()
  await store.set('in the journal', values())
})

await make('tokens', EVERYSEC, async ({ store, set }) => {
  await set('in the snapshot', tokens(1))
  await store.snapshot()
  await set('in the journal', tokens(2))
})

await make('torn-journal', EVERYSEC, fillGenerations, async (folder) => {
  const path = await latestJournal(folder)
  let last
  await edit(path, (bytes) => {
    last = framesOf(bytes).at(-1)
    return bytes.subarray(0, bytes.length - 5)
  })
  const lost = sidsIn(last)
  // What the cut frame had replaced is as it was before.
  const instead = { 'wizard-form-1': session('wizard-form', 1) }
  if (!lost.includes('wizard-form-1')) throw new Error('Expected another last frame')
  return { lost, instead }
})

await make('flipped-journal', EVERYSEC, fillGenerations, async (folder) => {
  const path = await latestJournal(folder)
  const hit = await flip(path, (frames) => entries(frames)[0])
  return { lost: sidsIn(hit), damaged: 1 }
})

await make('flipped-snapshot', SNAPSHOT, fillLarge, async (folder) => {
  const hit = await flip(join(folder, NAME), (frames) => entries(frames)[1])
  return { lost: sidsIn(hit), damaged: 1 }
})

await make('truncated-snapshot', SNAPSHOT, fillLarge, async (folder) => {
  let lost
  await edit(join(folder, NAME), (bytes) => {
    const [kept, cut, ...rest] = entries(framesOf(bytes)).reverse()
    lost = [kept, cut].flatMap(sidsIn)
    if (rest.length === 0) throw new Error('Expected more frames')
    return bytes.subarray(0, cut.offset + (cut.length >> 1))
  })
  return { lost, damaged: 1 }
})

await make('filled-in', EVERYSEC, fillGenerations, async (folder) => {
  await flip(join(folder, NAME), (frames) => entries(frames)[0])
  return { damaged: 1, filledIn: true }
})

await make('newer-version', SNAPSHOT, fillSmall, async (folder) => {
  await edit(join(folder, NAME), (bytes) => {
    for (const at of [0, HEADER_FRAME]) {
      const version = bytes.indexOf(Buffer.from('\xa7version\x01', 'latin1'), at) + 8
      bytes[version] = 2
      const frame = bytes.subarray(at, at + HEADER_FRAME)
      let checksum = crc32(frame.subarray(1, 7))
      checksum = crc32(frame.subarray(12, HEAD), checksum)
      bytes.writeUInt32BE(crc32(frame.subarray(HEAD), checksum), at + 8)
    }
    return bytes
  })
})

for (const [name, contents] of Object.entries({
  foreign: `${JSON.stringify({ sessions: { a: payloads.cart } })}\n`,
  empty: '',
})) {
  await mkdir(join(target, name), { recursive: true })
  await writeFile(join(target, name, NAME), contents)
}

const short = (key, value) => (key === 'bulk' ? { repeat: value[0], times: value.length } : value)
await writeFile(join(target, 'expected.json'), `${JSON.stringify(expected, short, 1)}\n`)
const sums = []
for (const name of (await readdir(target)).sort()) {
  if (name === 'expected.json') continue
  for (const file of (await readdir(join(target, name))).sort()) {
    const bytes = await readFile(join(target, name, file))
    sums.push(`${createHash('sha256').update(bytes).digest('hex')}  ${name}/${file}\n`)
  }
}
await writeFile(join(target, 'SHA256SUMS'), sums.join(''))
await rm(work, { recursive: true })
