/**
 * Two stores on one file, as the processes of a deploy are: what one does, the other knows; when
 * one goes, the other goes on.
 */
import { readdir } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { nodeNotes, type Notes } from '../src/core/notes.js'
import { patient, stopwatch } from './support/patience.js'
import { newPath, type Opened, openAt, beginAt, roleOf, sidsOf } from './support/real-stores.js'
import { sessionOf } from './support/stores.js'
import { pass, StubClock } from './support/stub-clock.js'

const HOUR = 3_600_000
const session = (data: object = {}) =>
  sessionOf(data, { originalMaxAge: HOUR, expires: new Date(Date.now() + HOUR), path: '/' })
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const never = { snapshotInterval: 0, checkPeriod: 0 } as const
const KEY = 'a key that is long enough'

/** Notes as they would be if another process had left them. */
const elsewhere: Notes = {
  ...nodeNotes,
  async read(at) {
    const note = await nodeNotes.read(at)
    const fields = { ...(JSON.parse(note?.text ?? '{}') as object), pid: process.ppid, started: '' }
    return note && { ...note, text: JSON.stringify(fields) }
  },
}

let path: string
let owner: Opened
let successor: Opened

async function begin(
  options: Parameters<typeof openAt>[1] = {},
  surroundings: Parameters<typeof openAt>[2] = {},
): Promise<void> {
  owner = await openAt(path, { ...never, ...options }, surroundings)
  successor = await openAt(path, { ...never, ...options }, surroundings)
}

/** A session that lasts for so long by this clock. */
function lasting(clock: StubClock, ms: number, data: object = {}) {
  const expires = new Date(clock.time + ms)
  return sessionOf(data, { originalMaxAge: ms, expires, path: '/' })
}

/** Both stores with a session 'a', of an hour at first, that now has a second to live. */
async function beginWithShortened(): Promise<StubClock> {
  const clock = new StubClock(Date.now())
  await begin({}, { clock })
  await owner.store.set('a', lasting(clock, HOUR))
  await owner.store.set('a', lasting(clock, 1000))
  expect(await sidsOf(successor)).toEqual(['a'])
  return clock
}

/** Waits until one of the stores owns the file. */
async function tookOver(one: Opened): Promise<void> {
  await expect.poll(() => roleOf(one), patient).toBe('owner')
}

/** What a process that starts afterwards finds. */
async function restarted(options: Parameters<typeof openAt>[1] = {}): Promise<Opened> {
  return openAt(path, { ...never, ...options })
}

beforeEach(async () => {
  path = await newPath()
})

afterEach(() => vi.restoreAllMocks())

describe('a second process', () => {
  test('starts at once, serves what there is, and says whom it follows', async () => {
    owner = await openAt(path, never)
    await owner.store.set('a', session({ user: 'Ada' }))
    const spent = stopwatch()
    successor = await openAt(path, never)
    expect(spent()).toBeLessThan(1500)
    expect(roleOf(owner)).toBe('owner')
    expect(roleOf(successor)).toBe('successor')
    expect(await successor.store.get('a')).toMatchObject({ user: 'Ada' })
    const { since } = owner.store.stats().ownership!
    const ownership = { role: 'successor', ownerPid: process.pid, since, waited: false }
    expect(successor.owners).toEqual([['follow', ownership]])
    expect(successor.store.stats().ownership).toEqual(ownership)
    expect(owner.store.stats().ownership).toMatchObject({ role: 'owner', ownerPid: process.pid })
    expect(Math.abs(Number(since) - Date.now())).toBeLessThan(10_000)
  })

  test('writes nothing but a note that it is there', async () => {
    const clock = new StubClock(Date.now())
    await begin({}, { clock })
    await owner.store.set('a', session())
    await owner.store.flush()
    const before = await readdir(dirname(path))
    await successor.store.set('b', session())
    await expect(successor.store.flush()).rejects.toMatchObject({ code: 'ERR_OWNED' })
    await expect(successor.store.snapshot()).rejects.toMatchObject({ code: 'ERR_OWNED' })
    await pass(clock, 2500)
    expect((await readdir(dirname(path))).sort()).toEqual(before.sort())
    expect(before.filter((name) => name.includes('.successor-'))).toHaveLength(1)
    expect(before.filter((name) => name.includes('.journal-'))).toHaveLength(1)
  })

  test('says that its own changes are not saved yet', async () => {
    await begin()
    expect(successor.store.stats().unsaved).toBe(false)
    await successor.store.set('b', session())
    expect(successor.store.stats().unsaved).toBe(true)
  })

  test('with `onOwned: throw` does not start, and says what to do', async () => {
    owner = await openAt(path, never)
    const { store, errors } = beginAt(path, { onOwned: 'throw' }, { notes: elsewhere })
    const error = await store.ready().then(
      () => undefined,
      (reason: unknown) => reason as Error & { code: string; path: string },
    )
    expect(error).toMatchObject({ code: 'ERR_OWNED', path })
    // Which process, since when, and the ways out.
    expect(error!.message).toContain(`process ${process.ppid} `)
    expect(error!.message).toContain(owner.store.stats().ownership!.since!.toISOString())
    expect(error!.message).toMatch(/Is the app running already\? Stop that process/)
    expect(error!.message).toMatch(/another `snapshotPath`/)
    expect(error!.message).toMatch(/`onOwned` to 'follow'/)
    await expect(store.get('a')).rejects.toBe(error)
    expect(errors).toEqual([])
    expect((await readdir(dirname(path))).filter((name) => name.includes('.lease-'))).toEqual([
      `${basename(path)}.lease-1`,
    ])
  })

  test('with `onOwned: throw` says so at once where nobody waits for it to start', async () => {
    owner = await openAt(path, never)
    const { errors } = beginAt(path, { onOwned: 'throw' })
    await expect.poll(() => errors.map(({ code }) => code), patient).toEqual(['ERR_OWNED'])
  })

  test('with `onOwned: throw` starts when the first has closed', async () => {
    owner = await openAt(path, never)
    await owner.store.close()
    const next = await openAt(path, { ...never, onOwned: 'throw' })
    expect(roleOf(next)).toBe('owner')
  })

  test('that waits longer than `takeoverTimeout` says so, once', async () => {
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    owner = await openAt(path, never)
    const clock = new StubClock(Date.now())
    successor = await openAt(path, { ...never, takeoverTimeout: 300 }, { clock, notes: elsewhere })
    await clock.advance(299)
    expect(warnings).not.toHaveBeenCalled()
    await clock.advance(1)
    expect(warnings).toHaveBeenCalledTimes(1)
    await clock.advance(10_000)
    expect(warnings).toHaveBeenCalledTimes(1)
    const [message, kind] = warnings.mock.calls[0]! as [string, object]
    expect(kind).toEqual({ type: 'PersistentMemoryStoreWarning', code: 'PMS_WAITING' })
    expect(message).toContain(`Process ${process.ppid} has owned ${path}`)
    expect(message).toContain('0.3 s. Until it does, what changes here is in memory only')
    expect(message).toContain('If the app was started twice by mistake, stop one')
    expect(message).toContain('"More than one process" in the README')
    expect(successor.owners.at(-1)).toMatchObject(['follow', { role: 'successor', waited: true }])
    expect(successor.store.stats().ownership).toMatchObject({ waited: true })
    await owner.store.close()
    await tookOver(successor)
    expect(successor.store.stats().ownership).toMatchObject({ waited: false })
  })

  test('in the same process is told at once: it is most likely a mistake', async () => {
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    owner = await openAt(path, never)
    const clock = new StubClock(Date.now())
    successor = await openAt(path, { ...never, takeoverTimeout: 300 }, { clock })
    await clock.advance(10_000)
    expect(warnings).toHaveBeenCalledExactlyOnceWith(
      `Another store of this process owns ${path}. Until it is closed, this one shows its sessions and writes none of its own. Close that one first, or give each store its own \`snapshotPath\``,
      { type: 'PersistentMemoryStoreWarning', code: 'PMS_WAITING' },
    )
    await expect(openAt(path, { ...never, onOwned: 'throw' })).rejects.toMatchObject({
      code: 'ERR_OWNED',
      message: expect.stringContaining('another store of this process') as string,
    })
  })

  test('that waits for a disk and for nobody names no process', async () => {
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const clock = new StubClock(Date.now())
    let full = true
    const { store, errors } = await openAt(path, never, {
      clock,
      notes: {
        ...nodeNotes,
        create: (...note) =>
          full
            ? Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }))
            : nodeNotes.create(...note),
      },
    })
    expect(store.stats().writeError).toBe(errors[0])
    await clock.advance(58_000)
    await pass(clock, 2000)
    expect(warnings).not.toHaveBeenCalled()
    expect(store.stats().ownership).toMatchObject({ ownerPid: 0, waited: true })
    expect(errors.map(({ code }) => code)).toEqual(['ERR_WRITE', 'ERR_OPEN'])
    expect(store.stats().writeError).toBe(errors[1])
    full = false
    await pass(clock, 2000)
    expect(store.stats()).toMatchObject({ ownership: { role: 'owner' }, writeError: undefined })
    expect(errors[0]).toMatchObject({ code: 'ERR_WRITE', path })
  })
})

describe.each([true, false])('with watch %s, a successor', (watch) => {
  // What `stats` says is known without anybody reading, which would look at the files first.
  const known = () => successor.store.stats().sessions
  const soon = async (sessions: number) => {
    const spent = stopwatch()
    await expect.poll(known, patient).toBe(sessions)
    expect(spent()).toBeLessThan(1800)
  }

  test('knows within about a second what the owner did', async () => {
    await begin({ watch })
    await owner.store.set('a', session())
    await owner.store.flush()
    await soon(1)
    await owner.store.set('b', session())
    await owner.store.set('c', session())
    await owner.store.flush()
    await soon(3)
    await owner.store.destroy('a')
    await owner.store.flush()
    await soon(2)
    expect(await sidsOf(successor)).toEqual(['b', 'c'])
    expect(successor.merges.length).toBeGreaterThan(0)
  })

  test('knows it too where files are replaced and rotated meanwhile', async () => {
    await begin({ watch })
    for (let i = 0; i < 8; i++) {
      await owner.store.set(`s${i}`, session({ i }))
      if (i > 1) await owner.store.destroy(`s${i - 2}`)
      await owner.store.snapshot()
      if (i % 3 === 0) await wait(60)
    }
    // There are two on the way, too.
    await expect.poll(() => sidsOf(successor), patient).toEqual(['s6', 's7'])
  })
})

describe('who has been answered by the owner', () => {
  test.each(['everysec', 'always'] as const)(
    'is known to the successor at once, durability %s',
    async (durability) => {
      await begin({ durability })
      for (let i = 0; i < 60; i++) {
        await owner.store.set('busy', session({ i }))
        await owner.store.set(`s${i}`, session({ i }))
        expect(await successor.store.get(`s${i}`)).toMatchObject({ i })
        await owner.store.destroy(`s${i}`)
        expect(await successor.store.get(`s${i}`)).toBeUndefined()
      }
    },
  )

  test('is known at once where others write and files are rotated meanwhile', async () => {
    await begin()
    let going = true as boolean
    const noise = (async () => {
      for (let i = 0; going; i++) {
        await owner.store.set(`noise${i % 50}`, session({ i, text: ' '.repeat(500) }))
      }
    })()
    const rotations = (async () => {
      while (going) {
        await owner.store.snapshot()
        await wait(15)
      }
    })()
    for (let i = 0; i < 150; i++) {
      await owner.store.set(`s${i}`, session({ i }))
      const spent = stopwatch()
      expect(await successor.store.get(`s${i}`), `session ${i}`).toMatchObject({ i })
      // However busy the owner is, one look is enough.
      expect(spent()).toBeLessThan(1000)
    }
    going = false
    await Promise.all([noise, rotations])
    expect(successor.errors).toEqual([])
    expect(owner.errors).toEqual([])
  })

  test('is no reason to write each change any more when the successor has gone', async () => {
    await begin()
    for (let i = 0; i < 20; i++) await owner.store.set('a', session({ i }))
    await successor.store.close()
    expect((await readdir(dirname(path))).join()).not.toContain('.successor-')
    // Answered before the next append, which is a quarter of a second away at most.
    await expect
      .poll(async () => {
        await owner.store.flush()
        await owner.store.set('a', session())
        return owner.store.stats().unsaved
      }, patient)
      .toBe(true)
  })
})

describe('take-over', () => {
  test.each([
    { durability: 'snapshot' },
    { durability: 'everysec' },
    { durability: 'always' },
    { durability: 'everysec', encryptionKey: KEY },
    { durability: 'snapshot', encryptionKey: KEY },
    { durability: 'everysec', watch: false },
    { durability: 'everysec', serializer: JSON },
  ] as const)('on close, with %o: all of the last moment is there', async (options) => {
    await begin(options)
    await owner.store.set('stays', session({ user: 'Ada' }))
    await owner.store.set('goes', session({ user: 'Ben' }))
    await owner.store.flush()
    await successor.store.set('own', session({ user: 'Cleo' }))
    // A moment before it stops.
    const last = [
      owner.store.set('late', session({ user: 'Dan' })),
      owner.store.destroy('goes'),
      owner.store.close(),
    ]
    await Promise.all(last)
    await tookOver(successor)
    expect(await sidsOf(successor)).toEqual(['late', 'own', 'stays'])
    expect(await successor.store.get('late')).toMatchObject({ user: 'Dan' })
    expect(successor.owners.at(-1)).toMatchObject(['owner', { role: 'owner', waited: false }])
    await successor.store.set('after', session({ user: 'Eve' }))
    await successor.store.close()
    const next = await restarted(options)
    expect(await sidsOf(next)).toEqual(['after', 'late', 'own', 'stays'])
    expect(await next.store.get('own')).toMatchObject({ user: 'Cleo' })
    expect(successor.errors).toEqual([])
    expect(owner.errors).toEqual([])
  })

  test('with a serializer that calls the store whenever it reads', async () => {
    const calling: { store?: Opened['store'] } = {}
    const parse = (text: string) => {
      void calling.store?.destroy('a')
      void calling.store?.set('new', session({ user: 'Eve' }))
      return JSON.parse(text) as ReturnType<typeof session>
    }
    await begin({ serializer: { stringify: JSON.stringify, parse } })
    calling.store = successor.store
    await owner.store.set('a', session({ user: 'Ada' }))
    await owner.store.set('a', session({ user: 'Ada', views: 2 }))
    await owner.store.set('b', session({ user: 'Ben' }))
    await owner.store.close()
    await tookOver(successor)
    expect(await sidsOf(successor)).toEqual(['a', 'b'])
    expect(await successor.store.get('b')).toMatchObject({ user: 'Ben' })
    expect(await sidsOf(successor)).toEqual(['b', 'new'])
  })

  test('leaves one merged generation', async () => {
    await begin()
    const merged = new Promise((resolve) => successor.store.once('snapshot', resolve))
    await owner.store.set('a', session())
    await successor.store.set('b', session())
    await owner.store.close()
    expect(await merged).toMatchObject({ sessions: 2 })
    expect(successor.store.stats().unsaved).toBe(false)
  })

  test('follows within moments', async () => {
    await begin()
    await owner.store.close()
    const spent = stopwatch()
    await tookOver(successor)
    expect(spent()).toBeLessThan(1500)
  })

  test('of a session that both have changed: the later change holds', async () => {
    for (const [first, last] of [
      ['owner', 'successor'],
      ['successor', 'owner'],
    ] as const) {
      path = await newPath()
      await begin()
      await owner.store.set('a', session({ by: 'nobody' }))
      expect(await successor.store.get('a')).toBeDefined()
      const stores = { owner, successor }
      await stores[first].store.set('a', session({ by: first }))
      await wait(20)
      await stores[last].store.set('a', session({ by: last }))
      await owner.store.close()
      await tookOver(successor)
      expect(await successor.store.get('a')).toMatchObject({ by: last })
      await successor.store.close()
      expect(await (await restarted()).store.get('a')).toMatchObject({ by: last })
    }
  })

  test('of a session destroyed by one and used in the other: it is gone', async () => {
    await begin()
    for (const sid of ['a', 'b', 'stays']) await owner.store.set(sid, session())
    expect(await sidsOf(successor)).toEqual(['a', 'b', 'stays'])
    await owner.store.destroy('a')
    await successor.store.destroy('b')
    // Requests that had been under way.
    await wait(20)
    await successor.store.touch('a', session())
    await owner.store.set('b', session({ late: true }))
    await owner.store.flush()
    await wait(100)
    expect(await sidsOf(successor)).toEqual(['stays'])
    await owner.store.close()
    await tookOver(successor)
    expect(await sidsOf(successor)).toEqual(['stays'])
    await successor.store.close()
    expect(await sidsOf(await restarted())).toEqual(['stays'])
  })

  test('of a session used here before its destruction there is known: it is gone', async () => {
    await begin({ watch: false })
    await owner.store.set('a', session())
    await owner.store.flush()
    expect(await successor.store.get('a')).toBeDefined()
    await owner.store.destroy('a')
    // Between the two, without a look at the files.
    await successor.store.set('a', session({ late: true }))
    await owner.store.close()
    await tookOver(successor)
    expect(await sidsOf(successor)).toEqual([])
    await successor.store.close()
    expect(await sidsOf(await restarted())).toEqual([])
  })

  test('of a store that the successor has cleared: what was there is gone', async () => {
    await begin()
    await owner.store.set('a', session())
    await owner.store.set('b', session())
    expect(await sidsOf(successor)).toEqual(['a', 'b'])
    await successor.store.clear()
    await successor.store.set('new', session())
    await wait(20)
    await owner.store.set('a', session({ late: true }))
    await owner.store.close()
    await tookOver(successor)
    expect(await sidsOf(successor)).toEqual(['new'])
    await successor.store.close()
    expect(await sidsOf(await restarted())).toEqual(['new'])
  })

  test('of a store that the owner has cleared: what was there is gone', async () => {
    await begin()
    await owner.store.set('a', session())
    expect(await sidsOf(successor)).toEqual(['a'])
    await owner.store.clear()
    await owner.store.close()
    await tookOver(successor)
    expect(await sidsOf(successor)).toEqual([])
  })

  test('of a session that ended here by what the owner said is again what the owner says', async () => {
    const clock = await beginWithShortened()
    await clock.advance(1000)
    expect(await successor.store.get('a')).toBeUndefined()
    // A long request ends there.
    await owner.store.set('a', lasting(clock, HOUR, { late: true }))
    await expect.poll(() => successor.store.get('a'), patient).toMatchObject({ late: true })
    await owner.store.close()
    await tookOver(successor)
    expect(await successor.store.get('a')).toMatchObject({ late: true })
    await successor.store.close()
    expect(await sidsOf(await restarted())).toEqual(['a'])
  })

  test('of a session that ended there and was used here meanwhile: it goes on', async () => {
    const clock = await beginWithShortened()
    await successor.store.set('a', lasting(clock, HOUR, { used: 'here' }))
    await clock.advance(1000)
    await owner.store.prune()
    await owner.store.set('other', session())
    await expect.poll(() => sidsOf(successor), patient).toEqual(['a', 'other'])
    await owner.store.close()
    await tookOver(successor)
    expect(await successor.store.get('a')).toMatchObject({ used: 'here' })
    await successor.store.close()
    expect(await sidsOf(await restarted())).toEqual(['a', 'other'])
  })

  test('keeps expiries as they were', async () => {
    const clock = new StubClock(Date.now())
    await begin({}, { clock })
    await owner.store.set('short', lasting(clock, 700))
    await owner.store.set('long', lasting(clock, HOUR))
    await successor.store.set('own', lasting(clock, 700))
    await owner.store.close()
    await tookOver(successor)
    expect(await sidsOf(successor)).toEqual(['long', 'own', 'short'])
    await clock.advance(700)
    expect(await sidsOf(successor)).toEqual(['long'])
    expect(await successor.store.get('short')).toBeUndefined()
  })
})

test('a store that has closed says no more that it owns or follows anything', async () => {
  await begin()
  await successor.store.close()
  await owner.store.close()
  const nothing = { role: 'none', ownerPid: 0, since: undefined, waited: false }
  expect(successor.store.stats().ownership).toEqual(nothing)
  expect(owner.store.stats().ownership).toEqual(nothing)
})

describe('of several that wait', () => {
  test('exactly one takes over, the others follow it, one after the other', async () => {
    const all: Opened[] = []
    for (let i = 0; i < 4; i++) all.push(await openAt(path, never))
    const expected: string[] = []
    for (let i = 0; i < all.length; i++) {
      const owners = all.filter((one) => roleOf(one) === 'owner')
      expect(owners).toHaveLength(1)
      const [current] = owners as [Opened]
      const rest = all.filter((one) => roleOf(one) === 'successor')
      expect(rest).toHaveLength(all.length - 1 - i)
      await current.store.set(`by-${i}`, session({ i }))
      expected.push(`by-${i}`)
      for (const one of rest) expect(await sidsOf(one)).toEqual(expected)
      await current.store.close()
      if (rest.length === 0) break
      await expect.poll(() => rest.filter((one) => roleOf(one) === 'owner').length, patient).toBe(1)
      // And nobody changes their mind.
      await wait(300)
      expect(rest.filter((one) => roleOf(one) === 'owner')).toHaveLength(1)
    }
    for (const { errors } of all) expect(errors).toEqual([])
    expect(await sidsOf(await restarted())).toEqual(expected)
  })

  test('the changes of each are there in the end', async () => {
    const all: Opened[] = []
    for (let i = 0; i < 3; i++) {
      all.push(await openAt(path, never))
      await all[i]!.store.set(`of-${i}`, session({ i, shape: { [`k${i}`]: [i] } }))
    }
    await all[0]!.store.close()
    const waiting = all.slice(1)
    await expect.poll(() => waiting.some((one) => roleOf(one) === 'owner'), patient).toBe(true)
    const first = waiting.find((one) => roleOf(one) === 'owner')!
    const second = waiting.find((one) => one !== first)!
    await expect.poll(() => sidsOf(second), patient).toEqual(['of-0', 'of-1', 'of-2'])
    await first.store.close()
    await tookOver(second)
    expect(await sidsOf(second)).toEqual(['of-0', 'of-1', 'of-2'])
    expect(await second.store.get('of-1')).toMatchObject({ shape: { k1: [1] } })
  })
})

describe('a successor that closes before it was its turn', () => {
  test('says that its changes are not written', async () => {
    await begin()
    await successor.store.set('a', session())
    await successor.store.set('b', session())
    await successor.store.close()
    expect(successor.errors).toMatchObject([{ code: 'ERR_OWNED', path }])
    expect(successor.errors[0]!.message).toMatch(
      new RegExp(`another store of this process still.*2 sessions changed here`),
    )
  })

  test('says nothing where there were none', async () => {
    await begin()
    await owner.store.set('a', session())
    expect(await successor.store.get('a')).toBeDefined()
    await successor.store.close()
    expect(successor.errors).toEqual([])
    expect((await readdir(dirname(path))).join()).not.toContain('.successor-')
  })

  test('writes them after all where the owner has just closed', async () => {
    await begin({ watch: false })
    await successor.store.set('a', session())
    await owner.store.close()
    await successor.store.close()
    expect(successor.errors).toEqual([])
    expect(await sidsOf(await restarted())).toEqual(['a'])
  })

  test('tells of no error where it takes over in the moment it closes', async () => {
    await begin()
    await owner.store.set('a', session())
    await Promise.all([owner.store.close(), successor.store.close()])
    expect(successor.errors).toEqual([])
    expect(await sidsOf(await restarted())).toEqual(['a'])
  })
})

test('many changes by both at once are all there after the take-over', async () => {
  await begin({ snapshotInterval: 100 })
  const expected: string[] = []
  for (let i = 0; i < 300; i++) {
    const data = { i, [`key${i % 20}`]: { deep: [i] } }
    const [one, mark] = i % 2 === 0 ? [owner, 'o'] : [successor, 's']
    const sid = `${mark}${String(i).padStart(3, '0')}`
    void one.store.set(sid, session(data))
    if (i % 7 === 0) await one.store.destroy(sid)
    else expected.push(sid)
    if (i % 50 === 0) await wait(30)
  }
  await owner.store.close()
  await tookOver(successor)
  expect(await sidsOf(successor)).toEqual(expected.sort())
  await successor.store.close()
  const next = await restarted()
  expect(await sidsOf(next)).toEqual(expected)
  expect(await next.store.get('s299')).toMatchObject({ i: 299, key19: { deep: [299] } })
})
