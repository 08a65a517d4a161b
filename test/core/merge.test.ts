import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { shapeText } from '../../src/core/cookie.js'
import type { Table } from '../../src/core/table.js'
import { Codec } from '../../src/core/codec.js'
import type { EntryRecord } from '../../src/core/format.js'
import { MalformedError } from '../../src/core/format.js'
import { Lapsed } from '../../src/core/lapsed.js'
import { Merge, type MergeOptions, type OwnChanges } from '../../src/core/merge.js'
import {
  contentsOf,
  HOUR,
  recordOf,
  shapes,
  structuresOf,
  targetOf,
  teach,
} from '../support/records.js'
import { NOON } from '../support/stub-clock.js'
import { bodyOf } from '../support/bodies.js'

// One that makes no structures: its bodies need none.
const codec = new Codec()
codec.frozen = true
const LATER = NOON + HOUR

/** What a merge needs of the header of a file. */
const fileOf = (lineage: Buffer, id = 1) => ({ lineage, id: Buffer.alloc(16, id) })

/** A target and a merge into it, with entries that carry their stamp as data. */
function begin(options: Partial<MergeOptions> = {}, limits?: { max: number; maxBytes: number }) {
  const target = targetOf(limits)
  const merge = new Merge(target, { now: () => NOON, ...options })
  merge.begin(fileOf(target.lineage))
  const entry = (sid: string, stamp: number, fields: Partial<EntryRecord> = {}) =>
    merge.entry(recordOf({ sid, stamp, ...fields }), codec.encode({ v: stamp }))
  const touch = (sid: string, stamp: number, expires = LATER) =>
    merge.entry(recordOf({ sid, stamp, expires }), undefined)
  return { target, merge, entry, touch, table: target.table }
}

/** What a process has changed that has changed nothing yet. */
const own = (): OwnChanges => ({
  sets: new Set(),
  made: new Set(),
  removals: new Map(),
  lapsed: new Lapsed(),
  cleared: 0,
})

describe('of two states of a session', () => {
  test('the one with the higher stamp holds, wherever it stands', () => {
    for (const order of [
      [1, 2],
      [2, 1],
      [2, 1, 2],
    ]) {
      const { target, entry } = begin()
      for (const stamp of order) entry('a', stamp)
      expect(contentsOf(target)).toMatchObject({ a: { data: { v: 2 }, stamp: 2 } })
    }
  })

  test('what a file tells of its expiry is what the files hold', () => {
    const { entry, touch, table } = begin()
    entry('a', 1)
    touch('a', 2, LATER + HOUR)
    expect(table.saved(table.find('a'))).toBe(LATER + HOUR)
  })

  test('at the same stamp the one with a body holds: a touch may be told first', () => {
    const { target, entry, touch } = begin()
    entry('a', 1)
    touch('a', 2)
    entry('a', 2)
    touch('a', 2)
    expect(contentsOf(target)).toMatchObject({ a: { data: { v: 2 } } })
  })

  test('a touch replaces all but the data, and nothing where there is no session', () => {
    const { target, merge, entry, touch } = begin()
    entry('a', 1)
    const cookie = shapes.of({ path: '/touched' })
    merge.entry(recordOf({ sid: 'a', stamp: 2, expires: LATER + 1, cookie }), undefined)
    touch('nobody', 2)
    expect(contentsOf(target)).toMatchObject({
      a: { data: { v: 1 }, stamp: 2, expires: LATER + 1, cookie: shapeText(cookie) },
    })
    expect(Object.keys(contentsOf(target))).toEqual(['a'])
  })

  test('a removal beats all up to its stamp, and a session made anew stays', () => {
    const { target, merge, entry } = begin()
    entry('a', 1)
    merge.removal('a', 2, LATER)
    entry('a', 1)
    entry('a', 2)
    expect(contentsOf(target)).toEqual({})
    entry('a', 3)
    merge.removal('a', 2, LATER)
    expect(contentsOf(target)).toMatchObject({ a: { data: { v: 3 } } })
  })

  test('a clear beats all sessions up to its stamp', () => {
    const { target, merge, entry } = begin()
    entry('a', 1)
    entry('b', 5)
    merge.clear(4)
    entry('c', 4)
    entry('d', 5)
    expect(Object.keys(contentsOf(target)).sort()).toEqual(['b', 'd'])
    expect(target.tombstones.cleared).toBe(4)
  })
})

describe('what has expired', () => {
  test('stands in its place, so that nothing older does, and a touch can prolong it', () => {
    const { table, entry, touch } = begin({ olderFollow: true })
    entry('a', 10, { expires: NOON })
    entry('a', 5)
    expect(table.expires(table.find('a'))).toBe(NOON)
    touch('a', 11)
    expect(table.expires(table.find('a'))).toBe(LATER)
  })

  test('a removal that can matter no more is not kept', () => {
    const { target, merge } = begin()
    merge.removal('a', 2, NOON)
    merge.removal('b', 2, NOON + 1)
    expect([target.tombstones.get('a'), target.tombstones.get('b')]).toEqual([
      undefined,
      { stamp: 2, until: NOON + 1 },
    ])
  })

  test('a life that a file shortened is known to have been longer', () => {
    const { target, entry, touch } = begin()
    entry('a', 1, { expires: LATER + HOUR })
    touch('a', 2, LATER)
    expect(target.tombstones.outlives('a', LATER + HOUR - 1)).toBe(true)
  })
})

describe('what was evicted', () => {
  test('does not come back from an older file, whatever older evictions that tells', () => {
    const { target, merge, entry } = begin({ olderFollow: true })
    merge.removal('a', 10, 0)
    merge.removal('a', 3, 0)
    entry('a', 5)
    entry('a', 10)
    expect(contentsOf(target)).toEqual({})
    entry('a', 11)
    expect(Object.keys(contentsOf(target))).toEqual(['a'])
  })
})

describe('between processes', () => {
  test('what this one destroyed stays so, whatever stamps the other has, and for as long', () => {
    const mine = own()
    const { target, entry } = begin({ own: mine })
    mine.removals.set('a', NOON + 1)
    target.tombstones.add('a', 1, NOON + 1)
    entry('a', 99)
    expect(contentsOf(target)).toEqual({})
    expect(target.tombstones.get('a')).toEqual({ stamp: 1, until: LATER })
  })

  test('what the other destroyed goes, though requests here changed it later', () => {
    const mine = own()
    const { target, entry, merge } = begin({ own: mine })
    entry('changed here', 5)
    mine.sets.add('changed here')
    entry('made anew there', 5)
    merge.removal('changed here', 4, LATER)
    merge.removal('made anew there', 4, LATER)
    expect(Object.keys(contentsOf(target))).toEqual(['made anew there'])
  })

  test('what the other destroyed is destroyed once: what was made anew here since stays', () => {
    const mine = own()
    const { target, entry, merge } = begin({ own: mine })
    for (const stamp of [5, 6]) {
      entry('a', stamp)
      mine.sets.add('a')
      merge.removal('a', 4, LATER)
    }
    expect(contentsOf(target)).toMatchObject({ a: { data: { v: 6 } } })
  })

  test('and for as long as they made it live, though it would have ended by now', () => {
    const mine = own()
    const { target, entry, merge } = begin({ own: mine })
    entry('a', 5)
    mine.sets.add('a')
    merge.removal('a', 4, NOON - 1)
    entry('a', 3)
    expect(contentsOf(target)).toEqual({})
    expect(target.tombstones.get('a')).toEqual({ stamp: 4, until: LATER })
  })

  test('what the other cleared goes, though requests here changed it later; not what is new', () => {
    const mine = own()
    const { target, entry, merge } = begin({ own: mine })
    entry('changed here', 5)
    mine.sets.add('changed here')
    entry('made here', 5)
    mine.sets.add('made here')
    mine.made.add('made here')
    entry('made anew there', 5)
    merge.clear(4)
    entry('changed here', 3)
    expect(Object.keys(contentsOf(target)).sort()).toEqual(['made anew there', 'made here'])
  })

  test('an eviction there destroys nothing that was changed here', () => {
    const mine = own()
    const { target, entry, merge } = begin({ own: mine })
    entry('a', 5)
    mine.sets.add('a')
    merge.removal('a', 4, 0)
    expect(Object.keys(contentsOf(target))).toEqual(['a'])
  })
})

test('what was cleared where a file was written is left out, and nothing is cleared here', () => {
  const { target, merge, entry } = begin({ cleared: 5 })
  target.table.put(recordOf({ sid: 'here', stamp: 3 }), codec.encode({ v: 3 }))
  entry('before', 4)
  entry('last', 5)
  merge.clear(5)
  entry('since', 6)
  expect(Object.keys(contentsOf(target)).sort()).toEqual(['here', 'since'])
  expect(target.tombstones.cleared).toBe(0)
})

describe('bodies', () => {
  /** Structures as another process learned them, and a body that needs one. */
  const other = new Codec()
  const body = teach(other, { user: 7, name: 'of another lineage' })
  const structures = structuresOf(other)

  test('of another lineage are encoded anew, so that ours can decode them', () => {
    const { target, merge } = begin()
    teach(target.codec, { quite: 1, different: 2 })
    merge.begin(fileOf(Buffer.alloc(16, 99)))
    structures.forEach((keys, id) => merge.structure(id, keys))
    merge.needs(structures.length)
    merge.entry(recordOf({ sid: 'a' }), bodyOf(body))
    expect(contentsOf(target)).toMatchObject({ a: { data: { user: 7 } } })
    expect(structuresOf(target.codec)).toEqual([['quite', 'different']])
  })

  test('of another lineage that are told again change nothing', () => {
    const { merge } = begin()
    merge.begin(fileOf(Buffer.alloc(16, 99)))
    structures.forEach((keys, id) => merge.structure(id, keys))
    merge.needs(structures.length)
    for (let i = 0; i < 2; i++) merge.entry(recordOf({ sid: 'a' }), bodyOf(body))
    expect(merge.counts).toMatchObject({ records: 2, applied: 1 })
  })

  test('mean what their file tells, though files of one lineage tell different things', () => {
    const { target, merge } = begin()
    const one = new Codec()
    const two = new Codec()
    for (const codec of [one, two]) teach(codec, { common: 1 })
    const bodies = [
      teach(one, { user: 1, role: 'of one' }),
      teach(two, { name: 2, views: 'of two' }),
      teach(two, { last: 3, seen: 'of two' }),
    ]
    const tell = (id: number, codec: Codec, from: number) => {
      merge.begin(fileOf(target.lineage, id))
      structuresOf(codec).forEach((keys, at) => at >= from && merge.structure(at, keys))
      merge.needs(structuresOf(codec).length)
    }
    tell(1, one, 0)
    merge.entry(recordOf({ sid: 'a' }), bodyOf(bodies[0]!))
    tell(2, two, 0)
    merge.entry(recordOf({ sid: 'b' }), bodyOf(bodies[1]!))
    // What stands behind it in either file is read on.
    tell(1, one, Infinity)
    merge.entry(recordOf({ sid: 'c' }), bodyOf(bodies[0]!))
    tell(2, two, Infinity)
    merge.entry(recordOf({ sid: 'd' }), bodyOf(bodies[2]!))
    expect(contentsOf(target)).toMatchObject({
      a: { data: { user: 1, role: 'of one' } },
      b: { data: { name: 2, views: 'of two' } },
      c: { data: { user: 1, role: 'of one' } },
      d: { data: { last: 3, seen: 'of two' } },
    })
    expect(structuresOf(target.codec)).toEqual(structuresOf(one))
  })

  test('without structures are taken as they are: a serializer runs no code of the app here', () => {
    const { target, merge } = begin()
    const encoded = vi.spyOn(target.codec, 'encode')
    merge.begin(fileOf(Buffer.alloc(16, 99)))
    merge.needs(0)
    merge.entry(recordOf({ sid: 'a' }), codec.encode({ user: 7 }))
    expect(contentsOf(target)).toMatchObject({ a: { data: { user: 7 } } })
    expect(encoded).not.toHaveBeenCalled()
  })

  test('of our lineage need the structures that the file tells', () => {
    const { target, merge } = begin()
    merge.needs(structures.length)
    merge.entry(recordOf({ sid: 'too early' }), bodyOf(body))
    expect([contentsOf(target), merge.counts.undecodable]).toEqual([{}, 1])
    structures.forEach((keys, id) => merge.structure(id, keys))
    merge.needs(structures.length)
    merge.entry(recordOf({ sid: 'a' }), bodyOf(body))
    expect(contentsOf(target)).toMatchObject({ a: { data: { user: 7 } } })
  })

  test('that are there already are not missed where their structures are lost', () => {
    const { target, merge } = begin()
    structures.forEach((keys, id) => merge.structure(id, keys))
    merge.needs(structures.length)
    merge.entry(recordOf({ sid: 'a' }), bodyOf(body))
    merge.needs(structures.length + 1)
    merge.entry(recordOf({ sid: 'a' }), bodyOf(body))
    expect(merge.counts.undecodable).toBe(0)
    expect(contentsOf(target)).toMatchObject({ a: { data: { user: 7 } } })
  })

  test('are taken over one by one: a thousand of them must not hold the loop', () => {
    const { target, merge } = begin()
    const adopted = vi.spyOn(target.codec, 'adopt')
    const many = Array.from({ length: 1024 }, (_, id) => [`key${id}`])
    many.forEach((keys, id) => merge.structure(id, keys))
    expect(structuresOf(target.codec)).toEqual(many)
    expect(adopted.mock.calls.flatMap(([structures]) => structures)).toHaveLength(many.length)
  })

  test('a structure out of order, or one that can be none, costs those that need it alone', () => {
    const { target, merge, entry } = begin()
    merge.structure(5, ['not', 'the', 'next'])
    merge.structure(4294967294, ['far', 'away'])
    merge.structure(0, ['twice', 'twice'])
    merge.needs(1)
    merge.entry(recordOf({ sid: 'lost' }), bodyOf(body))
    merge.needs(0)
    entry('kept', 1)
    expect(Object.keys(contentsOf(target))).toEqual(['kept'])
    expect(merge.counts.undecodable).toBe(1)
  })

  test('that can not be translated are malformed', () => {
    const { merge } = begin()
    merge.begin(fileOf(Buffer.alloc(16, 99)))
    merge.structure(0, ['key'])
    expect(() => merge.entry(recordOf({ sid: 'a' }), bodyOf('\xc1\xff'))).toThrow(MalformedError)
  })

  test('too large for `maxBytes` are left out', () => {
    const { target, entry } = begin({}, { max: 0, maxBytes: 4 })
    entry('a sid that is longer than that', 1)
    expect(contentsOf(target)).toEqual({})
  })

  test.each([
    [1, 2],
    [2, 1],
  ])('nor does what they have replaced come in their place (%i before %i)', (...stamps) => {
    const { target, merge } = begin({}, { max: 0, maxBytes: 40 })
    for (const stamp of stamps) {
      const data = { v: 'x'.repeat(stamp === 2 ? 100 : 1) }
      merge.entry(recordOf({ sid: 'a', stamp }), codec.encode(data))
    }
    expect(contentsOf(target)).toEqual({})
  })
})

describe('records that are read in any order and more than once', () => {
  const record = fc.record({
    do: fc.constantFrom('entry', 'entry', 'removal', 'clear'),
    sid: fc.constantFrom('a', 'b', 'c'),
    life: fc.constantFrom(-1, 0, 1, 50),
  })
  const history = fc.array(record, { maxLength: 12 }).chain((steps) =>
    fc.tuple(
      fc.constant(steps.map((step, i) => ({ ...step, stamp: i + 1 }))),
      fc.shuffledSubarray(
        steps.flatMap((_, i) => [i, i]),
        { minLength: steps.length * 2 },
      ),
    ),
  )

  test('come to the same sessions', () => {
    fc.assert(
      fc.property(history, fc.boolean(), ([steps, order], follows) => {
        const tell = (into: ReturnType<typeof begin>, i: number) => {
          const { do: what, sid, life, stamp } = steps[i]!
          // A removal is noted until all that it removed has expired.
          const longest = steps
            .slice(0, i)
            .filter((one) => one.sid === sid)
            .reduce((most, one) => Math.max(most, one.life), 0)
          if (what === 'entry') into.entry(sid, stamp, { expires: NOON + life })
          else if (what === 'removal') into.merge.removal(sid, stamp, NOON + longest)
          else into.merge.clear(stamp)
        }
        const inOrder = begin({ olderFollow: true })
        const shuffled = begin({ olderFollow: true, ...(follows ? { own: own() } : {}) })
        steps.forEach((_, i) => tell(inOrder, i))
        for (const i of order) tell(shuffled, i)
        expect(living(shuffled)).toEqual(living(inOrder))
        expect(shuffled.merge.stamp).toBe(inOrder.merge.stamp)
      }),
      { numRuns: 1000 },
    )
  })
})

/** What is left when what has expired is swept out. */
function living({ target }: ReturnType<typeof begin>) {
  const { table } = target
  return Object.fromEntries(
    Object.entries(contentsOf(target)).filter(([sid]) => table.expires(table.find(sid)) > NOON),
  )
}

test('where all that is there is cleared, it goes at once', () => {
  const gone: string[] = []
  const removing = vi.fn()
  const target = targetOf()
  const emptied = (table: Table) => {
    for (let slot = 0; slot < table.slots; slot++) if (table.has(slot)) gone.push(table.sid(slot))
  }
  const merge = new Merge(target, { now: () => NOON, own: own(), events: { emptied, removing } })
  merge.begin(fileOf(target.lineage))
  for (const sid of 'abc') merge.entry(recordOf({ sid }), codec.encode({}))
  merge.clear(2)
  merge.entry(recordOf({ sid: 'd', stamp: 3 }), codec.encode({}))
  expect([gone, Object.keys(contentsOf(target))]).toEqual([['a', 'b', 'c'], ['d']])
  expect(merge.counts).toMatchObject({ applied: 4, removed: 3 })
  expect(removing).not.toHaveBeenCalled()
})

test('the highest stamp is told, uses included, so that the next is higher', () => {
  const { merge, entry } = begin()
  entry('a', 5, { used: 900 })
  merge.removal('b', 20, LATER)
  expect(merge.stamp).toBe(900)
})

test('whoever wants to know is told what changes and what goes', () => {
  const told: string[] = []
  const target = targetOf()
  const merge = new Merge(target, {
    now: () => NOON,
    events: {
      changed: (slot) => told.push(`changed ${target.table.sid(slot)}`),
      removing: (slot) => told.push(`removing ${target.table.sid(slot)}`),
    },
  })
  merge.begin(fileOf(target.lineage))
  merge.entry(recordOf({ sid: 'a' }), codec.encode({}))
  merge.entry(recordOf({ sid: 'a' }), codec.encode({}))
  merge.entry(recordOf({ sid: 'a', stamp: 2 }), undefined)
  merge.removal('a', 3, LATER)
  expect(told).toEqual(['changed a', 'changed a', 'removing a'])
  expect(merge.counts).toMatchObject({ records: 4, applied: 2, removed: 1 })
})

test('what was dropped by whoever was told of the eviction it caused is not told to have changed', () => {
  const changed = vi.fn()
  const { entry, table } = begin({ events: { changed } }, { max: 1, maxBytes: 0 })
  entry('a', 1)
  table.onEvicted = () => table.remove(table.find('b'))
  entry('b', 2)
  expect(table.size).toBe(0)
  expect(changed).toHaveBeenCalledTimes(1)
})
