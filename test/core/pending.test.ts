import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Changes } from '../../src/core/changes.js'
import { Pending } from '../../src/core/pending.js'
import type { Removal } from '../../src/core/tombstones.js'
import { putSession, targetOf, toldBy } from '../support/records.js'

const gone = { stamp: 5, until: 0 }

/** Notes of a table, told by sid; sessions are put there as they are named. */
function notes() {
  const target = targetOf()
  const { table } = target
  const pending = new Pending(table)
  const at = (sid: string) => {
    const slot = table.find(sid)
    return slot >= 0 ? slot : putSession(target, sid, {})
  }
  return {
    table,
    pending,
    at,
    set: (sid: string) => pending.set(at(sid)),
    touch: (sid: string) => pending.touch(at(sid)),
    touchSlightly: (sid: string, now = 0) => pending.touchSlightly(at(sid), now),
    remove: (sid: string, removal: Removal = gone) => {
      pending.remove(sid, removal)
      if (table.find(sid) >= 0) table.remove(at(sid))
    },
    expire: (sid: string, removal: Removal = gone) => {
      pending.expire(at(sid), removal)
      table.remove(at(sid))
    },
    clear: (stamp: number) => {
      table.clear()
      pending.clear(stamp)
    },
    told: (changes: Changes) => toldBy(table, changes),
    all: () => {
      let all = {}
      pending.tellAll((changes) => (all = toldBy(table, changes)))
      return all
    },
  }
}

test('what waits for company goes with what comes, and is no reason by itself', () => {
  const { pending, touchSlightly, told } = notes()
  expect([pending.none, pending.urgent, pending.waiting]).toEqual([true, false, false])
  touchSlightly('touched', 10)
  touchSlightly('another', 20)
  expect([pending.none, pending.urgent, pending.waiting]).toEqual([false, false, true])
  expect(pending.waitingSince).toBe(10)
  pending.settle()
  expect([pending.none, pending.urgent, pending.waiting]).toEqual([false, true, false])
  expect(told(pending.begin())).toEqual({ touched: 'touch', another: 'touch' })
  expect([pending.none, pending.urgent]).toEqual([false, false])
  pending.written()
  expect(pending.none).toBe(true)
})

test('whoever touches slightly is told whether it is the first to wait', () => {
  const { pending, set, touchSlightly } = notes()
  expect([touchSlightly('a'), touchSlightly('a'), touchSlightly('b')]).toEqual([true, false, false])
  set('a')
  expect(touchSlightly('c')).toBe(false)
  pending.settle()
  expect(touchSlightly('a')).toBe(true)
  pending.end()
  expect(touchSlightly('b')).toBe(false)
})

test('what waits gives way to what is noted of the same session', () => {
  const { pending, set, remove, touchSlightly, clear, all } = notes()
  for (const sid of ['set', 'removed', 'set then']) touchSlightly(sid)
  set('set')
  remove('removed')
  pending.remove('set later', gone)
  set('set later')
  expect(all()).toEqual({
    set: 'set',
    removed: gone,
    'set then': 'touch',
    'set later': 'set',
  })
  touchSlightly('a')
  set('b')
  clear(7)
  expect([pending.urgent, pending.waiting]).toEqual([true, false])
  pending.tellAll((changes) => expect([changes.cleared, changes.empty]).toEqual([7, false]))
  expect(pending.none).toBe(true)
})

test('what waits is over when its session goes, and when it is set', () => {
  const { table, pending, at, touchSlightly, set, expire } = notes()
  for (const sid of ['gone', 'set', 'expired']) touchSlightly(sid)
  table.remove(at('gone'))
  expire('expired')
  expect(pending.waiting).toBe(true)
  set('set')
  expect(pending.waiting).toBe(false)
  touchSlightly('in the same slot')
  expect(pending.waiting).toBe(true)
})

test('what could not be written is noted again, and newer notes stand', () => {
  const { pending, set, touch, remove, all } = notes()
  set('a')
  remove('b')
  pending.begin()
  set('b')
  touch('a')
  pending.failed()
  expect(all()).toEqual({ a: 'set', b: 'set' })
})

test('all that there is includes what is on its way', () => {
  const { pending, set, touchSlightly, all } = notes()
  set('a')
  pending.begin()
  set('b')
  touchSlightly('c')
  expect(all()).toEqual({ a: 'set', b: 'set', c: 'touch' })
  expect(pending.urgent).toBe(false)
  // What was on its way still is: it may fail.
  pending.failed()
  expect(all()).toEqual({ a: 'set' })
})

test('what could not be told at once stays noted', () => {
  const { pending, set, all } = notes()
  set('a')
  pending.begin()
  const failing = () => {
    throw new Error('disk full')
  }
  expect(() => pending.tellAll(failing)).toThrow('disk full')
  pending.written()
  expect(all()).toEqual({ a: 'set' })
})

test('sessions that are gone are counted, and forgotten without the others', () => {
  const { pending, set, remove, touchSlightly, all } = notes()
  set('set')
  touchSlightly('touched')
  for (const sid of ['a', 'b']) remove(sid)
  expect(pending.gone).toBe(2)
  pending.dropGone()
  expect(pending.gone).toBe(0)
  expect(all()).toEqual({ set: 'set', touched: 'touch' })
})

describe('where nothing will be written any more', () => {
  const steps: [string, (one: ReturnType<typeof notes>) => void][] = [
    ['a set', ({ set }) => set('a')],
    ['a touch', ({ touch }) => touch('a')],
    ['a small touch', ({ touchSlightly }) => touchSlightly('a')],
    ['a removal', ({ remove }) => remove('a')],
  ]

  test.each(steps)('%s is not noted, but that something is missing', (_, step) => {
    const one = notes()
    one.pending.end()
    expect(one.pending.none).toBe(true)
    step(one)
    expect([one.pending.none, one.pending.urgent, one.pending.waiting]).toEqual([
      false,
      false,
      false,
    ])
    expect(one.all()).toEqual({})
    expect(one.pending.none).toBe(false)
  })

  test.each(steps)('%s noted before is forgotten, but that something is missing', (_, step) => {
    const one = notes()
    step(one)
    one.pending.end()
    expect([one.pending.none, one.pending.urgent, one.pending.waiting]).toEqual([
      false,
      false,
      false,
    ])
    expect(one.all()).toEqual({})
  })

  test('what was on its way does not come back', () => {
    const { pending, set, remove, all } = notes()
    set('a')
    remove('b')
    pending.begin()
    pending.end()
    pending.failed()
    expect(pending.none).toBe(false)
    expect(all()).toEqual({})
  })
})

test('a touch on its way becomes the whole entry where a set overtakes it', () => {
  const { pending, set, touch, remove, told } = notes()
  touch('a')
  touch('c')
  remove('b')
  const writing = pending.begin()
  set('a')
  set('b')
  touch('c')
  expect(told(writing)).toEqual({ a: 'set', b: gone, c: 'touch' })
})

test('a session that goes while it is on its way is still told of, and its slot is free', () => {
  const { pending, at, set, touch, remove, told } = notes()
  touch('a')
  const slot = at('a')
  const writing = pending.begin()
  remove('a')
  set('b')
  expect(at('b')).toBe(slot)
  expect(told(writing)).toEqual({ a: undefined })
  pending.failed()
  expect(told(pending.begin())).toEqual({ a: gone, b: 'set' })
})

test('a session that was gone the moment it was set is not noted', () => {
  const { table, pending, at } = notes()
  const slot = at('a')
  table.remove(slot)
  pending.set(slot)
  expect(pending.none).toBe(true)
})

describe('of what has expired', () => {
  test('only that is told of which the files have not heard yet', () => {
    const { pending, set, expire, told, at } = notes()
    at('told long ago')
    expire('told long ago')
    expect([pending.none, pending.expired]).toEqual([true, 1])
    set('noted')
    expire('noted', { stamp: 6, until: 0 })
    expect(told(pending.begin())).toEqual({ noted: { stamp: 6, until: 0 } })
    pending.written()
    set('on its way')
    pending.begin()
    expire('on its way', { stamp: 7, until: 0 })
    pending.written()
    expect(told(pending.begin())).toEqual({ 'on its way': { stamp: 7, until: 0 } })
  })
})

describe('against maps by sid', () => {
  type Note = 'set' | 'touch' | Removal | undefined
  const sids = ['a', 'b', 'c', 'd', 'e', 'f']

  /** The same with nothing clever: every note an entry of a map, slots unheard of. */
  class Model {
    live = new Set<string>()
    changes = new Map<string, Note>()
    writing = new Map<string, Note>()
    waiting = new Map<string, Note>()
    cleared = 0
    clearing = 0

    set(sid: string) {
      this.live.add(sid)
      this.waiting.delete(sid)
      this.changes.set(sid, 'set')
      if (this.writing.get(sid) === 'touch') this.writing.set(sid, 'set')
    }

    touch(sid: string) {
      if (this.changes.get(sid) !== 'set') this.changes.set(sid, 'touch')
    }

    /** A session leaves without a word: what was noted of it is that it went. */
    leave(sid: string) {
      this.live.delete(sid)
      this.waiting.delete(sid)
      for (const notes of [this.changes, this.writing]) {
        if (typeof notes.get(sid) === 'string') notes.set(sid, undefined)
      }
    }

    remove(sid: string, removal: Removal) {
      this.leave(sid)
      this.changes.set(sid, removal)
    }

    expire(sid: string, removal: Removal) {
      const noted = [this.changes, this.writing].some((notes) => typeof notes.get(sid) === 'string')
      this.leave(sid)
      if (noted) this.changes.set(sid, removal)
    }

    clear(stamp: number) {
      this.live.clear()
      this.changes.clear()
      this.waiting.clear()
      for (const [sid, note] of this.writing) if (typeof note === 'string') this.writing.delete(sid)
      this.cleared = stamp
    }

    settle() {
      this.#add(this.waiting)
      this.waiting.clear()
    }

    begin() {
      this.writing = this.changes
      this.clearing = this.cleared
      this.changes = new Map()
      this.cleared = 0
    }

    written() {
      this.writing = new Map()
      this.clearing = 0
    }

    restore() {
      if (this.cleared > 0) return
      this.cleared = this.clearing
      this.#add(this.writing)
    }

    #add(older: Map<string, Note>) {
      for (const [sid, note] of older) {
        const newer = this.changes.get(sid)
        if (!this.changes.has(sid) || (newer === 'touch' && note === 'set')) {
          this.changes.set(sid, note)
        }
      }
    }
  }

  const sid = fc.constantFrom(...sids)
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('set', 'touch', 'small'), sid }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('remove', 'expire', 'leave'), sid }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constantFrom('begin', 'written', 'failed', 'settle'), sid }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('clear', 'all', 'take'), sid }) },
  )

  test('the same is told, whichever slots sessions come by, and no session twice', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { pending, table, at, told, ...acts } = notes()
        const model = new Model()
        let writing: Changes | undefined
        let stamp = 0
        for (const { do: what, sid } of steps) {
          const removal = { stamp: ++stamp, until: 0 }
          const live = model.live.has(sid)
          if (what === 'set') {
            acts.set(sid)
            model.set(sid)
          } else if (what === 'touch' && live) {
            acts.touch(sid)
            model.touch(sid)
          } else if (what === 'small' && live) {
            acts.touchSlightly(sid)
            model.waiting.set(sid, 'touch')
          } else if (what === 'remove' && live) {
            acts.remove(sid, removal)
            model.remove(sid, removal)
          } else if (what === 'remove') {
            pending.remove(sid, removal)
            model.remove(sid, removal)
          } else if (what === 'expire' && live) {
            acts.expire(sid, removal)
            model.expire(sid, removal)
          } else if (what === 'leave' && live) {
            table.remove(at(sid))
            model.leave(sid)
          } else if (what === 'clear') {
            acts.clear(stamp)
            model.clear(stamp)
          } else if (what === 'settle') {
            pending.settle()
            model.settle()
          } else if (what === 'begin' && !writing) {
            writing = pending.begin()
            model.begin()
          } else if (what === 'written' && writing) {
            pending.written()
            model.written()
            writing = undefined
          } else if (what === 'failed' && writing) {
            pending.failed()
            model.restore()
            model.written()
            writing = undefined
          } else if (what === 'all') {
            model.settle()
            model.restore()
            pending.tellAll((changes) => {
              expect(told(changes)).toEqual(Object.fromEntries(model.changes))
              expect(changes.cleared).toBe(model.cleared)
            })
            model.changes.clear()
            model.cleared = 0
          } else if (what === 'take') {
            const { slots, sids } = pending.take()
            const taken = [...[...slots].map((slot) => table.sid(slot)), ...sids]
            expect(taken.sort()).toEqual([...model.changes.keys()].sort())
            model.changes.clear()
            model.cleared = 0
          }
          if (writing) {
            expect(told(writing)).toEqual(Object.fromEntries(model.writing))
            expect(writing.cleared).toBe(model.clearing)
          }
          expect([pending.urgent, pending.waiting]).toEqual([
            model.changes.size > 0 || model.cleared > 0,
            model.waiting.size > 0,
          ])
        }
        if (writing) pending.written()
        expect(told(pending.begin())).toEqual(Object.fromEntries(model.changes))
      }),
      { numRuns: 1000 },
    )
  })
})
