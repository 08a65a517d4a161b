import { describe, expect, test } from 'vitest'
import { Changes } from '../../src/core/changes.js'
import { putSession, targetOf, toldBy } from '../support/records.js'

const gone = { stamp: 5, until: 100 }

/** Two sets of notes of one table, as one is written while the other grows, and a few sessions. */
function notes() {
  const target = targetOf()
  const { table } = target
  const changes = new Changes(table)
  const before = new Changes(table)
  table.onLeave = (slot) => {
    changes.leave(slot)
    before.leave(slot)
  }
  const slots = new Map<string, number>()
  /** The slot of a session, which is put there if it is new. */
  const at = (sid: string) => {
    if (table.find(sid) < 0) slots.set(sid, putSession(target, sid, {}))
    return slots.get(sid)!
  }
  const remove = (changes: Changes, sid: string) => {
    changes.remove(sid, gone)
    if (table.find(sid) >= 0) table.remove(at(sid))
  }
  const told = (changes: Changes) => toldBy(table, changes)
  return { table, changes, before, at, remove, told }
}

describe('one note a session', () => {
  test('says the most that happened to it, and last', () => {
    const { changes, at, remove, told } = notes()
    expect(changes.empty).toBe(true)
    changes.touch(at('touched'))
    changes.touch(at('touched'))
    changes.set(at('set'))
    changes.touch(at('set'))
    changes.touch(at('set later'))
    changes.set(at('set later'))
    changes.set(at('destroyed'))
    remove(changes, 'destroyed')
    remove(changes, 'set again')
    changes.set(at('set again'))
    expect(told(changes)).toEqual({
      touched: 'touch',
      set: 'set',
      'set later': 'set',
      destroyed: gone,
      'set again': 'set',
    })
    expect([changes.empty, changes.has(at('set')), changes.has(at('other'))]).toEqual([
      false,
      true,
      false,
    ])
  })

  test('a touch is made to tell all, and nothing else is', () => {
    const { changes, at, told } = notes()
    changes.touch(at('touched'))
    for (const sid of ['touched', 'never noted']) changes.complete(at(sid))
    expect(told(changes)).toEqual({ touched: 'set' })
  })

  test('a clear forgets the notes before it and is one itself', () => {
    const { table, changes, at, remove, told } = notes()
    changes.set(at('before'))
    remove(changes, 'gone before')
    table.clear()
    changes.clear(7)
    expect(changes.empty).toBe(false)
    changes.set(at('after'))
    expect([changes.cleared, told(changes)]).toEqual([7, { after: 'set' }])
  })

  test('notes taken are out of reach of what comes after', () => {
    const { table, changes, at, remove } = notes()
    changes.set(at('a'))
    table.clear()
    changes.clear(3)
    changes.set(at('b'))
    changes.touch(at('c'))
    remove(changes, 'd')
    const taken = changes.take()
    expect([changes.cleared, changes.empty, [...changes.slots()]]).toEqual([0, true, []])
    changes.set(at('e'))
    expect([[...taken.slots], taken.sids]).toEqual([[at('b'), at('c')], ['d']])
    expect([[...changes.slots()], [...changes.gone]]).toEqual([[at('e')], []])
  })

  test('many are as few', () => {
    const { changes, at, table } = notes()
    for (let i = 0; i < 100_000; i++) changes.set(at(`${i}`))
    const slots = new Set(changes.slots())
    expect(slots.size).toBe(100_000)
    expect(changes.take().slots.length).toBe(100_000)
    changes.touch(at('5'))
    expect(toldBy(table, changes)).toEqual({ 5: 'touch' })
  })
})

describe('a session that goes', () => {
  test('stays noted, by its sid, where nobody said how it went', () => {
    const { table, changes, at, remove, told } = notes()
    changes.set(at('set'))
    changes.touch(at('touched'))
    changes.set(at('destroyed'))
    at('not noted')
    for (const sid of ['set', 'touched', 'not noted']) table.remove(at(sid))
    remove(changes, 'destroyed')
    expect(told(changes)).toEqual({ set: undefined, touched: undefined, destroyed: gone })
    changes.set(at('touched'))
    expect(told(changes)).toEqual({ set: undefined, touched: 'set', destroyed: gone })
  })

  test('leaves nothing to whoever gets its slot', () => {
    const { table, changes, at, told } = notes()
    const slot = at('first')
    changes.set(slot)
    table.remove(slot)
    expect(at('second')).toBe(slot)
    expect([changes.has(slot), [...changes.slots()]]).toEqual([false, []])
    changes.touch(slot)
    expect([...changes.slots()]).toEqual([slot])
    expect(told(changes)).toEqual({ first: undefined, second: 'touch' })
    // The next round begins with nothing, of the slot as well.
    table.remove(slot)
    changes.reset()
    changes.set(at('third'))
    expect(told(changes)).toEqual({ third: 'set' })
  })

  test('by a clear is not told any more, while notes are being written', () => {
    const { table, changes, at } = notes()
    changes.set(at('a'))
    expect(changes.swept).toBe(false)
    table.clear()
    changes.sweep()
    at('b')
    expect([changes.swept, [...changes.slots()], changes.empty]).toEqual([true, [], true])
    changes.sweep()
    expect(changes.swept).toBe(true)
    changes.reset()
    changes.sweep()
    expect(changes.swept).toBe(false)
  })
})

describe('notes that could not be written', () => {
  type Notes = ReturnType<typeof notes>
  const restored = (
    before: (all: Notes, changes: Changes) => void,
    since: (all: Notes, changes: Changes) => void,
  ) => {
    const all = notes()
    before(all, all.before)
    since(all, all.changes)
    all.changes.restore(all.before)
    return [all.changes.cleared, all.told(all.changes)]
  }

  test('come back, and newer ones stand', () => {
    const told = restored(
      ({ at, remove }, before) => {
        before.set(at('a'))
        before.touch(at('b'))
        remove(before, 'c')
        before.set(at('d'))
        before.set(at('e'))
      },
      ({ at, table, remove }, since) => {
        remove(since, 'a')
        since.set(at('b'))
        since.set(at('c'))
        table.remove(at('e'))
      },
    )
    expect(told).toEqual([0, { a: gone, b: 'set', c: 'set', d: 'set', e: undefined }])
  })

  test('a touch since never makes less of a set', () => {
    const told = restored(
      ({ at }, before) => before.set(at('a')),
      ({ at }, since) => since.touch(at('a')),
    )
    expect(told).toEqual([0, { a: 'set' }])
  })

  test('a clear comes back with them; one since leaves nothing of them', () => {
    const back = restored(
      (_, before) => before.clear(3),
      ({ at }, since) => since.set(at('a')),
    )
    expect(back).toEqual([3, { a: 'set' }])
    const over = restored(
      ({ at }, before) => before.set(at('a')),
      ({ table, before }, since) => {
        table.clear()
        since.clear(4)
        before.sweep()
      },
    )
    expect(over).toEqual([4, {}])
  })
})

test('many that are gone and could not be told are taken over, but for those set again', () => {
  const { changes, before, at, remove, told } = notes()
  for (let i = 0; i < 20; i++) remove(before, `gone ${i}`)
  before.set(at('set before'))
  changes.set(at('gone 3'))
  remove(changes, 'gone since')
  changes.restore(before)
  const sids = Array.from({ length: 20 }, (_, i) => `gone ${i}`).filter((sid) => sid !== 'gone 3')
  expect(told(changes)).toEqual({
    ...Object.fromEntries([...sids, 'gone since'].map((sid) => [sid, gone])),
    'gone 3': 'set',
    'set before': 'set',
  })
  before.reset()
  expect(changes.goneCount).toBe(20)
})

test('many that are gone stay with the notes that are still being written', () => {
  const { changes, before, remove, told } = notes()
  for (let i = 0; i < 20; i++) remove(before, `gone ${i}`)
  changes.restore(before, true)
  expect(told(before)).toEqual(told(changes))
  expect(before.goneCount).toBe(20)
})
