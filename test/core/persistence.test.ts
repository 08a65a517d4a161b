/**
 * When changes are written: how often, how many records they cost, and what waits for what.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { changesIn, recordsIn } from '../support/journals.js'
import { gate, MemoryFiles, PATH } from '../support/memory-files.js'
import { HOUR } from '../support/records.js'
import { settle } from '../support/stub-clock.js'
import { afterKill, endsIn, open, restart, sessionOf, type Stage } from '../support/stores.js'

const SECOND = 1000
const MINUTE = 60 * SECOND

/** Notes at which times of the test's clock an operation is done. */
function timesOf({ files, clock }: Stage, operation: string, part = ''): number[] {
  const times: number[] = []
  const before = files.fail
  files.fail = (done, name) => {
    if (done === operation && name.includes(part)) times.push(clock.time)
    return before(done, name)
  }
  return times
}

describe("with durability 'everysec'", () => {
  test('changes are synced within a second, and no more often than that', async () => {
    const stage = await open()
    const { store, clock } = stage
    const syncs = timesOf(stage, 'sync', 'journal')
    const set: number[] = []
    for (let i = 0; i < 100; i++) {
      await store.set(`sid-${i % 7}`, sessionOf({ i }))
      set.push(clock.time)
      await clock.advance(100)
    }
    await clock.advance(2 * SECOND)
    const gaps = syncs.slice(1).map((at, i) => at - syncs[i]!)
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(SECOND)
    for (const at of set) {
      expect(syncs.some((sync) => sync >= at && sync <= at + SECOND)).toBe(true)
    }
  })

  test('a kill loses the last second at most', async () => {
    const stage = await open()
    const kept = new Map<string, number>()
    for (let i = 0; i < 30; i++) {
      await stage.store.set(`sid-${i}`, sessionOf({ i }))
      kept.set(`sid-${i}`, stage.clock.time)
      await stage.clock.advance(170)
      const killed = await afterKill(stage)
      const due = [...kept].filter(([, at]) => at <= stage.clock.time - SECOND)
      expect(await killed.store.ids()).toEqual(expect.arrayContaining(due.map(([sid]) => sid)))
      await killed.store.close()
    }
  })

  test('nothing is written where nothing changed', async () => {
    const stage = await open({ snapshotInterval: MINUTE })
    await stage.store.set('a', sessionOf({}, endsIn(stage.clock, 24 * HOUR)))
    await stage.clock.advance(10 * MINUTE)
    const { length } = stage.files.calls
    for (let i = 0; i < 20; i++) {
      await stage.store.get('a')
      await stage.store.get('nobody')
      await stage.store.destroy('nobody')
      await stage.clock.advance(MINUTE)
    }
    await stage.store.flush()
    expect(stage.files.calls).toHaveLength(length)
    await stage.store.close()
    expect(stage.files.calls).toHaveLength(length)
  })

  test('many changes to one session between two writes cost one record', async () => {
    const { store, files } = await open()
    for (let i = 0; i < 50; i++) {
      await store.set('a', sessionOf({ i }))
      await store.touch('a', sessionOf())
    }
    await store.set('b', sessionOf())
    await store.destroy('b')
    await store.flush()
    expect(changesIn(files)).toEqual(['set a', 'removal b'])
  })

  test('a change is answered without waiting for the disk', async () => {
    const { store, files } = await open()
    files.hold = () => new Promise(() => undefined)
    await store.set('a', sessionOf())
    await store.destroy('a')
    files.hold = () => undefined
  })
})

describe('touches', () => {
  const touch = ({ store, clock }: Stage, life: number, cookie = {}) =>
    store.touch('a', sessionOf({}, { ...endsIn(clock, life), originalMaxAge: 1, ...cookie }))
  const begin = async (life: number) => {
    const stage = await open()
    await stage.store.set('a', sessionOf({}, { ...endsIn(stage.clock, life), originalMaxAge: 1 }))
    await stage.store.flush()
    return stage
  }

  test('that move an expiry by little need no record for a minute, then one', async () => {
    const stage = await begin(HOUR)
    for (let i = 0; i < 11; i++) {
      await stage.clock.advance(5 * SECOND)
      await touch(stage, HOUR)
    }
    expect(changesIn(stage.files)).toEqual(['set a'])
    expect(stage.store.stats().unsaved).toBe(true)
    await stage.clock.advance(MINUTE)
    expect(changesIn(stage.files)).toEqual(['set a', 'touch a'])
    await stage.clock.advance(HOUR / 2)
    expect(changesIn(stage.files)).toEqual(['set a', 'touch a'])
  })

  test('that wait have their record after that minute, whatever is written meanwhile', async () => {
    const stage = await begin(HOUR)
    await touch(stage, HOUR + SECOND)
    await stage.clock.advance(50 * SECOND)
    await stage.store.set('b', sessionOf())
    await stage.clock.advance(11 * SECOND)
    expect(changesIn(stage.files)).toEqual(['set a', 'set b', 'touch a'])
  })

  test('that wait are written when the store is closed', async () => {
    const stage = await begin(HOUR)
    await stage.clock.advance(5 * SECOND)
    await touch(stage, HOUR)
    const again = await restart(stage)
    expect(changesIn(stage.files)).toEqual(['set a', 'touch a'])
    stage.clock.jump(HOUR - 1)
    expect(await again.store.get('a')).toBeDefined()
  })

  test.each([
    ['by a minute', HOUR, MINUTE, {}],
    ['by a tenth of the life', MINUTE, 8 * SECOND, {}],
    ['backwards', HOUR, -MINUTE, {}],
    ['not at all, but the cookie is another', HOUR, 0, { path: '/elsewhere' }],
  ])('that move an expiry %s have a record within a second', async (_, life, moved, cookie) => {
    const stage = await begin(life)
    await touch(stage, life + moved, cookie)
    await stage.clock.advance(SECOND)
    expect(changesIn(stage.files)).toEqual(['set a', 'touch a'])
  })

  test('a kill sets an expiry back by a tenth of the life and a minute at most', async () => {
    const lives = fc.constantFrom(10 * SECOND, MINUTE, HOUR, 24 * HOUR)
    const waits = fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(lives, waits, async (life, pauses) => {
        const stage = await begin(life)
        for (const pause of pauses) {
          await stage.clock.advance(Math.min(pause, life - 1))
          await touch(stage, life)
        }
        // What is not small has a second.
        await stage.clock.advance(SECOND)
        const killed = await afterKill(stage)
        const [now, later] = await Promise.all([stage.store.get('a'), killed.store.get('a')])
        const moment = (session: typeof now) => Date.parse(String(session!.cookie.expires))
        const back = moment(now) - moment(later)
        expect(back).toBeGreaterThanOrEqual(0)
        expect(back).toBeLessThanOrEqual(Math.min(MINUTE, life / 10) + SECOND)
        await Promise.all([stage.store.close(), killed.store.close()])
      }),
      { numRuns: 40 },
    )
  })
})

describe("with durability 'always'", () => {
  test('requests in flight share a sync', async () => {
    const { store, files } = await open({ durability: 'always' })
    await store.set('first', sessionOf())
    const before = files.count('sync', 'journal')
    await Promise.all(Array.from({ length: 64 }, (_, i) => store.set(`${i}`, sessionOf({ i }))))
    expect(files.count('sync', 'journal') - before).toBeLessThanOrEqual(2)
  })

  test.each([false, true])(
    'each is answered once, in order and on disk, however many ask again (prompt: %s)',
    async (prompt) => {
      const files = Object.assign(new MemoryFiles(), { prompt })
      const { store } = await open({ durability: 'always' }, { files })
      const answers: number[] = []
      const ask = (i: number): Promise<void> =>
        store.set(`sid-${i}.`, sessionOf({ i })).then(() => {
          answers.push(i)
          const [journal] = [...files.synced].filter(([path]) => path.includes('journal'))
          expect(journal?.[1].includes(`sid-${i}.`)).toBe(true)
          return i < 1000 ? ask(i + 64) : undefined
        })
      await Promise.all(Array.from({ length: 64 }, (_, i) => ask(i)))
      expect(answers).toEqual(Array.from({ length: answers.length }, (_, i) => i))
    },
  )

  test.each(['set', 'destroy', 'clear'] as const)(
    '%s is answered when it is on disk, and not before',
    async (method) => {
      const stage = await open({ durability: 'always' })
      await stage.store.set('a', sessionOf({ n: 1 }))
      const { opened, open: release } = gate()
      stage.files.hold = (operation) => (operation === 'sync' ? opened : undefined)
      let answered = false
      const arguments_ = { set: ['a', sessionOf({ n: 2 })], destroy: ['a'], clear: [] }[method]
      const call = stage.store[method] as (...all: unknown[]) => Promise<void>
      const answer = call.apply(stage.store, arguments_).then(() => (answered = true))
      await settle()
      expect(answered).toBe(false)
      release()
      await answer
      const killed = await afterKill(stage)
      const found = await killed.store.get('a')
      if (method === 'set') expect(found).toMatchObject({ n: 2 })
      else expect(found).toBeUndefined()
    },
  )

  test('touch and get wait for nothing', async () => {
    const { store, files } = await open({ durability: 'always' })
    await store.set('a', sessionOf())
    files.hold = () => new Promise(() => undefined)
    await store.touch('a', sessionOf())
    expect(await store.get('a')).toBeDefined()
    files.hold = () => undefined
  })
})

describe("with durability 'snapshot'", () => {
  test('what the snapshot under way takes along is unsaved until it stands', async () => {
    const { store, files } = await open({ durability: 'snapshot' })
    await store.set('a', sessionOf())
    const { opened, open: release } = gate()
    files.hold = (operation) => (operation === 'write' ? opened : undefined)
    const snapshot = store.snapshot()
    await settle()
    expect(store.stats().unsaved).toBe(true)
    release()
    await snapshot
    expect(store.stats().unsaved).toBe(false)
  })

  test('there is no journal, and a snapshot only where something changed', async () => {
    const { store, files, clock } = await open({ durability: 'snapshot', snapshotInterval: MINUTE })
    await clock.advance(3 * MINUTE)
    expect(files.calls).toEqual([])
    await store.set('a', sessionOf({}, endsIn(clock, HOUR)))
    await clock.advance(3 * MINUTE)
    expect([files.count('rename'), files.names()]).toEqual([1, ['s.snapshot']])
    await store.touch('a', sessionOf({}, endsIn(clock, HOUR)))
    await clock.advance(MINUTE)
    expect(files.count('rename')).toBe(2)
    await store.close()
    expect(files.count('rename')).toBe(2)
  })
})

test.each([
  ['a quarter of a second apart', 5, 250],
  ['three quarters of a second where they take long', 100, 750],
  ['as soon as the one before has ended where they take longer', 2000, 2000],
])('appends with everysec begin %s', async (_, took, apart) => {
  const { store, files, clock } = await open()
  await store.set('a', sessionOf())
  await store.flush()
  const begun: number[] = []
  files.hold = (operation) => {
    if (operation !== 'append') return undefined
    begun.push(clock.time)
    return clock.sleep(took)
  }
  for (let n = 0; n < 400; n++) {
    await store.set('a', sessionOf({ n }))
    await clock.advance(25)
  }
  const pauses = begun.slice(1).map((time, i) => time - begun[i]!)
  expect(pauses.length).toBeGreaterThan(3)
  // The first knows of none before it.
  for (const pause of pauses.slice(1)) {
    expect(pause).toBeGreaterThanOrEqual(apart)
    expect(pause).toBeLessThan(apart + 100)
  }
})

describe('snapshots', () => {
  test('a call during one waits for the next, which all who call share', async () => {
    const { store, files } = await open()
    await store.set('a', sessionOf())
    const { opened, open: release } = gate()
    files.hold = (operation) => (operation === 'rename' ? opened : undefined)
    const first = store.snapshot()
    await settle()
    await store.set('b', sessionOf())
    const [second, third] = [store.snapshot(), store.snapshot()]
    release()
    expect((await first).sessions).toBe(1)
    expect(await second).toMatchObject({ sessions: 2 })
    expect(await third).toEqual(await second)
    expect(files.count('rename')).toBe(2)
  })

  test('are taken every interval where a journal has grown, and not where it has not', async () => {
    const { store, files, clock } = await open({ snapshotInterval: MINUTE })
    await store.set('a', sessionOf({}, endsIn(clock, 24 * HOUR)))
    await clock.advance(MINUTE)
    expect(files.count('rename')).toBe(1)
    await clock.advance(10 * MINUTE)
    expect(files.count('rename')).toBe(1)
  })

  test('are taken when the journal has outgrown the last one, and 64 MiB', async () => {
    const { store, files, clock } = await open()
    const bulk = ' '.repeat(4 * 1024 * 1024)
    for (let i = 0; i < 15; i++)
      await store.set('a', sessionOf({ bulk, i })).then(() => store.flush())
    expect(files.contents.has(PATH)).toBe(false)
    for (let i = 0; i < 3; i++)
      await store.set('a', sessionOf({ bulk, i })).then(() => store.flush())
    await clock.advance(0)
    expect(files.contents.has(PATH)).toBe(true)
    expect(store.stats().journalBytes).toBeLessThan(16 * 1024 * 1024)
  })

  test('are taken when the journal has outgrown `journalMaxRatio` times the last one', async () => {
    const { store, files, clock } = await open({ journalMaxRatio: 2 })
    const bulk = ' '.repeat(10 * 1024 * 1024)
    const grow = async (times: number) => {
      for (let i = 0; i < times; i++) {
        await store.set('b', sessionOf({ bulk, i }, endsIn(clock, HOUR)))
        await store.flush()
      }
      await clock.advance(0)
    }
    for (let i = 0; i < 4; i++) await store.set(`${i}`, sessionOf({ bulk }, endsIn(clock, HOUR)))
    await store.flush()
    await store.snapshot()
    const before = files.count('rename')
    // Of 40 MiB; a journal of 70 is more than the least that asks for one, and less than twice.
    await grow(7)
    expect(files.count('rename')).toBe(before)
    await grow(2)
    expect(files.count('rename')).toBeGreaterThan(before)
  })

  test('of more than a megabyte are not taken for little', async () => {
    const { store, files, clock } = await open({ snapshotInterval: MINUTE })
    const bulk = ' '.repeat(512 * 1024)
    const set = (sid: string) => store.set(sid, sessionOf({ bulk }, endsIn(clock, 24 * HOUR)))
    for (const sid of ['a', 'b', 'c', 'd']) await set(sid)
    await store.flush()
    await store.snapshot()
    const before = files.count('rename')
    await set('a')
    await clock.advance(5 * MINUTE)
    expect(files.count('rename')).toBe(before)
    await set('b')
    await clock.advance(5 * MINUTE)
    expect(files.count('rename')).toBeGreaterThan(before)
  })

  test('are taken when restarts have left many journals', async () => {
    let stage = await open()
    for (let i = 0; i < 20; i++) {
      await stage.store.set(`${i}`, sessionOf())
      stage = await restart(stage)
      await settle(40)
    }
    const journals = stage.files.names().filter((name) => name.includes('journal'))
    expect(journals.length).toBeLessThanOrEqual(18)
    expect(await stage.store.length()).toBe(20)
  })

  test('hold a removal until its session would have expired, also where nobody prunes', async () => {
    const stage = await open({ checkPeriod: 0 })
    const { store, files, clock } = stage
    for (const [sid, life] of Object.entries({ short: MINUTE, long: HOUR })) {
      await store.set(sid, sessionOf({}, endsIn(clock, life)))
      await store.destroy(sid)
    }
    const held = async () => {
      await store.snapshot()
      const sids = recordsIn(files.get(PATH)).map(([, sid]) => sid)
      return ['short', 'long'].filter((sid) => sids.includes(sid))
    }
    await clock.advance(MINUTE - 1)
    expect(await held()).toEqual(['short', 'long'])
    await clock.advance(1)
    expect(await held()).toEqual(['long'])
  })

  test('tell what they were', async () => {
    const { store, clock } = await open()
    await store.set('a', sessionOf())
    const told: unknown[] = []
    store.on('snapshot', (report: unknown) => told.push(report))
    const report = await store.snapshot()
    expect(report).toMatchObject({ sessions: 1 })
    expect(report.bytes).toBeGreaterThan(1024)
    expect(told).toEqual([report])
    expect(store.stats().snapshot).toEqual({ ...report, at: new Date(clock.time) })
  })
})

test.each(['snapshot', 'everysec', 'always'] as const)(
  'with durability %s a session that a limit kept from being restored can be destroyed for good',
  async (durability) => {
    const first = await open({ durability })
    for (const sid of 'abc') await first.store.set(sid, sessionOf())
    const { store, files, clock } = await restart(first, { durability, max: 1 })
    expect(await store.ids()).toEqual(['c'])
    await store.destroy('a')
    const next = await restart({ ...first, store, files, clock }, { durability })
    expect(await next.store.get('a')).toBeUndefined()
  },
)
