/**
 * When writing fails: who is told, what goes on being served, and how it comes right again.
 */
import { describe, expect, test, vi } from 'vitest'
import { Changes } from '../../src/core/changes.js'
import { FrameKind } from '../../src/core/format.js'
import { Tombstones } from '../../src/core/tombstones.js'
import { errno, gate, MemoryFiles, type Operation, PATH } from '../support/memory-files.js'
import { settle } from '../support/stub-clock.js'
import { MemoryNotes } from '../support/memory-notes.js'
import { flipFrames } from '../support/damage.js'
import {
  afterKill,
  afterPowerCut,
  begin,
  endsIn,
  halfSynced,
  open,
  restart,
  sessionOf,
  sidsIn,
  type Stage,
} from '../support/stores.js'

const SECOND = 1000

/** Makes an operation fail, once or until it is told to stop. */
function failing(files: MemoryFiles, which: Operation, code: string, part = '', times = Infinity) {
  let left = times
  files.fail = (operation, name) =>
    operation === which && name.includes(part) && left-- > 0 ? errno(code) : undefined
  return () => (files.fail = () => undefined)
}

/** A disk whose logs sync what is appended. */
function prompt(): MemoryFiles {
  return Object.assign(new MemoryFiles(), { prompt: true })
}

/** What became of promises, in order: 'done' or the code of the error. */
async function outcomes(answers: Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(answers)
  return settled.map((one) =>
    one.status === 'fulfilled' ? 'done' : (one.reason as { code: string }).code,
  )
}

describe("a sync that failed, with durability 'always',", () => {
  test('is an error to exactly those that it was to cover; memory has their changes', async () => {
    const stage = await open({ durability: 'always' })
    const { store, files, errors } = stage
    await store.set('before', sessionOf())
    failing(files, 'sync', 'EIO', 'journal', 1)
    const covered = [store.set('a', sessionOf()), store.destroy('before')]
    expect(await outcomes(covered)).toEqual(['ERR_WRITE', 'ERR_WRITE'])
    expect(await sidsIn(stage)).toEqual(['a'])
    expect(errors).toMatchObject([{ code: 'ERR_WRITE', cause: { code: 'EIO' } }])
    expect(store.stats().writeError).toBe(errors[0])
    await stage.clock.advance(SECOND)
    expect(await outcomes([store.set('after', sessionOf())])).toEqual(['done'])
    expect(store.stats().writeError).toBeUndefined()
  })

  test('gives its file up for good: a whole generation precedes what is acknowledged next', async () => {
    const stage = await open({ durability: 'always' })
    const { store, files, clock } = stage
    await store.set('a', sessionOf())
    failing(files, 'sync', 'EIO', 'journal', 1)
    await outcomes([store.set('b', sessionOf())])
    const { length } = files.calls
    await clock.advance(SECOND)
    await store.set('c', sessionOf())
    const since = files.calls.slice(length)
    expect(since.filter((call) => /^(append|sync) .*journal-1$/.test(call))).toEqual([])
    const acknowledged = since.lastIndexOf('sync s.snapshot.journal-2')
    expect(since.indexOf('rename s.snapshot')).toBeGreaterThanOrEqual(0)
    expect(since.indexOf('rename s.snapshot')).toBeLessThan(acknowledged)
    expect(await sidsIn(await afterKill(stage))).toEqual(['a', 'b', 'c'])
  })

  test('is one that an append may be where that syncs too', async () => {
    const stage = await open({ durability: 'always' }, { files: prompt() })
    const { store, files, clock } = stage
    await store.set('a', sessionOf())
    expect(files.count('sync', 'journal')).toBe(0)
    failing(files, 'append', 'EIO', 'journal', 1)
    expect(await outcomes([store.set('b', sessionOf())])).toEqual(['ERR_WRITE'])
    const { length } = files.calls
    await clock.advance(SECOND)
    await store.set('c', sessionOf())
    const since = files.calls.slice(length)
    expect(since.filter((call) => /^\w+ .*journal-1$/.test(call))).toEqual([])
    const acknowledged = since.lastIndexOf('append s.snapshot.journal-2')
    expect(since.indexOf('rename s.snapshot')).toBeGreaterThanOrEqual(0)
    expect(since.indexOf('rename s.snapshot')).toBeLessThan(acknowledged)
    expect(await sidsIn(await afterKill(stage))).toEqual(['a', 'b', 'c'])
  })

  test('is none where there was no room: another journal will do', async () => {
    const stage = await open({ durability: 'always' }, { files: prompt() })
    const { store, files, clock } = stage
    await store.set('a', sessionOf())
    failing(files, 'append', 'ENOSPC', 'journal', 1)
    expect(await outcomes([store.set('b', sessionOf())])).toEqual(['ERR_WRITE'])
    await clock.advance(SECOND)
    await store.set('c', sessionOf())
    expect([files.count('truncate', 'journal-1'), files.count('rename')]).toEqual([1, 0])
    expect(await sidsIn(await afterKill(stage))).toEqual(['a', 'b', 'c'])
  })

  test('is nothing to what was answered before, nor to what comes when it is mended', async () => {
    const stage = await open({ durability: 'always' })
    const { store, files, clock } = stage
    const stop = failing(files, 'sync', 'EIO')
    const told: string[] = []
    for (let i = 0; i < 6; i++) {
      told.push(...(await outcomes([store.set(`${i}`, sessionOf())])))
      await clock.advance(20 * SECOND)
    }
    expect(new Set(told)).toEqual(new Set(['ERR_WRITE']))
    expect(await store.length()).toBe(6)
    stop()
    await clock.advance(60 * SECOND)
    expect(await outcomes([store.set('6', sessionOf())])).toEqual(['done'])
    expect(await sidsIn(await afterKill(stage))).toEqual(['0', '1', '2', '3', '4', '5', '6'])
  })

  test('of the journal of a new generation is not tried again on that file either', async () => {
    const { store, files } = await open({ durability: 'always' })
    await store.set('a', sessionOf())
    failing(files, 'sync', 'EIO', 'journal-2', 1)
    expect(await outcomes([store.snapshot()])).toEqual(['ERR_WRITE'])
    const { length } = files.calls
    await store.set('b', sessionOf())
    expect(files.calls.slice(length).filter((call) => /^(append|sync).*-2$/.test(call))).toEqual([])
  })
})

describe('a full disk', () => {
  test('keeps nobody from being served; there is room again, and everything is written', async () => {
    const stage = await open()
    const { store, files, clock, errors } = stage
    await store.set('a', sessionOf())
    await store.flush()
    const stop = failing(files, 'append', 'ENOSPC')
    for (let i = 0; i < 5; i++) {
      await store.set(`full ${i}`, sessionOf())
      await clock.advance(10 * SECOND)
    }
    expect(await store.length()).toBe(6)
    expect(store.stats()).toMatchObject({ unsaved: true, writeError: { code: 'ERR_WRITE' } })
    expect(errors.every(({ code }) => code === 'ERR_WRITE')).toBe(true)
    stop()
    await clock.advance(60 * SECOND)
    expect(store.stats()).toMatchObject({ unsaved: false, writeError: undefined })
    expect(await (await afterKill(stage)).store.length()).toBe(6)
  })

  test('leaves what was acknowledged before it where it is', async () => {
    const stage = await open({ durability: 'always' })
    const { store, files } = stage
    await store.set('a', sessionOf())
    // Half of a frame gets in.
    const journal = `${PATH}.journal-1`
    files.fail = (operation, name) => {
      if (operation !== 'append' || !name.includes('journal-1')) return undefined
      files.contents.set(journal, Buffer.concat([files.get(journal), Buffer.from([0x94, 1, 0xce])]))
      return errno('ENOSPC')
    }
    expect(await outcomes([store.set('b', sessionOf())])).toEqual(['ERR_WRITE'])
    files.fail = () => undefined
    const killed = await afterKill(stage)
    expect(await sidsIn(killed)).toEqual(['a'])
    expect(killed.errors).toEqual([])
  })

  test('does not take the last whole snapshot away', async () => {
    const stage = await open({ durability: 'snapshot' })
    const { store, files, errors } = stage
    await store.set('a', sessionOf())
    await store.snapshot()
    const whole = files.get(PATH)
    failing(files, 'write', 'ENOSPC')
    await store.set('b', sessionOf())
    await expect(store.snapshot()).rejects.toMatchObject({ code: 'ERR_WRITE' })
    expect(files.get(PATH)).toEqual(whole)
    expect(store.stats()).toMatchObject({
      unsaved: true,
      snapshot: { error: { code: 'ERR_WRITE' } },
    })
    // Whoever asked was told; nobody else is.
    expect(errors).toEqual([])
    files.fail = () => undefined
    expect(await sidsIn(await restart(stage))).toEqual(['a', 'b'])
  })

  test('does not pile up files', async () => {
    const stage = await open({ snapshotInterval: SECOND })
    failing(stage.files, 'write', 'ENOSPC')
    for (let i = 0; i < 30; i++) {
      await stage.store.set(`${i}`, sessionOf())
      await stage.clock.advance(61 * SECOND)
    }
    expect(stage.files.names().length).toBeLessThan(6)
    expect(await (await afterKill(stage)).store.length()).toBe(30)
  })
})

describe('sessions that come and go while nothing can be written', () => {
  const MANY = 20_000

  /** Lets so many come and go, and one go that the files hold, while no journal can be written. */
  async function comeAndGo(stage: Stage, many: number, times?: number): Promise<() => void> {
    const { store, files, clock } = stage
    for (const sid of 'ab') await store.set(sid, sessionOf({ n: sid }))
    await store.flush()
    const stop = failing(files, 'append', 'ENOSPC', '', times)
    const answers: Promise<unknown>[] = [store.destroy('b')]
    for (let i = 0; i < many; i++) {
      answers.push(store.set(`${i}`, sessionOf()), store.destroy(`${i}`))
    }
    await outcomes(answers)
    await clock.advance(10 * SECOND)
    return stop
  }

  test.each([
    ['are remembered where they are few', 100, 0],
    ['are forgotten where they are many: a whole generation is without them', MANY, 1],
  ])('%s', async (_, many, generations) => {
    const stage = await open()
    const { store, files, clock } = stage
    const stop = await comeAndGo(stage, many)
    expect(store.stats().unsaved).toBe(true)
    stop()
    await clock.advance(60 * SECOND)
    expect(files.count('rename')).toBe(generations)
    expect(store.stats()).toMatchObject({ unsaved: false, writeError: undefined })
    expect(await sidsIn(await afterKill(stage))).toEqual(['a'])
  })

  test("are forgotten with 'always' too, and none is acknowledged before that generation", async () => {
    const stage = await open({ durability: 'always' })
    const { store, files, clock } = stage
    const stop = await comeAndGo(stage, MANY)
    stop()
    failing(files, 'rename', 'ENOSPC')
    await clock.advance(60 * SECOND)
    expect(await outcomes([store.set('c', sessionOf()), store.destroy('c')])).toEqual([
      'ERR_WRITE',
      'ERR_WRITE',
    ])
    files.fail = () => undefined
    await clock.advance(60 * SECOND)
    expect(await outcomes([store.destroy('d')])).toEqual(['done'])
    expect(files.count('rename')).toBeGreaterThanOrEqual(1)
    expect(await sidsIn(await afterKill(stage))).toEqual(['a'])
  })

  test('do not come back where the store is closed as soon as there is room again', async () => {
    const stage = await open()
    const stop = await comeAndGo(stage, MANY)
    stop()
    await stage.store.close()
    expect(await sidsIn(await open({}, { files: stage.files, clock: stage.clock }))).toEqual(['a'])
  })

  test('do not come back from the files before, should that generation be damaged', async () => {
    const stage = await open()
    const { files, clock } = stage
    for (const sid of 'ab') await stage.store.set(sid, sessionOf({ n: sid }))
    await stage.store.snapshot()
    const stop = await comeAndGo(stage, MANY)
    stop()
    await clock.advance(60 * SECOND)
    flipFrames(files, PATH, ({ kind }) => kind === FrameKind.removals)
    const { store } = await afterKill(stage)
    expect(store.stats().restored).toMatchObject({ sessions: 1, filledIn: false })
    expect(await store.ids()).toEqual(['a'])
  })

  test('are gone for a process that follows, too', async () => {
    const notes = new MemoryNotes()
    const owner = await open({}, { notes })
    for (const sid of 'ab') await owner.store.set(sid, sessionOf({ n: sid }))
    await owner.store.flush()
    const successor = begin({}, { files: owner.files, clock: owner.clock, notes })
    await successor.store.ready()
    // The next journal is the next: none in between that could have been missed.
    await comeAndGo(owner, MANY, 1)
    await owner.clock.advance(60 * SECOND)
    expect(await sidsIn(successor)).toEqual(['a'])
  })
})

describe('attempts', () => {
  test('come after pauses that double up to a minute', async () => {
    const stage = await open()
    const { store, files, clock } = stage
    const times: number[] = []
    files.fail = (operation, name) => {
      if (operation !== 'create' || !name.includes('journal')) return undefined
      times.push(clock.time)
      return errno('ENOENT')
    }
    await store.set('a', sessionOf())
    await clock.advance(400 * SECOND)
    const pauses = times.slice(1).map((at, i) => (at - times[i]!) / SECOND)
    expect(pauses.slice(0, 8)).toEqual([1, 2, 4, 8, 16, 32, 60, 60])
  })

  test('come after the shortest pause again once one has succeeded', async () => {
    const { store, files, clock } = await open()
    for (let round = 0; round < 2; round++) {
      failing(files, 'append', 'ENOSPC', 'journal', 3)
      await store.set('a', sessionOf({ round }))
      // At once, and 1, 2 and 4 seconds later.
      await clock.advance(8 * SECOND)
      expect(store.stats().unsaved).toBe(false)
    }
  })

  test("keep nobody waiting: with 'always' a change during a pause is refused at once", async () => {
    const { store, files, clock } = await open({ durability: 'always' })
    failing(files, 'append', 'ENOSPC')
    await outcomes([store.set('a', sessionOf())])
    const { length } = files.calls
    const answers: unknown[] = []
    store.set('b', sessionOf(), (error) => answers.push(error))
    await settle()
    expect(answers).toMatchObject([{ code: 'ERR_WRITE' }])
    expect(files.calls).toHaveLength(length)
    files.fail = () => undefined
    await clock.advance(SECOND)
    expect(await outcomes([store.set('c', sessionOf())])).toEqual(['done'])
  })

  test('a snapshot that succeeds ends the pause, and no refused change counts as written', async () => {
    const stage = await open({ durability: 'always' })
    const { store, files } = stage
    failing(files, 'append', 'EIO', 'journal', 1)
    expect(await outcomes([store.set('a', sessionOf())])).toEqual(['ERR_WRITE'])
    await store.snapshot()
    const [told] = await outcomes([store.set('b', sessionOf())])
    const killed = await sidsIn(await afterKill(stage))
    expect(killed).toContain('a')
    expect(killed.includes('b')).toBe(told === 'done')
  })

  test('that a snapshot has ended the pause before go on with what came meanwhile', async () => {
    const stage = await open()
    const { store, files, clock } = stage
    failing(files, 'append', 'ENOSPC', 'journal', 5)
    await store.set('a', sessionOf())
    // The next one is ten seconds away.
    await clock.advance(20 * SECOND)
    const { opened, open: release } = gate()
    files.hold = (operation) => (operation === 'rename' ? opened : undefined)
    const snapshot = store.snapshot()
    await settle()
    await store.set('b', sessionOf())
    release()
    await snapshot
    await clock.advance(SECOND)
    expect(await sidsIn(await afterKill(stage))).toEqual(['a', 'b'])
  })

  test('are no more where a snapshot that somebody asked for has made up for them', async () => {
    const { store, files, clock } = await open({
      durability: 'snapshot',
      snapshotInterval: 10 * SECOND,
    })
    failing(files, 'rename', 'EACCES', '', 1)
    await store.set('a', sessionOf())
    await clock.advance(10 * SECOND)
    await store.snapshot()
    await clock.advance(60 * SECOND)
    expect(files.count('rename')).toBe(1)
  })

  test('of the background snapshot are made again, and told', async () => {
    const stage = await open({ durability: 'snapshot', snapshotInterval: 10 * SECOND })
    const { store, files, clock, errors } = stage
    failing(files, 'rename', 'EACCES', '', 2)
    await store.set('a', sessionOf())
    await clock.advance(10 * SECOND)
    expect(errors).toHaveLength(1)
    await clock.advance(60 * SECOND)
    expect(errors).toHaveLength(2)
    expect(store.stats()).toMatchObject({ unsaved: false, writeError: undefined })
  })
})

test('what was appended before an error and not yet synced is synced all the same', async () => {
  const stage = await halfSynced()
  const { store, files, clock } = stage
  // Neither appending nor cutting works for a moment.
  files.fail = (operation) =>
    operation === 'append' || operation === 'truncate' ? errno('EIO') : undefined
  await store.set('c', sessionOf())
  await clock.advance(300)
  files.fail = () => undefined
  await clock.advance(5 * SECOND)
  await store.flush()
  expect(await sidsIn(await afterPowerCut(stage))).toEqual(['a', 'b', 'c'])
})

describe('what a kill has left in the memory of the system alone', () => {
  test.each(['snapshot', 'everysec', 'always'] as const)(
    "is on disk when a start with durability '%s' serves it",
    async (durability) => {
      const again = await afterKill(await halfSynced(), { durability })
      expect(await sidsIn(again)).toEqual(['a', 'b'])
      expect(await sidsIn(await afterPowerCut(again))).toEqual(['a', 'b'])
    },
  )

  test('is written anew where the sync of it fails', async () => {
    const files = (await halfSynced()).files.fork()
    let left = 1
    files.fail = (operation, name) =>
      operation === 'sync' && name.includes('journal') && left-- > 0 ? errno('EIO') : undefined
    const again = await open({}, { files })
    expect(await sidsIn(again)).toEqual(['a', 'b'])
    await again.store.flush()
    expect(again.store.stats().unsaved).toBe(false)
    expect(await sidsIn(await afterPowerCut(again))).toEqual(['a', 'b'])
  })
})

test('one journal write is under way at most, whatever is asked for', async () => {
  const { store, files } = await open({ durability: 'always' })
  let under = 0
  let most = 0
  files.hold = async (operation, name) => {
    if (!name.includes('journal') || operation === 'remove') return
    most = Math.max(most, ++under)
    await settle(1)
    under--
  }
  const answers: Promise<unknown>[] = []
  for (let i = 0; i < 30; i++) {
    answers.push(store.set(`${i}`, sessionOf()), store.flush())
    if (i % 10 === 0) answers.push(store.snapshot())
    await settle(1)
  }
  await Promise.all(answers)
  expect(most).toBe(1)
})

describe.each(['snapshot', 'everysec', 'always'] as const)(
  'files that another process has taken over, %s,',
  (durability) => {
    /** A store that finds its lease taken; `change` is what it does just before. */
    async function lost(change: (stage: Stage) => void): Promise<Stage> {
      const stage = await open({ durability })
      await stage.store.set('a', sessionOf())
      await stage.store.flush()
      await stage.notes.create(`${PATH}.lease-2`, () => '')
      change(stage)
      await stage.clock.advance(5 * SECOND)
      expect(stage.errors.at(-1)).toMatchObject({ code: 'ERR_LEASE_LOST' })
      return stage
    }

    test('are told of no change any more, nor is it noted for them', async () => {
      const { store } = await lost(() => undefined)
      expect(store.stats().unsaved).toBe(false)
      const noted = vi.spyOn(Changes.prototype, 'remove')
      const remembered = vi.spyOn(Tombstones.prototype, 'add')
      await outcomes([store.set('b', sessionOf()), store.destroy('b'), store.destroy('a')])
      expect(noted).not.toHaveBeenCalled()
      expect(remembered).not.toHaveBeenCalled()
      vi.restoreAllMocks()
      expect(store.stats().unsaved).toBe(true)
    })

    test('are told of no expiry that was brought forward, nor is it remembered', async () => {
      const { store, clock } = await lost(() => undefined)
      const remembered = vi.spyOn(Tombstones.prototype, 'shortened')
      await outcomes([store.set('a', sessionOf({}, endsIn(clock, SECOND)))])
      expect(await store.length()).toBe(1)
      expect(remembered).not.toHaveBeenCalled()
      vi.restoreAllMocks()
    })

    test('are an error to whoever asks for a write, changed or not; closing is none', async () => {
      const { store } = await lost(() => undefined)
      const lease = 'ERR_LEASE_LOST'
      expect(await outcomes([store.flush(), store.snapshot()])).toEqual([lease, lease])
      expect(await outcomes([store.close()])).toEqual(['done'])
    })

    test('are not replaced by a snapshot', async () => {
      const { store, files, notes } = await open({ durability })
      await store.set('a', sessionOf())
      await store.snapshot()
      await store.set('b', sessionOf())
      const before = files.get(PATH)
      await notes.create(`${PATH}.lease-2`, () => '')
      expect(await outcomes([store.snapshot()])).toEqual(['ERR_LEASE_LOST'])
      expect(files.get(PATH)).toEqual(before)
    })

    test('lack what had not been written until then', async () => {
      const { store } = await lost((stage) => {
        failing(stage.files, 'append', 'ENOSPC')
        void outcomes([stage.store.set('b', sessionOf())])
      })
      expect(store.stats().unsaved).toBe(true)
    })
  },
)

describe('a process that finds its files taken over', () => {
  test('makes no journal any more', async () => {
    const { store, files, clock, notes, errors } = await open()
    await notes.create(`${PATH}.lease-2`, () => '')
    await store.set('a', sessionOf())
    await clock.advance(300)
    expect([files.names(), errors.map(({ code }) => code)]).toEqual([[], ['ERR_LEASE_LOST']])
  })

  test.each([
    ['what was changed just before', () => undefined],
    ['what could not be written', (files: MemoryFiles) => failing(files, 'append', 'ENOSPC')],
    ['what could not be synced', (files: MemoryFiles) => failing(files, 'sync', 'EIO')],
  ])('has nothing left to do for %s', async (_, disturb) => {
    const { store, files, clock, notes, errors } = await open({ snapshotInterval: 60 * SECOND })
    await store.set('a', sessionOf())
    await clock.advance(1900)
    disturb(files)
    for (const sid of 'bc') {
      await store.set(sid, sessionOf())
      await clock.advance(10)
    }
    await notes.create(`${PATH}.lease-2`, () => '')
    await clock.advance(100)
    expect(errors.at(-1)).toMatchObject({ code: 'ERR_LEASE_LOST' })
    expect(clock.timers).toBe(0)
  })
})

test('a process that finds its files taken over looks at nothing more that is put there', async () => {
  const { store, files, clock, notes, errors } = await open({ watch: true })
  files.contents.set(PATH, Buffer.from('something of an operator'))
  // It has been noticed, and has to come to rest.
  await clock.advance(2050)
  await notes.create(`${PATH}.lease-2`, () => '')
  await store.set('a', sessionOf())
  await clock.advance(5 * SECOND)
  expect(errors.map(({ code }) => code)).toEqual(['ERR_LEASE_LOST'])
  expect([files.names(), clock.timers]).toEqual([['s.snapshot'], 0])
})

describe('closing', () => {
  test('with a disk that fails tells why, lets go of everything, and says so again', async () => {
    const stage = await open()
    const { store, files, clock } = stage
    await store.set('a', sessionOf())
    failing(files, 'append', 'EIO')
    await expect(store.close()).rejects.toMatchObject({ code: 'ERR_WRITE' })
    await expect(store.close()).rejects.toMatchObject({ code: 'ERR_WRITE' })
    expect(clock.timers).toBe(0)
  })

  test('waits for what is under way, and writes what came meanwhile', async () => {
    const stage = await open({ durability: 'snapshot' })
    const { store, files } = stage
    await store.set('a', sessionOf())
    const { opened, open: release } = gate()
    files.hold = (operation) => (operation === 'rename' ? opened : undefined)
    const snapshot = store.snapshot()
    await settle()
    await store.set('b', sessionOf())
    const closed = store.close()
    await settle()
    release()
    await Promise.all([snapshot, closed])
    expect(await sidsIn(await open({}, { files }))).toEqual(['a', 'b'])
  })

  test('lets nobody else have the files before the snapshot that was asked for stands', async () => {
    const { store, files } = await open()
    await store.set('a', sessionOf())
    const { opened, open: release } = gate()
    files.hold = (operation) => (operation === 'rename' ? opened : undefined)
    const snapshot = store.snapshot()
    await settle()
    let over = false
    const closed = store.close().then(() => (over = true))
    await settle(40)
    expect(over).toBe(false)
    release()
    await Promise.all([snapshot, closed])
  })

  test.each([
    ['gives a snapshot up that journals make superfluous', false],
    ['finishes one that somebody has asked for', true],
  ])('%s', async (_, asked) => {
    const { store, files, clock, errors } = await open({ snapshotInterval: 60_000 })
    for (let i = 0; i < 3000; i++) await store.set(`${i}`, sessionOf({ t: ' '.repeat(300) }))
    await store.flush()
    const { opened, open: release } = gate()
    let begun = false
    files.hold = (operation) => {
      if (operation !== 'write') return undefined
      begun = true
      return opened
    }
    const snapshot = asked ? store.snapshot() : undefined
    await (asked ? settle() : clock.advance(60_000))
    expect(begun).toBe(true)
    const closed = store.close()
    release()
    await closed
    if (asked) expect(await snapshot).toMatchObject({ sessions: 3000 })
    expect([store.stats().snapshot?.error, errors]).toEqual([undefined, []])
    expect(files.contents.has(PATH)).toBe(asked)
    expect(await (await open({}, { files })).store.length()).toBe(3000)
  })
})
