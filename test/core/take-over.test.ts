/**
 * What a process finds and does that becomes the owner after it has waited: the same as one that has
 * just started, and nothing that either of the two was told is forgotten.
 */
import { describe, expect, test } from 'vitest'
import { FrameKind } from '../../src/core/format.js'
import { flipEntries, flipFrames } from '../support/damage.js'
import type { MemoryFiles } from '../support/memory-files.js'
import { errno, PATH } from '../support/memory-files.js'
import { MemoryNotes } from '../support/memory-notes.js'
import { HOUR, openFile } from '../support/records.js'
import { meanwhile, settle } from '../support/stub-clock.js'
import {
  afterKill,
  begin,
  endsIn,
  lettersIn,
  open,
  sessionOf,
  type Stage,
  setLetters,
  twoGenerations,
} from '../support/stores.js'

/** More than a successor takes to notice that it is its turn. */
const TURN = 3000

/** Damages the snapshot as a disk does, which nothing shows but its bytes. */
function rot(files: MemoryFiles): void {
  const seen = files.glanceSync(PATH)
  flipEntries(files, PATH)
  const rotten = files.get(PATH)
  const glance = files.glanceSync.bind(files)
  files.glanceSync = (path) => (files.contents.get(path) === rotten ? seen : glance(path))
}

/** Whether any of the files holds these bytes. */
function kept(files: MemoryFiles, bytes: Buffer): boolean {
  return [...files.contents.values()].some((one) => one.equals(bytes))
}

/** A store that waits for a disk that takes no lease; the result has it take one. */
async function withoutLease(files: MemoryFiles): Promise<[Stage, () => Promise<void>]> {
  const notes = new MemoryNotes()
  const create = notes.create.bind(notes)
  notes.create = () => Promise.reject(errno('ENOSPC'))
  const opened = begin({}, { files, notes })
  await opened.store.ready()
  return [
    opened,
    async () => {
      notes.create = create
      await opened.clock.advance(TURN)
      expect(opened.store.stats().ownership?.role).toBe('owner')
    },
  ]
}

describe('a damaged file that a successor has found', () => {
  test('is copied aside when it takes over from another', async () => {
    const notes = new MemoryNotes()
    const owner = await open({}, { notes })
    await setLetters(owner, 'abc')
    await owner.store.snapshot()
    rot(owner.files)
    const damaged = owner.files.get(PATH)
    const { store, errors, files } = begin({}, { files: owner.files, clock: owner.clock, notes })
    await store.ready()
    expect(errors.map(({ code }) => code)).toEqual(['ERR_DAMAGED'])
    await owner.store.close()
    await owner.clock.advance(TURN)
    for (let i = 0; i < 2; i++) await store.snapshot()
    expect(kept(files, damaged)).toBe(true)
    expect(files.names().filter((name) => name.includes('.corrupt-'))).toHaveLength(1)
  })

  test('is copied aside when the disk takes a lease at last', async () => {
    const { files } = await twoGenerations()
    flipEntries(files, PATH)
    const damaged = files.get(PATH)
    const [{ store }, makeRoom] = await withoutLease(files)
    await makeRoom()
    expect(files.get(`${PATH}.1`)).not.toEqual(damaged)
    for (let i = 0; i < 2; i++) await store.snapshot()
    expect(kept(files, damaged)).toBe(true)
  })

  test('and must not be filled in leaves nothing to fill in the next one', async () => {
    const options = { durability: 'snapshot' } as const
    const before = await open(options)
    await setLetters(before, 'ab')
    await before.store.snapshot()
    await before.store.destroy('b')
    await before.store.close()
    const { files } = before
    const older = files.get(`${PATH}.1`)
    flipFrames(files, PATH, ({ kind }) => kind === FrameKind.removals)
    const [stage, makeRoom] = await withoutLease(files)
    await makeRoom()
    expect(await lettersIn(stage)).toBe('a')
    expect(files.contents.get(`${PATH}.1`)).toBeUndefined()
    expect(kept(files, older)).toBe(true)
  })

  test('is left alone where the owner has replaced it meanwhile', async () => {
    const notes = new MemoryNotes()
    const owner = await open({}, { notes })
    await setLetters(owner, 'abc')
    await owner.store.snapshot()
    rot(owner.files)
    const { store, files } = begin({}, { files: owner.files, clock: owner.clock, notes })
    await store.ready()
    for (let i = 0; i < 2; i++) await owner.store.snapshot()
    await owner.store.close()
    await owner.clock.advance(TURN)
    await store.snapshot()
    expect(files.names().filter((name) => name.includes('.corrupt-'))).toEqual([])
    expect(await lettersIn({ store })).toBe('abc')
  })
})

describe('what was cleared', () => {
  test('by the owner is told to the dispose hook of the successor', async () => {
    const notes = new MemoryNotes()
    const owner = await open({ durability: 'always' }, { notes })
    await setLetters(owner, 'abc')
    const told: string[] = []
    const dispose = (sid: string, _: object, reason: string) => told.push(`${sid} ${reason}`)
    const options = { durability: 'always', dispose } as const
    const stage = begin(options, { files: owner.files, clock: owner.clock, notes })
    await stage.store.ready()
    await owner.store.clear()
    await owner.clock.advance(TURN)
    expect(await lettersIn(stage)).toBe('')
    expect(told).toEqual(['a destroyed', 'b destroyed', 'c destroyed'])
  })

  test('by the successor stays so, also what it had not come to know', async () => {
    const notes = new MemoryNotes()
    const owner = await open({ durability: 'always' }, { notes })
    await setLetters(owner, 'a')
    const stage = begin({ durability: 'always' }, { files: owner.files, clock: owner.clock, notes })
    await stage.store.ready()
    await setLetters(owner, 'x')
    await stage.store.clear()
    await setLetters(stage, 'b')
    await owner.store.close()
    stage.files.fail = (operation) => (operation === 'rename' ? errno('ENOSPC') : undefined)
    await owner.clock.advance(TURN)
    await stage.store.flush()
    expect(await lettersIn(await afterKill(stage))).toBe('b')
    await stage.store.close()
    expect(await lettersIn(await open({}, { files: stage.files, clock: owner.clock }))).toBe('b')
  })

  test('by the owner stays so, though a request under way in the successor saves its session', async () => {
    const notes = new MemoryNotes()
    const owner = await open({ durability: 'always' }, { notes })
    await setLetters(owner, 'ab')
    const stage = begin({ durability: 'always' }, { files: owner.files, clock: owner.clock, notes })
    await stage.store.ready()
    await owner.store.clear()
    await owner.clock.advance(20)
    await stage.store.set('a', sessionOf({ n: 'under way' }))
    await setLetters(stage, 'n')
    await owner.clock.advance(TURN)
    expect(await lettersIn(stage)).toBe('n')
    await owner.store.close()
    await owner.clock.advance(TURN)
    await stage.store.close()
    expect(await lettersIn(await open({}, { files: stage.files, clock: owner.clock }))).toBe('n')
  })
})

test('what the owner cleared stays so, though its sid was of a session of the successor once', async () => {
  const notes = new MemoryNotes()
  const owner = await open({ durability: 'always' }, { notes })
  const { clock } = owner
  const stage = begin({ durability: 'always' }, { files: owner.files, clock, notes })
  await stage.store.ready()
  await stage.store.set('a', sessionOf({}, endsIn(clock, 1000)))
  clock.jump(2000)
  await stage.store.prune()
  await owner.store.set('a', sessionOf())
  await clock.advance(TURN)
  await owner.store.clear()
  await clock.advance(20)
  await stage.store.set('a', sessionOf({ n: 'under way' }))
  await clock.advance(TURN)
  expect(await lettersIn(stage)).toBe('')
})

describe('what has gone by itself in a successor', () => {
  /** An owner with sessions a and b, and a successor of it. */
  async function pair(options: Parameters<typeof begin>[0] = {}): Promise<[Stage, Stage]> {
    const notes = new MemoryNotes()
    const owner = await open({}, { notes })
    for (const sid of 'ab') await owner.store.set(sid, sessionOf({}, endsIn(owner.clock, HOUR)))
    await owner.store.flush()
    const stage = begin(options, { files: owner.files, clock: owner.clock, notes })
    await stage.store.ready()
    return [owner, stage]
  }

  /** What it serves once the owner has gone, and what a restart after that finds. */
  async function afterTurn(owner: Stage, { store, files, clock }: Stage): Promise<string[]> {
    await owner.store.close()
    await clock.advance(TURN)
    const before = await lettersIn({ store })
    await store.close()
    return [before, await lettersIn(await open({}, { files, clock }))]
  }

  test('by its expiry is nothing to write', async () => {
    const [owner, stage] = await pair()
    const { store, clock } = stage
    for (const sid of 'axyz') await store.set(sid, sessionOf({}, endsIn(clock, 2 * HOUR)))
    clock.jump(2 * HOUR)
    await store.prune()
    expect(store.stats().unsaved).toBe(false)
    expect(await afterTurn(owner, stage)).toEqual(['', ''])
  })

  /** The owner has touched m in the last moment and kept it to itself; here it has ended. */
  async function lastTouch(how: string): Promise<[Stage, Stage]> {
    const [owner, stage] = await pair()
    const { store, clock } = stage
    const life = () => endsIn(clock, 60_000)
    await owner.store.set('m', sessionOf({ of: 'm' }, life()))
    await owner.store.flush()
    await meanwhile(clock, store.get('m'))
    await clock.advance(5000)
    await owner.store.touch('m', sessionOf({}, life()))
    await clock.advance(56_000)
    if (how === 'pruned') await store.prune()
    if (how === 'touched') await store.touch('m', sessionOf({}, endsIn(clock, HOUR)))
    expect(await store.get('m')).toBeUndefined()
    return [owner, stage]
  }

  test.each(['read', 'pruned', 'touched'])(
    'by its expiry, where it was %s, comes back by a touch that the owner had kept to itself',
    async (how) => {
      const [owner, stage] = await lastTouch(how)
      expect(stage.store.stats()).toMatchObject({ sessions: 2, expired: 1, unsaved: false })
      expect(await afterTurn(owner, stage)).toEqual(['abm', 'abm'])
    },
  )

  test('by its expiry before it came may live on by a touch that the owner had kept to itself', async () => {
    const notes = new MemoryNotes()
    const owner = await open({}, { notes })
    const { clock } = owner
    await owner.store.set('m', sessionOf({ of: 'm' }, endsIn(clock, 60_000)))
    await owner.store.flush()
    await clock.advance(5000)
    await owner.store.touch('m', sessionOf({}, endsIn(clock, 60_000)))
    await clock.advance(56_000)
    const stage = begin({}, { files: owner.files, clock, notes })
    expect(await stage.store.ready()).toMatchObject({ sessions: 0, expired: 1 })
    expect(await afterTurn(owner, stage)).toEqual(['m', 'm'])
  })

  test.each([
    ['set to end', ({ store, clock }: Stage) => store.set('m', sessionOf({}, endsIn(clock, 0)))],
    ['destroyed', ({ store }: Stage) => store.destroy('m')],
    ['cleared', ({ store }: Stage) => store.clear()],
  ])('by its expiry stays so where it was %s since', async (_, end) => {
    const [owner, stage] = await lastTouch('read')
    await end(stage)
    await owner.store.close()
    await stage.clock.advance(TURN)
    expect(await stage.store.get('m')).toBeUndefined()
  })

  test('by its expiry takes no place of those that live', async () => {
    const notes = new MemoryNotes()
    const owner = await open({ max: 2 }, { notes })
    const { store, clock } = owner
    await store.set('a', sessionOf())
    await store.set('m', sessionOf({}, endsIn(clock, 10_000)))
    await clock.advance(11_000)
    await store.prune()
    await store.set('b', sessionOf())
    await store.flush()
    const stage = begin({ max: 2 }, { files: owner.files, clock, notes })
    expect(await stage.store.ready()).toMatchObject({ sessions: 2, expired: 1 })
    expect(await afterTurn(owner, stage)).toEqual(['ab', 'ab'])
  })

  test('by the expiry it was given here does not come back as the owner had it', async () => {
    const notes = new MemoryNotes()
    const durability = 'snapshot'
    const owner = await open({ durability }, { notes })
    const { store, clock } = owner
    await store.set('m', sessionOf({ of: 1 }, endsIn(clock, 60_000)))
    await store.snapshot()
    const stage = begin({ durability }, { files: owner.files, clock, notes })
    await stage.store.ready()
    await store.set('m', sessionOf({ of: 2 }, endsIn(clock, HOUR)))
    await clock.advance(1000)
    await stage.store.set('m', sessionOf({ of: 3 }, endsIn(clock, 100_000)))
    await clock.advance(101_000)
    expect(await stage.store.get('m')).toBeUndefined()
    expect(await afterTurn(owner, stage)).toEqual(['', ''])
  })

  test('by a limit is nothing to write', async () => {
    const [owner, stage] = await pair({ max: 2 })
    await setLetters(stage, 'axyz')
    expect(await lettersIn(stage)).toBe('yz')
    await stage.store.close()
    expect(stage.errors[0]!.message).toContain(' 2 sessions changed here')
    expect(await lettersIn(owner)).toBe('ab')
  })

  test('by a hook that was told of the eviction it caused counts once', async () => {
    const [, stage] = await pair({ max: 1 })
    const { store, errors } = stage
    store.on('evicted', () => void store.destroy('x'))
    await store.set('x', sessionOf())
    await store.close()
    expect(errors[0]!.message).toContain(' 1 session changed here')
  })

  test('by a limit does not come back from the files of the owner', async () => {
    const [owner, stage] = await pair({ max: 2 })
    await setLetters(stage, 'axyz')
    expect(await afterTurn(owner, stage)).toEqual(['yz', 'yz'])
  })
})

describe('what was cleared by the successor', () => {
  test('does not come back from the last snapshot of the owner, should the next be damaged', async () => {
    const options = { durability: 'snapshot' } as const
    const notes = new MemoryNotes()
    const owner = await open(options, { notes })
    await setLetters(owner, 'ab')
    await owner.store.snapshot()
    const stage = begin(options, { files: owner.files, clock: owner.clock, notes })
    await stage.store.ready()
    await owner.clock.advance(1000)
    await stage.store.clear()
    await setLetters(stage, 'n')
    owner.clock.jump(1000)
    await setLetters(owner, 'a', { again: true })
    await owner.store.close()
    await owner.clock.advance(TURN)
    await settle()
    expect(await lettersIn(await afterKill(stage, options))).toBe('n')
    flipEntries(stage.files, PATH)
    expect(await lettersIn(await afterKill(stage, options))).not.toContain('a')
  })
})

test("with durability 'always' nothing is acknowledged while the last of the owner can't be read", async () => {
  const notes = new MemoryNotes()
  const owner = await open({ durability: 'always' }, { notes })
  await setLetters(owner, 'a')
  const { files, clock } = owner
  const { store, errors } = begin({ durability: 'always' }, { files, clock, notes })
  await store.ready()
  await owner.store.close()
  // From when it has the lease.
  files.fail = (operation) =>
    operation === 'open' && notes.notes.has(`${PATH}.lease-2`) ? errno('EIO') : undefined
  await clock.advance(TURN)
  expect(errors[0]).toMatchObject({ code: 'ERR_OPEN' })
  await expect(store.set('b', sessionOf())).rejects.toMatchObject({ code: 'ERR_WRITE' })
  files.fail = () => undefined
  await store.set('c', sessionOf())
  expect(await lettersIn(await afterKill(owner))).toBe('abc')
})

test('what was changed on a disk that takes no lease is an error of the close', async () => {
  const [stage] = await withoutLease((await twoGenerations()).files)
  await setLetters(stage, 'f')
  await expect(stage.store.close()).rejects.toMatchObject({ code: 'ERR_WRITE' })
})

test('an owner that can’t see for a moment who follows it takes nobody for gone', async () => {
  const notes = new MemoryNotes()
  const owner = await open({}, { notes })
  const stage = begin({}, { files: owner.files, clock: owner.clock, notes })
  await stage.store.ready()
  await owner.clock.advance(TURN)
  const read = notes.read.bind(notes)
  notes.read = (path) => (path.includes('.successor-') ? Promise.reject(errno('EIO')) : read(path))
  await owner.clock.advance(TURN)
  await setLetters(owner, 'a')
  expect(await lettersIn(await afterKill(owner))).toBe('a')
})

test('a snapshot that can not be opened for a moment is not taken for somebody else’s', async () => {
  const notes = new MemoryNotes()
  const owner = await open({}, { notes })
  await setLetters(owner, 'a')
  await owner.store.snapshot()
  const { files, clock } = owner
  const { store, errors } = begin({}, { files, clock, notes })
  await store.ready()
  await owner.store.close()
  let opened = 0
  // Once it has the lease, and has read the last of the owner.
  files.fail = (operation, name) =>
    operation === 'open' && name === 's.snapshot' && notes.notes.has(`${PATH}.lease-2`)
      ? ++opened === 2
        ? errno('EIO')
        : undefined
      : undefined
  await clock.advance(TURN)
  expect(errors).toMatchObject([{ code: 'ERR_OPEN' }])
  expect(store.stats().ownership?.role).toBe('owner')
  expect(files.names().filter((name) => name.includes('.corrupt-'))).toEqual([])
})

test('a successor follows on when it has seen a file that an operator put there', async () => {
  const options = { durability: 'always' } as const
  const notes = new MemoryNotes()
  const owner = await open(options, { notes })
  await setLetters(owner, 'ab')
  await owner.store.snapshot()
  // Of the same store, and further on.
  const copy = await open({}, { files: owner.files.fork(), clock: owner.clock })
  for (let i = 0; i < 4; i++) await copy.store.snapshot()
  const stage = begin(options, { files: owner.files, clock: owner.clock, notes })
  await stage.store.ready()
  owner.files.contents.set(PATH, Buffer.from(copy.files.get(PATH)))
  await owner.clock.advance(1000)
  await meanwhile(owner.clock, owner.store.snapshot())
  await owner.store.destroy('a')
  await setLetters(owner, 'c')
  await owner.clock.advance(1000)
  expect(await lettersIn(stage)).toBe('bc')
})

test('what a killed owner was writing is removed', async () => {
  const notes = new MemoryNotes()
  const owner = await open({}, { notes })
  await setLetters(owner, 'a')
  const { files, clock } = owner
  const { store } = begin({}, { files, clock, notes })
  await store.ready()
  files.contents.set(`${PATH}.1234567890`, Buffer.from('half a snapshot'))
  await owner.store.close()
  await clock.advance(TURN)
  expect(store.stats().ownership?.role).toBe('owner')
  expect(files.names()).not.toContain('s.snapshot.1234567890')
})

test('journals of another store are not removed', async () => {
  const other = await open()
  await setLetters(other, 'xyz')
  await other.store.snapshot()
  await other.store.close()
  const mine = await open()
  await setLetters(mine, 'ab')
  await mine.store.snapshot()
  await setLetters(mine, 'c')
  await mine.store.close()
  const { files } = mine
  const journals = [...files.contents].filter(([path]) => path.includes('.journal-'))
  files.contents.set(PATH, other.files.get(PATH))
  const [opened, makeRoom] = await withoutLease(files)
  await makeRoom()
  for (let i = 0; i < 3; i++) await opened.store.snapshot()
  expect(journals.every(([, bytes]) => kept(files, bytes))).toBe(true)
})

test('stamps go on from the last ones of the owner, uses that are in its snapshot alone included', async () => {
  const notes = new MemoryNotes()
  const options = { durability: 'everysec', max: 10 } as const
  const owner = await open(options, { notes })
  await setLetters(owner, 'abc')
  await owner.store.flush()
  const { store, files } = begin(options, { files: owner.files, clock: owner.clock, notes })
  await store.ready()
  const stamp = async () => {
    const file = await openFile(files, PATH)
    await file.close()
    return file.header.stamp
  }
  for (let i = 0; i < 5; i++) await owner.store.get('a')
  await owner.store.snapshot()
  const before = await stamp()
  await owner.store.close()
  await owner.clock.advance(TURN)
  await store.snapshot()
  expect(await stamp()).toBeGreaterThanOrEqual(before)
})
