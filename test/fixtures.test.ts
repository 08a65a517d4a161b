/**
 * Files that were written once: whatever this version does differently, it opens them, and gives
 * what fixtures/README.md says. Works on copies; the fixtures themselves never change.
 */
import { createHash } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PersistentMemoryStore, type StoreError } from '../src/index.js'
import { values } from './support/fixture-values.js'
import { StubClock } from './support/stub-clock.js'

const fixtures = fileURLToPath(new URL('../fixtures/v1/', import.meta.url))
const OPENED = Date.UTC(2026, 0, 1, 12, 1)
const encryptionKey = 'a key for these files, and for nothing else'
const serializer = { stringify: JSON.stringify, parse: JSON.parse }
type StoreOptions = ConstructorParameters<typeof PersistentMemoryStore>[0]

interface Expected {
  sessions: Record<string, object>
  damaged: number
  filledIn: boolean
}
interface Repeated {
  repeat: string
  times: number
}
const expected = JSON.parse(
  await readFile(join(fixtures, 'expected.json'), 'utf8'),
  (key, value: unknown) =>
    key === 'bulk' ? (value as Repeated).repeat.repeat((value as Repeated).times) : value,
) as Record<string, Expected>

let folder = ''
let opened: PersistentMemoryStore[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fixtures-'))
})
afterEach(async () => {
  await Promise.allSettled(opened.map((store) => store.close()))
  opened = []
  await rm(folder, { recursive: true, force: true })
})

/** A store on a copy of a fixture, and the errors it tells. */
async function openCopy(name: string, options: StoreOptions = {}) {
  await cp(join(fixtures, name), folder, { recursive: true })
  const errors: StoreError[] = []
  const quiet = { checkPeriod: 0, snapshotInterval: 0, watch: false, flushOnExit: false } as const
  const snapshotPath = join(folder, 'sessions.snapshot')
  const store = new PersistentMemoryStore(
    { snapshotPath, ...quiet, ...options },
    { clock: new StubClock(OPENED) },
  )
  store.on('error', (error: StoreError) => errors.push(error))
  opened.push(store)
  return { store, errors }
}

/** Checksums of the files of a folder and the folders in it, as SHA256SUMS has them. */
async function sumsOf(root: string): Promise<string[]> {
  const found = await readdir(root, { withFileTypes: true, recursive: true })
  const files = found.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name))
  const sums = files.sort().map(async (path) => {
    const sum = createHash('sha256').update(await readFile(path))
    return `${sum.digest('hex')}  ${path.slice(root.length)}`
  })
  return Promise.all(sums)
}

/** The files of a store, notes of its process aside. */
const filesOf = async (root: string) =>
  (await sumsOf(root)).filter((line) => !/\.(lease|successor)-/.test(line))

const readable: [name: string, options: StoreOptions, state: string][] = [
  ['snapshot', {}, 'whole'],
  ['generations', {}, 'whole'],
  ['encrypted', { encryptionKey }, 'whole'],
  ['encrypted', { encryptionKey: ['a newer key', encryptionKey] }, 'whole'],
  ['serializer', { serializer }, 'whole'],
  ['tokens', {}, 'whole'],
  ['torn-journal', {}, 'torn'],
  ['flipped-journal', {}, 'damaged'],
  ['filled-in', {}, 'damaged'],
  ['flipped-snapshot', {}, 'damaged'],
  ['truncated-snapshot', {}, 'damaged'],
]

describe.each(readable)('%s', (name, options, state) => {
  test('gives the sessions that were put in, damage aside, and reports what was found', async () => {
    const { store, errors } = await openCopy(name, options)
    const { sessions, damaged, filledIn } = expected[name]!
    const report = await store.ready()
    expect({ ...(await store.all()) }).toEqual(sessions)
    expect(report).toMatchObject({ sessions: Object.keys(sessions).length, filledIn })
    expect(report.files.map((file) => file.state)).toContain(state)
    const told = report.files.filter((file) => file.state !== 'whole')
    expect(told.map((file) => file.state)).toEqual(state === 'whole' ? [] : [state])
    expect(report.damaged).toBe(damaged)
    expect(errors.map(({ code }) => code)).toEqual(damaged > 0 ? ['ERR_DAMAGED'] : [])
    // What was not whole is kept as it was found.
    for (const { path, setAside } of told) {
      const original = join(fixtures, name, path.slice(folder.length))
      expect(await readFile(setAside!)).toEqual(await readFile(original))
    }
  })

  test('gives the same again when it is written by this version', async () => {
    const first = await openCopy(name, options)
    await first.store.snapshot()
    await first.store.close()
    const snapshotPath = join(folder, 'sessions.snapshot')
    const again = new PersistentMemoryStore(
      { ...options, snapshotPath, checkPeriod: 0, watch: false, flushOnExit: false },
      { clock: new StubClock(OPENED) },
    )
    opened.push(again)
    expect({ ...(await again.all()) }).toEqual(expected[name]!.sessions)
    expect(await again.ready()).toMatchObject({ damaged: 0 })
  })
})

test('values gives everything that a session can hold beside what JSON knows', async () => {
  const { store } = await openCopy('values')
  for (const sid of ['in the snapshot', 'in the journal']) {
    expect(await store.get(sid)).toEqual(values())
  }
})

test.each([
  ['newer-version', {}, 'ERR_FORMAT_VERSION'],
  ['foreign', {}, 'ERR_FORMAT_FOREIGN'],
  ['empty', {}, 'ERR_FORMAT_FOREIGN'],
  ['encrypted', {}, 'ERR_KEY'],
  ['encrypted', { encryptionKey: 'another key' }, 'ERR_KEY'],
  ['serializer', {}, 'ERR_ENCODING'],
  ['generations', { serializer }, 'ERR_ENCODING'],
  ['flipped-journal', { onCorrupt: 'throw' as const }, 'ERR_DAMAGED'],
  ['filled-in', { onCorrupt: 'throw' as const }, 'ERR_DAMAGED'],
  ['flipped-snapshot', { onCorrupt: 'throw' as const }, 'ERR_DAMAGED'],
  ['truncated-snapshot', { onCorrupt: 'throw' as const }, 'ERR_DAMAGED'],
])('%s with %o is %s, and every file stays as it is', async (name, options, code) => {
  const { store } = await openCopy(name, options)
  const before = await filesOf(folder)
  await expect(store.ready()).rejects.toMatchObject({ name: 'StoreError', code })
  await expect(store.get('cart-1')).rejects.toMatchObject({ code })
  await store.close()
  expect(await filesOf(folder)).toEqual(before)
})

test('no fixture is without its expectations, nor holds much', () => {
  const tested = [...readable.map(([name]) => name), 'values', 'newer-version', 'foreign', 'empty']
  expect(new Set(tested)).toEqual(new Set([...Object.keys(expected), 'foreign', 'empty']))
  for (const { sessions } of Object.values(expected)) {
    expect(Object.keys(sessions).length).toBeLessThanOrEqual(50)
  }
})

afterAll(async () => {
  const sums = (await readFile(join(fixtures, 'SHA256SUMS'), 'utf8')).trimEnd().split('\n')
  const found = await sumsOf(fixtures)
  const files = found.filter((line) => !/ {2}(expected\.json|SHA256SUMS)$/.test(line))
  expect(files.sort()).toEqual(sums.sort())
})
