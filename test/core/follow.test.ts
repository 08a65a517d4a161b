import fc from 'fast-check'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { KeyRing } from '../../src/core/cipher.js'
import { Follower } from '../../src/core/follow.js'
import { FrameKind } from '../../src/core/format.js'
import { recover } from '../../src/core/recover.js'
import { flipEntries, flipFrames, framesIn } from '../support/damage.js'
import { gate, type MemoryFiles, PATH } from '../support/memory-files.js'
import { patient } from '../support/patience.js'
import { contentsOf, openFile, shapes, targetOf } from '../support/records.js'
import { meanwhile, settle, type StubClock } from '../support/stub-clock.js'
import { endsIn, open, restart, sessionOf, type Stage } from '../support/stores.js'

const KEY = 'a key that is long enough'
const journal = (number: number) => `${PATH}.journal-${number}`
/** Sessions of these shapes are told once, in the frame that comes first. */
const shaped = (n: unknown) => sessionOf({ n, user: { name: 'x', mail: 'y' }, cart: [{ id: n }] })

let owner: Stage
let follower: Following

interface Following {
  target: ReturnType<typeof targetOf>
  follower: Follower
  stamps: number[]
  removed: string[]
  scan: () => Promise<{ applied: number; removed: number }>
  sids: () => string
}

/** Reads what is there and follows from then on. */
async function follow(
  files: MemoryFiles,
  clock: StubClock,
  keys = new KeyRing([]),
): Promise<Following> {
  const target = targetOf()
  Object.assign(target.codec, { frozen: true })
  const base = { files, path: PATH, keys, shapes, target, clock }
  const recovery = await recover({
    ...base,
    encoding: 'msgpack',
    onCorrupt: 'salvage',
    now: clock.now(),
    readOnly: true,
  })
  const stamps: number[] = []
  const removed: string[] = []
  const one = new Follower(
    {
      ...base,
      stamps: { observe: (stamp) => void stamps.push(stamp) },
      removing: (slot) => void removed.push(target.table.sid(slot)),
      emptied: (gone) => {
        for (let slot = 0; slot < gone.slots; slot++) {
          if (gone.has(slot)) removed.push(gone.sid(slot))
        }
      },
    },
    recovery,
  )
  return {
    target,
    follower: one,
    stamps,
    removed,
    scan: () => one.scan(),
    sids: () => Object.keys(contentsOf(target)).sort().join(''),
  }
}

/** What the owner serves, as a follower's table would have it. */
async function owned(): Promise<string[]> {
  return (await owner.store.ids()).sort()
}

async function set(sids: string, data: object = {}): Promise<void> {
  for (const sid of sids) await owner.store.set(sid, sessionOf({ n: sid, ...data }))
  // It may wait for a file to come to rest.
  await meanwhile(owner.clock, owner.store.flush())
}

beforeEach(async () => {
  owner = await open()
  await set('ab')
  follower = await follow(owner.files, owner.clock)
})

describe('what the owner appends', () => {
  test('is applied by the next scan, and counted', async () => {
    expect(follower.sids()).toBe('ab')
    await set('cd')
    await owner.store.destroy('a')
    await owner.store.flush()
    expect(await follower.scan()).toEqual({ applied: 2, removed: 1 })
    expect(follower.sids()).toBe('bcd')
    expect(follower.removed).toEqual(['a'])
    expect(await follower.scan()).toEqual({ applied: 0, removed: 0 })
  })

  test('is told to be there by a look, without reading', async () => {
    await follower.scan()
    expect(follower.follower.stale).toBe(false)
    await set('c')
    const { bytesRead } = owner.files
    expect(follower.follower.stale).toBe(true)
    expect(owner.files.bytesRead).toBe(bytesRead)
    await follower.scan()
    expect(follower.follower.stale).toBe(false)
  })

  test('while it reads is told to be there too', async () => {
    await set('c')
    const { opened, open: go } = gate()
    owner.files.hold = (operation) => (operation === 'read' ? opened : undefined)
    const scan = follower.scan()
    await settle()
    await set('d')
    go()
    await scan
    expect(follower.follower.stale).toBe(true)
  })

  test('of which the beginning has been read is read on from there', async () => {
    for (let i = 0; i < 20; i++) await owner.store.set(`s${i}`, shaped(' '.repeat(5000)))
    await owner.store.flush()
    await follower.scan()
    owner.files.bytesRead = 0
    await set('c')
    await follower.scan()
    expect(owner.files.bytesRead).toBeLessThan(10_000)
  })

  test('carries all of an entry: data, cookie, expiry and stamp', async () => {
    await owner.store.set(
      'c',
      sessionOf({ deep: { list: [1, 'é日', null] } }, endsIn(owner.clock, 5000)),
    )
    await owner.store.touch('b', sessionOf({}, endsIn(owner.clock, 900_000)))
    await owner.store.flush()
    await follower.scan()
    const again = await follow(owner.files, owner.clock)
    expect(contentsOf(follower.target)).toEqual(contentsOf(again.target))
    expect(Math.max(...follower.stamps)).toBeGreaterThan(0)
  })

  test('refers to structures told in a frame that was read before', async () => {
    for (let i = 0; i < 40; i++) {
      await owner.store.set(`s${i}`, shaped(i))
      await owner.store.flush()
      await follower.scan()
    }
    expect(follower.sids()).toBe((await owned()).join(''))
    const found = contentsOf(follower.target)['s39'] as { data: unknown }
    expect(found.data).toEqual({ n: 39, user: { name: 'x', mail: 'y' }, cart: [{ id: 39 }] })
  })

  test('refers to them too where the follower began before there was any file', async () => {
    owner = await open()
    follower = await follow(owner.files, owner.clock)
    for (let i = 0; i < 40; i++) {
      await owner.store.set(`s${i}`, shaped(i))
      await owner.store.flush()
      await follower.scan()
    }
    expect(follower.sids()).toBe((await owned()).join(''))
    const found = contentsOf(follower.target)['s39'] as { data: unknown }
    expect(found.data).toEqual({ n: 39, user: { name: 'x', mail: 'y' }, cart: [{ id: 39 }] })
  })

  test('may be half there, cut at any byte', async () => {
    await owner.store.set('c', shaped(1))
    await owner.store.destroy('a')
    await owner.store.flush()
    const whole = owner.files.get(journal(1))
    const { offset } = framesIn(whole).at(-1)!
    const files = owner.files.fork()
    files.contents.set(journal(1), whole.subarray(0, offset))
    follower = await follow(files, owner.clock)
    for (let end = offset + 1; end < whole.length; end++) {
      files.contents.set(journal(1), whole.subarray(0, end))
      expect(await follower.scan()).toEqual({ applied: 0, removed: 0 })
    }
    files.contents.set(journal(1), whole)
    await follower.scan()
    expect(follower.sids()).toBe('bc')
  })

  test('in a journal of which not even the header is whole yet', async () => {
    await owner.store.snapshot()
    await set('c')
    const whole = owner.files.get(journal(2))
    for (const length of [0, 1, 511, 512, 600, 1023, 1024, 1030]) {
      const files = owner.files.fork()
      files.contents.delete(journal(2))
      const one = await follow(files, owner.clock)
      files.contents.set(journal(2), whole.subarray(0, length))
      await one.scan()
      files.contents.set(journal(2), whole)
      await one.scan()
      expect(one.sids()).toBe('abc')
    }
  })

  test('encrypted', async () => {
    owner = await open({ encryptionKey: KEY })
    await set('a')
    follower = await follow(owner.files, owner.clock, new KeyRing([KEY]))
    await set('bc')
    await owner.store.snapshot()
    await set('d')
    await follower.scan()
    expect(follower.sids()).toBe('abcd')
  })
})

describe('rotation', () => {
  test.each([1, 2, 3])('%i times between two scans', async (times) => {
    for (let i = 0; i < times; i++) {
      await set(String(i))
      await owner.store.destroy(i === 0 ? 'a' : String(i - 1))
      await owner.store.snapshot()
    }
    await set('z')
    await follower.scan()
    expect(follower.sids()).toBe((await owned()).join(''))
  })

  test('while a scan stands at any of its steps', async () => {
    // Every operation of the scan, held once; meanwhile the owner goes on by two generations.
    for (let at = 0; ; at++) {
      const { files } = owner
      const before = await owned()
      follower = await follow(files, owner.clock)
      await set('c')
      await owner.store.destroy('a')
      const { opened, open: go } = gate()
      let held = false as boolean
      let step = 0
      files.hold = (operation) => {
        if (held || (operation !== 'open' && operation !== 'read') || step++ !== at)
          return undefined
        held = true
        return opened
      }
      const scan = follower.scan()
      await settle()
      if (!held) {
        expect(at).toBeGreaterThan(2)
        await scan
        break
      }
      await set('d')
      await owner.store.snapshot()
      await set('e')
      await owner.store.destroy('b')
      await owner.store.snapshot()
      await set('f')
      go()
      await scan
      await follower.scan()
      expect(follower.sids(), `held at step ${at}, ${before.join('')} before`).toBe('cdef')
      await owner.store.clear()
      await set('ab')
      await owner.store.snapshot()
    }
  })

  test('while the restore stands at any of its steps', async () => {
    // As above, and with a snapshot under way from before the restore: its journal is there already.
    for (let at = 0; ; at++) {
      const { files } = owner
      await owner.store.snapshot()
      await set('c')
      const writing = gate()
      const reading = gate()
      let held = false as boolean
      let step = 0
      files.hold = (operation) => {
        if (operation === 'keep' && !held) return writing.opened
        if (held || (operation !== 'open' && operation !== 'read') || step++ !== at)
          return undefined
        held = true
        return reading.opened
      }
      const snapshot = owner.store.snapshot()
      await settle()
      const following = follow(files, owner.clock)
      await settle()
      const last = !held
      held = true
      writing.open()
      await snapshot
      await set('d')
      await owner.store.destroy('a')
      await owner.store.flush()
      await owner.store.snapshot()
      reading.open()
      follower = await following
      await follower.scan()
      expect(follower.sids(), `held at step ${at}`).toBe('bcd')
      files.hold = () => undefined
      await owner.store.clear()
      await set('ab')
      if (!last) continue
      expect(at).toBeGreaterThan(2)
      break
    }
  })

  test('that removed a journal between listing it and reading it', async () => {
    await set('c')
    const { opened, open: go } = gate()
    let held = false
    owner.files.hold = (operation, name) => {
      if (held || operation !== 'open' || !name.endsWith('journal-1')) return undefined
      held = true
      return opened
    }
    const scan = follower.scan()
    await settle()
    expect(held).toBe(true)
    await owner.store.snapshot()
    await owner.store.snapshot()
    expect(owner.files.names()).not.toContain('s.snapshot.journal-1')
    go()
    await scan
    await follower.scan()
    expect(follower.sids()).toBe('abc')
  })

  test('that removed a journal to which more had come since it was read', async () => {
    owner = await open({ encryptionKey: KEY })
    await set('ab')
    const rotated = ['a new key that is long enough', KEY]
    follower = await follow(owner.files, owner.clock, new KeyRing(rotated))
    await follower.scan()
    await owner.store.destroy('a')
    // Nothing with the old key stays, and the next journal is the only one.
    owner = await restart(owner, { encryptionKey: rotated })
    await expect.poll(() => owner.files.names(), patient).not.toContain('s.snapshot.journal-1')
    await follower.scan()
    expect(follower.sids()).toBe('b')
  })

  test.each(['before it was restored', 'while it is followed'])(
    'makes up for what was damaged %s',
    async (when) => {
      await owner.store.destroy('a')
      await set('c')
      await set('d')
      const frames = framesIn(owner.files.get(journal(1)))
      flipFrames(owner.files, journal(1), (_, index) => index === frames.length - 2)
      if (when === 'before it was restored') follower = await follow(owner.files, owner.clock)
      await follower.scan()
      expect(follower.sids()).toBe('abd')
      await owner.store.snapshot()
      await follower.scan()
      expect(follower.sids()).toBe('bcd')
    },
  )

  test('takes nothing away by a snapshot that is damaged', async () => {
    owner = await open({ durability: 'snapshot' })
    await set('abc')
    await owner.store.snapshot()
    follower = await follow(owner.files, owner.clock)
    await set('d')
    await owner.store.snapshot()
    flipEntries(owner.files, PATH)
    await follower.scan()
    expect(follower.sids()).toBe('abc')
  })

  test('takes nothing away by one that is damaged in its middle', async () => {
    owner = await open({ durability: 'snapshot' })
    // So much that its entries take several frames.
    await set('abcdefgh', { text: '-'.repeat(100_000) })
    await owner.store.snapshot()
    follower = await follow(owner.files, owner.clock)
    await owner.store.snapshot()
    const [, second] = framesIn(owner.files.get(PATH)).filter(
      ({ kind }) => kind === FrameKind.records,
    )
    flipFrames(owner.files, PATH, ({ offset }) => offset === second!.offset)
    await follower.scan()
    expect(follower.sids()).toBe('abcdefgh')
  })

  test('costs no reading of the whole snapshot where journals tell everything', async () => {
    for (let i = 0; i < 200; i++) await owner.store.set(`s${i}`, shaped(' '.repeat(2000)))
    await owner.store.flush()
    await follower.scan()
    const sizes: number[] = []
    for (let round = 0; round < 4; round++) {
      await owner.store.snapshot()
      await set('c', { round })
      owner.files.bytesRead = 0
      await follower.scan()
      sizes.push(owner.files.bytesRead)
    }
    expect(Math.max(...sizes)).toBeLessThan(50_000)
    expect(contentsOf(follower.target)['c']).toMatchObject({ data: { n: 'c', round: 3 } })
  })

  test('before the restore costs no second reading of what was restored', async () => {
    for (let i = 0; i < 200; i++) await owner.store.set(`s${i}`, shaped(' '.repeat(2000)))
    await owner.store.flush()
    await owner.store.snapshot()
    follower = await follow(owner.files, owner.clock)
    owner.files.bytesRead = 0
    await follower.scan()
    expect(owner.files.bytesRead).toBeLessThan(50_000)
  })

  test('by an owner without journals: its snapshots are read whole', async () => {
    owner = await open({ durability: 'snapshot' })
    await owner.store.set('a', sessionOf({ n: 1 }))
    await owner.store.set('b', sessionOf({ n: 1 }))
    await owner.store.snapshot()
    follower = await follow(owner.files, owner.clock)
    await owner.store.set('b', sessionOf({ n: 2 }))
    await owner.store.set('c', sessionOf({ n: 1 }))
    await owner.store.destroy('a')
    await owner.store.snapshot()
    expect(await follower.scan()).toEqual({ applied: 2, removed: 1 })
    expect(follower.sids()).toBe('bc')
    expect(follower.removed).toEqual(['a'])
  })

  test('by an owner whose disk has dropped what was appended: its snapshot is read whole', async () => {
    const { store, files, clock } = owner
    await follower.scan()
    await store.set('c', sessionOf())
    await clock.advance(300)
    await store.destroy('a')
    await clock.advance(300)
    files.fail = (operation, name) => {
      if (operation !== 'sync' || !name.includes('journal-1')) return undefined
      files.contents.set(journal(1), files.synced.get(journal(1))!)
      return Object.assign(new Error('EIO'), { code: 'EIO' })
    }
    await store.set('d', sessionOf())
    await clock.advance(10_000)
    await follower.scan()
    expect(follower.sids()).toBe('bcd')
  })

  test('by an owner that has dropped many: they go a few at a time', async () => {
    owner = await open({ durability: 'snapshot', max: 200 })
    for (let i = 0; i < 200; i++) await owner.store.set(`old ${i}`, sessionOf())
    await owner.store.snapshot()
    follower = await follow(owner.files, owner.clock)
    for (let i = 0; i < 200; i++) await owner.store.set(`new ${i}`, sessionOf())
    await owner.store.snapshot()
    let now = 0
    const time = vi.spyOn(performance, 'now').mockImplementation(() => (now += 2))
    const turns = new Set<number>()
    let immediate: NodeJS.Immediate
    const turn = () => {
      turns.add(follower.removed.length)
      immediate = setImmediate(turn)
    }
    turn()
    await follower.scan()
    clearImmediate(immediate!)
    time.mockRestore()
    expect(follower.removed.length).toBe(200)
    expect(turns.size).toBeGreaterThan(4)
  })

  test('forgets what can matter no more, as the owner does', async () => {
    owner = await open({ checkPeriod: 0 })
    follower = await follow(owner.files, owner.clock)
    for (const sid of ['a', 'b']) {
      const life = sid === 'a' ? 60_000 : 600_000
      await owner.store.set(sid, sessionOf({}, endsIn(owner.clock, life)))
      await owner.store.destroy(sid)
    }
    await owner.store.flush()
    await follower.scan()
    expect(follower.target.tombstones.size).toBe(2)
    await owner.clock.advance(60_000)
    await owner.store.snapshot()
    await follower.scan()
    expect(follower.target.tombstones.size).toBe(1)
  })

  test('older journals say nothing of what is newer', async () => {
    const { store } = owner
    await store.destroy('a')
    await store.flush()
    await store.snapshot()
    await set('a', { again: true })
    follower = await follow(owner.files, owner.clock)
    expect(follower.sids()).toBe('ab')
    await follower.scan()
    await follower.scan()
    expect(follower.sids()).toBe('ab')
  })
})

describe('an owner that comes after another one', () => {
  test('is followed on, whatever structures it refers to', async () => {
    for (let life = 0; life < 4; life++) {
      for (let i = 0; i < 5; i++) {
        await owner.store.set(`${life}${i}`, sessionOf({ [`key${life}`]: { a: life, b: i } }))
      }
      await owner.store.destroy(`${life}4`)
      owner = await restart(owner)
      await set('z', { life })
      await follower.scan()
      expect(follower.sids()).toBe((await owned()).join(''))
    }
    expect(contentsOf(follower.target)['31']).toMatchObject({ data: { key3: { a: 3, b: 1 } } })
  })

  test('that another one has killed left half a frame', async () => {
    await set('c')
    const files = owner.files.fork()
    files.contents.set(journal(1), files.get(journal(1)).subarray(0, -7))
    follower = await follow(files, owner.clock)
    owner = await open({}, { files, clock: owner.clock })
    await set('d')
    await follower.scan()
    expect(follower.sids()).toBe((await owned()).join(''))
  })
})

describe('own changes', () => {
  const own = () => follower.follower.own

  /** What a request of this process does to a session, `later` than all there is. */
  function setHere(sid: string, later = true) {
    const { table, codec } = follower.target
    const stamp = later ? Number.MAX_SAFE_INTEGER - 1000 : 1
    table.put(
      {
        sid,
        expires: owner.clock.time + 1000_000,
        stamp,
        used: stamp,
        cookie: undefined,
        cookieExpires: NaN,
      },
      codec.encode(sessionOf({ n: 'here' })),
    )
    own().sets.add(sid)
  }

  const data = (sid: string) => (contentsOf(follower.target)[sid] as { data?: unknown }).data

  test('stand where they are later', async () => {
    setHere('a')
    await set('a', { there: true })
    await follower.scan()
    expect(data('a')).toEqual({ n: 'here' })
  })

  test('give way where they are earlier', async () => {
    setHere('c', false)
    await set('c', { there: true })
    await follower.scan()
    expect(data('c')).toEqual({ n: 'c', there: true })
  })

  test('give way to a destruction, however late they are', async () => {
    setHere('a')
    await owner.store.destroy('a')
    await owner.store.flush()
    await follower.scan()
    expect(follower.sids()).toBe('b')
  })

  test('do not give way to an eviction, which is none', async () => {
    const tight = await open({ max: 2 })
    owner = tight
    await set('ab')
    follower = await follow(tight.files, tight.clock)
    setHere('a')
    await set('cd')
    await follower.scan()
    expect(follower.sids()).toContain('a')
  })

  test('that destroy a session keep it away, whatever its requests do in the other process', async () => {
    const { table, tombstones } = follower.target
    table.remove(table.find('a'))
    tombstones.add('a', 1, owner.clock.time + 1000)
    own().removals.set('a', owner.clock.time + 1000)
    await set('a', { there: true })
    await owner.store.touch('a', sessionOf({}, endsIn(owner.clock, 99_000_000)))
    await owner.store.flush()
    await follower.scan()
    await owner.store.snapshot()
    await follower.scan()
    expect(follower.sids()).toBe('b')
    // As long as a file may hold it alive.
    expect(tombstones.get('a')!.until).toBeGreaterThanOrEqual(owner.clock.time + 99_000_000)
  })

  test('that destroy a session are forgotten a day after the last expiry that was told', async () => {
    for (const [sid, life] of Object.entries({ a: 10_000_000, b: 5_000_000 })) {
      own().removals.set(sid, owner.clock.time + 1000)
      await owner.store.touch(sid, sessionOf({}, endsIn(owner.clock, life)))
    }
    const after = async (ms: number) => {
      await owner.clock.advance(ms)
      await owner.store.snapshot()
      await follower.scan()
      return [...own().removals.keys()].join('')
    }
    expect(await after(86_400_000)).toBe('ab')
    expect(await after(5_000_000)).toBe('a')
    expect(await after(5_000_000)).toBe('')
  })

  test('are in no snapshot of the owner, and stay', async () => {
    owner = await open({ durability: 'snapshot' })
    await set('ab')
    await owner.store.snapshot()
    follower = await follow(owner.files, owner.clock)
    setHere('x', false)
    await owner.store.set('c', sessionOf({ n: 1 }))
    await owner.store.snapshot()
    await follower.scan()
    expect(follower.sids()).toBe('abcx')
  })
})

/** The id of the snapshot there. */
async function idAt(files: MemoryFiles): Promise<Buffer> {
  const file = await openFile(files, PATH)
  await file.close()
  return file.header.id
}

describe('what is at the path', () => {
  test('and is of another store says nothing of this one', async () => {
    for (const durability of ['everysec', 'snapshot'] as const) {
      owner = await open({ durability })
      await set('ab')
      await owner.store.snapshot()
      const other = await open({ durability }, { clock: owner.clock })
      await other.store.set('z', sessionOf({ n: 'z' }))
      await other.store.snapshot()
      follower = await follow(owner.files, owner.clock)
      owner.files.contents.set(PATH, other.files.get(PATH))
      await follower.scan()
      expect(follower.sids()).toBe('ab')
      expect(follower.removed).toEqual([])
    }
  })

  test('and is a backup of yesterday takes nothing away and brings nothing back', async () => {
    owner = await open({ durability: 'snapshot' })
    await set('ab')
    await owner.store.snapshot()
    const backup = owner.files.get(PATH)
    await owner.store.destroy('a')
    await set('c')
    await owner.store.snapshot()
    follower = await follow(owner.files, owner.clock)
    owner.files.contents.set(PATH, backup)
    await follower.scan()
    expect(follower.sids()).toBe('bc')
  })

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['something else', Buffer.from('#!/bin/sh\n'.repeat(200))],
  ])('and is %s changes nothing', async (_name, bytes) => {
    owner.files.contents.set(PATH, bytes)
    await set('c')
    await follower.scan()
    expect(follower.sids()).toBe('abc')
  })

  test('is known where the owner wrote it, and not where somebody put it there', async () => {
    await owner.store.snapshot()
    await follower.scan()
    expect(follower.follower.knows(await idAt(owner.files))).toBe(true)
    const other = await open({}, { clock: owner.clock })
    await other.store.snapshot()
    owner.files.contents.set(PATH, other.files.get(PATH))
    await follower.scan()
    expect(follower.follower.knows(await idAt(owner.files))).toBe(false)
  })

  test('and is a backup made since the restore is not known', async () => {
    await owner.store.snapshot()
    await follower.scan()
    const backup = owner.files.get(PATH)
    const id = await idAt(owner.files)
    await set('c')
    await owner.store.snapshot()
    await follower.scan()
    owner.files.contents.set(PATH, backup)
    await follower.scan()
    expect(follower.follower.knows(id)).toBe(false)
  })

  test('and is of another store says nothing, though there was no file when it began', async () => {
    owner = await open()
    follower = await follow(owner.files, owner.clock)
    await set('ab')
    await follower.scan()
    const other = await open({ durability: 'snapshot' }, { clock: owner.clock })
    await other.store.set('z', sessionOf({ n: 'z' }))
    await other.store.snapshot()
    owner.files.contents.set(PATH, other.files.get(PATH))
    await follower.scan()
    expect(follower.sids()).toBe('ab')
    expect(follower.follower.knows(await idAt(other.files))).toBe(false)
  })

  test('and is gone changes nothing', async () => {
    await owner.store.snapshot()
    await follower.scan()
    owner.files.contents.delete(PATH)
    await set('c')
    await follower.scan()
    expect(follower.sids()).toBe('abc')
  })
})

test('a scan asked for during one begins after it', async () => {
  const { opened, open: go } = gate()
  let held = false
  owner.files.hold = (operation) => {
    if (held || operation !== 'read') return undefined
    held = true
    return opened
  }
  await set('c')
  const first = follower.scan()
  await settle()
  await set('d')
  const second = follower.scan()
  go()
  await Promise.all([first, second])
  expect(follower.sids()).toBe('abcd')
})

test('an error of the disk is told, and the next scan goes on', async () => {
  await set('c')
  owner.files.fail = (operation) =>
    operation === 'read' ? Object.assign(new Error('EIO'), { code: 'EIO' }) : undefined
  await expect(follower.scan()).rejects.toMatchObject({ code: 'EIO' })
  owner.files.fail = () => undefined
  await follower.scan()
  expect(follower.sids()).toBe('abc')
})

// Whatever the owner does, and however often it is looked at: a follower without changes of its own
// ends where the owner is.
test('a follower is where the owner is, whatever happened', async () => {
  const sid = fc.constantFrom('a', 'b', 'c', 'd', 'e')
  const action = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.constant('set' as const), sid) },
    { weight: 3, arbitrary: fc.tuple(fc.constant('destroy' as const), sid) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('touch' as const), sid) },
    {
      weight: 5,
      arbitrary: fc.tuple(
        fc.constantFrom('clear', 'snapshot', 'flush', 'scan', 'scan', 'restart', 'pass'),
        fc.constant(''),
      ),
    },
  )
  const durability = fc.constantFrom('everysec' as const, 'snapshot' as const)
  const actions = fc.array(action, { maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(durability, actions, async (kind, all) => {
      owner = await open({ durability: kind })
      follower = await follow(owner.files, owner.clock)
      let count = 0
      for (const [what, on] of all) {
        const { store, clock } = owner
        const life = sessionOf({ n: ++count, [on]: { deep: on } }, endsIn(clock, 600_000))
        if (what === 'set') await store.set(on, life)
        else if (what === 'destroy') await store.destroy(on)
        else if (what === 'touch') await store.touch(on, life)
        else if (what === 'clear') await store.clear()
        else if (what === 'snapshot') await store.snapshot()
        else if (what === 'flush') await store.flush()
        else if (what === 'scan') await follower.scan()
        else if (what === 'pass') await clock.advance(100_000)
        else owner = await restart(owner, { durability: kind })
      }
      await owner.store.close()
      await follower.scan()
      owner = await open({ durability: kind }, owner)
      const alive = follower
        .sids()
        .split('')
        .filter((one) => {
          const { table } = follower.target
          return table.expires(table.find(one)) > owner.clock.time
        })
      expect(alive).toEqual(await owned())
      for (const one of alive) {
        const { data } = contentsOf(follower.target)[one] as { data: object }
        const { cookie: _cookie, ...expected } = (await owner.store.get(one)) as object as {
          cookie: unknown
        }
        expect(data).toEqual(expected)
      }
      await owner.store.close()
    }),
    { numRuns: 150 },
  )
})
