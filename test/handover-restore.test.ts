/**
 * Files that an operator puts at the path of a store while it runs: backups restored, sessions
 * brought along from another machine, things that are no snapshot at all.
 */
import { once } from 'node:events'
import {
  copyFile,
  lstat,
  open,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { nodeFiles } from '../src/core/node-files.js'
import { patient } from './support/patience.js'
import { newPath, type Opened, openAt, sidsOf } from './support/real-stores.js'
import { sessionOf } from './support/stores.js'
import { meanwhile, pass, StubClock } from './support/stub-clock.js'

const DAY = 86_400_000
const KEY = 'a key that is long enough'
const session = (data: object = {}) =>
  sessionOf(data, { originalMaxAge: DAY, expires: new Date(Date.now() + DAY), path: '/' })
const never = { snapshotInterval: 0, checkPeriod: 0 } as const
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const ways = ['copied over it', 'moved over it'] as const

type Options = NonNullable<Parameters<typeof openAt>[1]>
type Surroundings = NonNullable<Parameters<typeof openAt>[2]>

let path: string
let running: Opened
let backup: string

/** Puts a file there as `cp` or as `mv` does. */
async function put(file: string, way: (typeof ways)[number] = 'moved over it'): Promise<void> {
  if (way === 'copied over it') return copyFile(file, path)
  await copyFile(file, `${dirname(path)}/brought-along`)
  await rename(`${dirname(path)}/brought-along`, path)
}

/** Copies that were set aside. */
async function aside(): Promise<string[]> {
  return (await readdir(dirname(path)))
    .filter((name) => name.includes('.corrupt-'))
    .map((name) => join(dirname(path), name))
}

/** A store with sessions of today, of which there is a backup of yesterday. */
async function withBackup(options: Options = {}, surroundings: Surroundings = {}): Promise<void> {
  running = await openAt(path, { ...never, ...options }, surroundings)
  const { store } = running
  for (const sid of ['changed', 'gone', 'same']) await store.set(sid, session({ day: 1 }))
  await store.set('dropped', session({ day: 1 }))
  await store.snapshot()
  backup = `${dirname(path)}/backup`
  await copyFile(path, backup)
  await wait(5)
  await store.set('changed', session({ day: 2 }))
  await store.set('new', session({ day: 2 }))
  await store.destroy('gone')
  await store.snapshot()
  // Two generations on, the files themselves know nothing of it any more.
  await store.set('newest', session({ day: 2 }))
  await store.snapshot()
}

const expected = ['changed', 'dropped', 'new', 'newest', 'same']

async function expectMerged(): Promise<void> {
  expect(await sidsOf(running)).toEqual(expected)
  expect(await running.store.get('changed')).toMatchObject({ day: 2 })
}

beforeEach(async () => {
  path = await newPath()
})

describe.each([
  {},
  { durability: 'snapshot' },
  { durability: 'always' },
  { encryptionKey: KEY },
] as const)('a backup of yesterday, %o', (options) => {
  test.each(ways)('%s, is merged', async (way) => {
    await withBackup(options)
    const written = running.store.stats().snapshot!.at
    await put(backup, way)
    await expect.poll(() => running.merges.length, patient).toBe(1)
    await expectMerged()
    expect(running.errors).toEqual([])
    // And in its place is what memory holds.
    await expect
      .poll(() => running.store.stats().snapshot!.at.getTime(), patient)
      .toBeGreaterThan(written.getTime())
    await running.store.close()
    running = await openAt(path, { ...never, ...options })
    await expectMerged()
    expect((await running.store.ready()).damaged).toBe(0)
  })
})

describe.each([{}, { durability: 'snapshot' }] as const)(
  'a backup of yesterday, %o,',
  (options) => {
    /** Merges the backup into whatever store runs now, and looks at that after a restart too. */
    async function expectMergedNow(): Promise<void> {
      const merges = running.merges.length
      await put(backup, 'copied over it')
      await expect.poll(() => running.merges.length, patient).toBeGreaterThan(merges)
      await expectMerged()
      await running.store.close()
      running = await openAt(path, { ...never, ...options })
      await expectMerged()
      expect(running.errors).toEqual([])
    }

    async function restart(): Promise<void> {
      await running.store.close()
      running = await openAt(path, { ...never, ...options })
    }

    test('is merged where the store has restarted since', async () => {
      await withBackup(options)
      await restart()
      await expectMergedNow()
    })

    test('is merged where it has restarted more than once, with snapshots in between', async () => {
      await withBackup(options)
      for (let i = 0; i < 3; i++) {
        await restart()
        await running.store.snapshot()
        await running.store.set('newest', session({ day: 2 }))
        await running.store.snapshot()
      }
      await expectMergedNow()
    })

    test('is merged where the store has taken over from the one that destroyed', async () => {
      await withBackup(options)
      const successor = await openAt(path, { ...never, ...options })
      await running.store.close()
      running = successor
      await expect.poll(() => successor.store.stats().ownership?.role, patient).toBe('owner')
      await expectMergedNow()
    })

    test('is merged where the one before destroyed while this one followed', async () => {
      await withBackup(options)
      // Once more there, to be destroyed again.
      await running.store.set('gone', session({ day: 2 }))
      await running.store.snapshot()
      const successor = await openAt(path, { ...never, ...options })
      await running.store.destroy('gone')
      await running.store.close()
      running = successor
      await expect.poll(() => successor.store.stats().ownership?.role, patient).toBe('owner')
      await expectMergedNow()
    })

    test('is merged where this one destroyed while it followed', async () => {
      await withBackup(options)
      await running.store.set('gone', session({ day: 2 }))
      await running.store.snapshot()
      const successor = await openAt(path, { ...never, ...options })
      await successor.store.destroy('gone')
      await running.store.close()
      running = successor
      await expect.poll(() => successor.store.stats().ownership?.role, patient).toBe('owner')
      await expectMergedNow()
    })
  },
)

describe('a backup', () => {
  test('brings back what has been lost, with its shapes, however old', async () => {
    running = await openAt(path, never)
    for (let i = 0; i < 50; i++) {
      await running.store.set(`s${i}`, session({ [`key${i % 10}`]: { deep: [i] } }))
    }
    await running.store.close()
    backup = `${dirname(path)}/backup`
    await running.store.close()
    const saved = await openAt(path, never)
    await saved.store.snapshot()
    await saved.store.close()
    await copyFile(path, backup)
    for (const name of await readdir(dirname(path))) {
      if (name !== 'backup') await rm(join(dirname(path), name))
    }
    running = await openAt(path, never)
    await running.store.set('mine', session({ mine: { other: 'shape' } }))
    await put(backup)
    await expect.poll(() => sidsOf(running).then(({ length }) => length), patient).toBe(51)
    expect(await running.store.get('s49')).toMatchObject({ key9: { deep: [49] } })
    await expect.poll(() => running.store.stats().snapshot?.sessions, patient).toBe(51)
    await running.store.close()
    running = await openAt(path, never)
    expect(await running.store.get('s49')).toMatchObject({ key9: { deep: [49] } })
    expect(await running.store.get('mine')).toMatchObject({ mine: { other: 'shape' } })
  })

  test('put there just before a snapshot is not written over unseen', async () => {
    for (const at of [0, 20, 120, 240]) {
      path = await newPath()
      await withBackup()
      await put(backup, 'copied over it')
      await wait(at)
      await running.store.set('more', session())
      await running.store.snapshot()
      await expect.poll(() => sidsOf(running), patient).toEqual([...expected, 'more'].sort())
    }
  })

  test.each(['everysec', 'snapshot'] as const)(
    'copied over the snapshot in the moment before another takes its place is merged, %s',
    async (durability) => {
      let late = false
      const keep: typeof nodeFiles.keep = async (from, to) => {
        await nodeFiles.keep(from, to)
        if (late) await put(backup, 'copied over it')
      }
      const files = { ...nodeFiles, keep }
      await withBackup({ durability, watch: false }, { files })
      late = true
      await running.store.set('more', session())
      await running.store.snapshot()
      late = false
      expect(running.merges).toHaveLength(1)
      expect(await sidsOf(running)).toEqual([...expected, 'more'].sort())
      await running.store.destroy('same')
      await running.store.close()
      running = await openAt(path, { ...never, durability })
      expect(await sidsOf(running)).toEqual(['changed', 'dropped', 'more', 'new', 'newest'])
    },
  )

  test.each(['everysec', 'snapshot'] as const)(
    'copied over the snapshot as soon as it stands is merged, %s',
    async (durability) => {
      let late = false
      const replace: typeof nodeFiles.replace = async (...args) => {
        const bytes = await nodeFiles.replace(...args)
        if (late) await put(backup, 'copied over it')
        late = false
        return bytes
      }
      const files = { ...nodeFiles, replace }
      await withBackup({ durability }, { files })
      late = true
      await running.store.set('more', session())
      await running.store.snapshot()
      await expect.poll(() => running.merges.length, patient).toBe(1)
      expect(await sidsOf(running)).toEqual([...expected, 'more'].sort())
      expect(running.errors).toEqual([])
    },
  )

  test('copied over the snapshot by one who opened it before another took its place is merged', async () => {
    await withBackup()
    const slow = await open(path, 'r+')
    await running.store.set('more', session())
    await running.store.snapshot()
    await slow.truncate()
    await slow.writeFile(await readFile(backup))
    await slow.close()
    await expect.poll(() => running.merges.length, patient).toBe(1)
    expect(await sidsOf(running)).toEqual([...expected, 'more'].sort())
    expect(running.errors).toEqual([])
  })

  test.each(['everysec', 'snapshot'] as const)(
    'half copied over the snapshot when another is to take its place is merged, %s',
    async (durability) => {
      let late = false
      const replace: typeof nodeFiles.replace = (path, chunks, beforeRename) =>
        nodeFiles.replace(path, chunks, async (glance) => {
          if (late) void putSlowly()
          late = false
          // By then the first half is there.
          await wait(50)
          await beforeRename(glance)
        })
      async function putSlowly(): Promise<void> {
        const bytes = await readFile(backup)
        const slow = await open(path, 'r+')
        await slow.truncate()
        await slow.write(bytes.subarray(0, bytes.length / 2))
        await wait(150)
        await slow.write(bytes.subarray(bytes.length / 2))
        await slow.close()
      }
      await withBackup({ durability, watch: false }, { files: { ...nodeFiles, replace } })
      late = true
      await running.store.set('more', session())
      await running.store.snapshot()
      expect(running.errors).toEqual([])
      expect(running.merges).toHaveLength(1)
      expect(await sidsOf(running)).toEqual([...expected, 'more'].sort())
    },
  )

  test('is none where the snapshot was removed: the next one takes its place', async () => {
    await withBackup({ watch: false })
    await rm(path)
    await running.store.snapshot()
    expect(running.merges).toEqual([])
    expect(running.errors).toEqual([])
  })

  test('put there while the store restores is merged', async () => {
    let late = false
    const opened: typeof nodeFiles.open = async (file) => {
      const found = await nodeFiles.open(file)
      if (late && file === path) {
        late = false
        await put(backup)
      }
      return found
    }
    await withBackup()
    await running.store.close()
    late = true
    const files = { ...nodeFiles, open: opened }
    running = await openAt(path, never, { files })
    await expect.poll(() => running.merges.length, patient).toBe(1)
    await expectMerged()
  })

  test('put there between an owner and the next is merged', async () => {
    await withBackup()
    const successor = await openAt(path, never)
    await running.store.close()
    running = successor
    await put(backup)
    await expect.poll(() => successor.store.stats().ownership?.role, patient).toBe('owner')
    await expect.poll(() => successor.merges.length, patient).toBeGreaterThan(0)
    await expectMerged()
  })

  test('put there just before the store closes is not written over unseen', async () => {
    for (const durability of ['everysec', 'snapshot'] as const) {
      path = await newPath()
      await withBackup({ durability })
      await put(backup)
      await running.store.set('more', session())
      await running.store.close()
      running = await openAt(path, { ...never, durability })
      const found = await sidsOf(running)
      expect(found).toContain('more')
      const kept = [...(await aside()), `${path}.1`]
      const same = await Promise.all(
        kept.map(async (one) =>
          (await readFile(one).catch(() => Buffer.alloc(0))).equals(await readFile(backup)),
        ),
      )
      // Merged, or still to be had.
      expect(found.includes('dropped') || same.includes(true)).toBe(true)
    }
  })

  test('that a link leads to is merged, and stays as it is', async () => {
    await withBackup()
    const before = await readFile(backup)
    await rm(path)
    await symlink(backup, path)
    await expect.poll(() => running.merges.length, patient).toBe(1)
    await expect.poll(async () => (await lstat(path)).isFile(), patient).toBe(true)
    await expectMerged()
    await running.store.close()
    expect(await readFile(backup)).toEqual(before)
    running = await openAt(path, never)
    await expectMerged()
  })

  test('of a copy that has gone its own way brings sessions as they were there', async () => {
    const others = await newPath()
    running = await openAt(path, never)
    const fill = async ({ store }: Opened, key: string) => {
      for (let i = 0; i < 20; i++) await store.set(`${key}${i}`, session({ [key]: i, user: 'x' }))
    }
    await fill(running, 'common')
    await running.store.snapshot()
    await copyFile(path, others)
    const other = await openAt(others, never)
    await Promise.all([fill(running, 'here'), fill(other, 'there')])
    await other.store.snapshot()
    await put(others)
    await expect.poll(() => running.merges, patient).toEqual([{ applied: 20, removed: 0 }])
    await running.store.close()
    running = await openAt(path, never)
    for (const key of ['common', 'here', 'there']) {
      expect(await running.store.get(`${key}19`)).toMatchObject({ [key]: 19, user: 'x' })
    }
  })

  test('tells `dispose` of what it takes away', async () => {
    const others = await newPath()
    const gone: unknown[] = []
    running = await openAt(path, { ...never, dispose: (...told) => void gone.push(told) })
    for (const sid of ['gone', 'same']) await running.store.set(sid, session({ sid }))
    await running.store.snapshot()
    await copyFile(path, others)
    const other = await openAt(others, never)
    await other.store.destroy('gone')
    await other.store.snapshot()
    await put(others)
    await expect.poll(() => running.merges, patient).toEqual([{ applied: 0, removed: 1 }])
    await expect.poll(() => gone, patient).toMatchObject([['gone', { sid: 'gone' }, 'destroyed']])
  })

  test.each(['snapshot', 'everysec', 'always'] as const)(
    'put there just before the store closes takes along what was destroyed in it: %s',
    async (durability) => {
      const others = await newPath()
      running = await openAt(path, { ...never, durability })
      for (const sid of ['gone', 'same']) await running.store.set(sid, session())
      await running.store.snapshot()
      await copyFile(path, others)
      const other = await openAt(others, never)
      await other.store.destroy('gone')
      await other.store.set('new', session())
      await other.store.snapshot()
      await copyFile(others, path)
      await running.store.close()
      expect(running.merges).toMatchObject([{ applied: 1, removed: 1 }])
      expect(await sidsOf(await openAt(path, { ...never, durability }))).toEqual(['new', 'same'])
    },
  )

  test('that is put there again and again is merged each time', async () => {
    await withBackup()
    for (let round = 1; round <= 3; round++) {
      await running.store.destroy('dropped')
      const written = once(running.store, 'snapshot')
      const before = running.merges.length
      await put(backup)
      // Seen twice before a snapshot takes its place, it is merged twice.
      await expect.poll(() => running.merges.length, patient).toBeGreaterThan(before)
      expect(await sidsOf(running)).toEqual(expected.filter((sid) => sid !== 'dropped'))
      await written
    }
  })

  test('beside a successor: both have it, and lose nothing', async () => {
    await withBackup()
    const successor = await openAt(path, never)
    await put(backup)
    await expect.poll(() => running.merges.length, patient).toBe(1)
    await expect.poll(() => sidsOf(successor), patient).toEqual(expected)
    await running.store.close()
    await expect.poll(() => successor.store.stats().ownership?.role, patient).toBe('owner')
    expect(await sidsOf(successor)).toEqual(expected)
  })
})

describe('a file from another machine', () => {
  async function another(options: Options = {}): Promise<string> {
    const other = await openAt(await newPath(), { ...never, ...options })
    await other.store.set('there', session({ user: { name: 'Ada', from: 'there' } }))
    await other.store.set('both', session({ from: 'there' }))
    await other.store.snapshot()
    await other.store.close()
    return (other.store.stats().restored as { path: string }).path
  }

  test.each(ways)('%s, is merged: the later change of a session holds', async (way) => {
    const file = await another()
    await wait(5)
    running = await openAt(path, never)
    await running.store.set('here', session({ user: { name: 'Ben', from: 'here' } }))
    await running.store.set('both', session({ from: 'here' }))
    await running.store.snapshot()
    await put(file, way)
    await expect.poll(() => running.merges.length, patient).toBe(1)
    expect(await sidsOf(running)).toEqual(['both', 'here', 'there'])
    expect(await running.store.get('there')).toMatchObject({ user: { name: 'Ada', from: 'there' } })
    expect(await running.store.get('both')).toMatchObject({ from: 'here' })
    await running.store.close()
    running = await openAt(path, never)
    expect(await sidsOf(running)).toEqual(['both', 'here', 'there'])
    expect(running.errors).toEqual([])
  })

  test.each([
    ['with another key', { encryptionKey: 'another key altogether' }, 'ERR_KEY'],
    ['by another encoding', { serializer: JSON }, 'ERR_ENCODING'],
  ])('written %s is told and set aside', async (_name, options, code) => {
    const file = await another(options)
    running = await openAt(path, { ...never, encryptionKey: KEY })
    await running.store.set('here', session())
    await running.store.snapshot()
    await put(file)
    await expect.poll(() => running.errors.map((error) => error.code), patient).toEqual([code])
    expect(await sidsOf(running)).toEqual(['here'])
    expect(await readFile((await aside())[0]!)).toEqual(await readFile(file))
    await running.store.close()
    running = await openAt(path, { ...never, encryptionKey: KEY })
    expect(await sidsOf(running)).toEqual(['here'])
  })
})

describe('a broken file', () => {
  test.each([
    ['empty', () => writeFile(backup, ''), 'ERR_FORMAT_FOREIGN', []],
    ['something else', () => writeFile(backup, 'x'.repeat(5000)), 'ERR_FORMAT_FOREIGN', []],
    [
      'cut off',
      async () => truncate(backup, (await readFile(backup)).length - 30),
      'ERR_DAMAGED',
      ['dropped'],
    ],
    [
      'damaged in its middle',
      async () => {
        const bytes = await readFile(backup)
        bytes[1024 + 40]! ^= 0xff
        await writeFile(backup, bytes)
      },
      'ERR_DAMAGED',
      [],
    ],
  ])(
    'that is %s is told and set aside, and memory loses nothing',
    async (_name, harm, code, back) => {
      await withBackup()
      await running.store.destroy('same')
      await harm()
      await put(backup)
      await expect.poll(() => running.errors.map((error) => error.code), patient).toEqual([code])
      expect(running.errors[0]).toMatchObject({ path })
      const all = await sidsOf(running)
      expect(all).toEqual(expect.arrayContaining(['changed', 'new', 'newest', ...back]))
      expect(all).not.toContain('gone')
      expect(all).not.toContain('same')
      expect(await readFile((await aside())[0]!)).toEqual(await readFile(backup))
      // A whole one takes its place.
      await expect
        .poll(async () => (await readFile(path)).equals(await readFile(backup)), patient)
        .toBe(false)
      await wait(400)
      expect(running.errors).toHaveLength(1)
      await running.store.close()
      running = await openAt(path, never)
      expect(await sidsOf(running)).toEqual(all)
      expect((await running.store.ready()).damaged).toBe(0)
    },
  )

  test('that still grows is looked at when it has come to rest', async () => {
    const clock = new StubClock(Date.now())
    await withBackup({}, { clock })
    const bytes = await readFile(backup)
    const step = Math.ceil(bytes.length / 12)
    const looks = vi.spyOn(clock, 'after')
    await rm(path)
    for (let at = 0; at < bytes.length; at += step) {
      looks.mockClear()
      await writeFile(path, bytes.subarray(0, at + step))
      // It is to be looked at a while later, by notice or because it was not the same any more.
      await expect
        .poll(async () => {
          await clock.advance(20)
          return looks.mock.calls.length
        }, patient)
        .toBeGreaterThan(0)
    }
    expect(running.merges).toEqual([])
    await clock.advance(500)
    await expect.poll(() => running.merges.length, patient).toBe(1)
    await expectMerged()
    expect(running.errors).toEqual([])
  })
})

test('a snapshot that is deleted is written again', async () => {
  await withBackup()
  await rm(path)
  await expect
    .poll(() => readdir(dirname(path)).then((all) => all.join()), patient)
    .toMatch(/sessions\.snapshot,/)
  expect(running.errors).toEqual([])
})

test('all files deleted are written again, and nothing that follows is lost', async () => {
  const clock = new StubClock(Date.now())
  await withBackup({}, { clock })
  for (const name of await readdir(dirname(path))) await rm(join(dirname(path), name))
  await running.store.set('after', session())
  const present = async () => {
    // Where a snapshot was under way when its files went, another attempt follows after a pause.
    await pass(clock, 3500)
    return readdir(dirname(path))
  }
  await expect.poll(present, patient).toContain(basename(path))
  await running.store.set('later', session())
  await running.store.flush()
  const second = await openAt(path, never)
  expect(second.store.stats().ownership?.role).toBe('successor')
  expect(await sidsOf(second)).toEqual(expect.arrayContaining(['after', 'later', 'newest', 'same']))
})

test('with `watch: false` nothing is taken in by itself', async () => {
  const clock = new StubClock(Date.now())
  await withBackup({ watch: false }, { clock })
  await put(backup)
  // Neither by notice of it, which is real, nor when the lease is dated, every two seconds.
  await pass(clock, 4000)
  expect(running.merges).toEqual([])
  expect(await sidsOf(running)).toEqual(['changed', 'dropped', 'new', 'newest', 'same'])
  // A close puts it in order, once it has come to rest.
  await meanwhile(clock, running.store.close())
})
