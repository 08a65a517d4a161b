import { describe, expect, test } from 'vitest'
import { Changes } from '../../src/core/changes.js'

const gone = { stamp: 5, until: 100 }
const told = (changes: Changes) => Object.fromEntries(changes.entries())

describe('one note a session', () => {
  test('says the most that happened to it, and last', () => {
    const changes = new Changes()
    expect(changes.empty).toBe(true)
    changes.touch('touched')
    changes.touch('touched')
    changes.set('set')
    changes.touch('set')
    changes.touch('set later')
    changes.set('set later')
    changes.set('destroyed')
    changes.remove('destroyed', gone)
    changes.remove('set again', gone)
    changes.set('set again')
    expect(told(changes)).toEqual({
      touched: 'touch',
      set: 'set',
      'set later': 'set',
      destroyed: gone,
      'set again': 'set',
    })
    expect([changes.size, changes.empty, changes.has('set'), changes.has('other')]).toEqual([
      5,
      false,
      true,
      false,
    ])
  })

  test('a touch is made to tell all, and nothing else is', () => {
    const changes = new Changes()
    changes.touch('touched')
    changes.remove('destroyed', gone)
    for (const sid of ['touched', 'destroyed', 'never noted']) changes.complete(sid)
    expect(told(changes)).toEqual({ touched: 'set', destroyed: gone })
  })

  test('a clear forgets the notes before it and is one itself', () => {
    const changes = new Changes()
    changes.set('before')
    changes.clear(7)
    changes.set('after')
    expect([changes.cleared, told(changes)]).toEqual([7, { after: 'set' }])
    expect(new Changes().empty).toBe(true)
    const alone = new Changes()
    alone.clear(1)
    expect(alone.empty).toBe(false)
  })

  test('notes taken are out of reach of what comes after', () => {
    const changes = new Changes()
    changes.set('a')
    changes.clear(3)
    changes.set('b')
    const taken = changes.take()
    changes.set('c')
    expect([taken.cleared, [...taken.sids()]]).toEqual([3, ['b']])
    expect([changes.cleared, [...changes.sids()]]).toEqual([0, ['c']])
  })
})

describe('notes that could not be written', () => {
  const restored = (before: (changes: Changes) => void, since: (changes: Changes) => void) => {
    const changes = new Changes()
    before(changes)
    const taken = changes.take()
    since(changes)
    changes.restore(taken)
    return changes
  }

  test('come back, and newer ones stand', () => {
    const changes = restored(
      (before) => {
        before.set('a')
        before.touch('b')
        before.remove('c', gone)
        before.set('d')
      },
      (since) => {
        since.remove('a', gone)
        since.set('b')
        since.set('c')
      },
    )
    expect(told(changes)).toEqual({ a: gone, b: 'set', c: 'set', d: 'set' })
  })

  test('a touch since never makes less of a set', () => {
    const changes = restored(
      (before) => before.set('a'),
      (since) => since.touch('a'),
    )
    expect(told(changes)).toEqual({ a: 'set' })
  })

  test('a touch since never takes a removal back: only a set can have made the session anew', () => {
    const changes = restored(
      (before) => before.set('a'),
      (since) => {
        since.remove('a', gone)
        since.touch('a')
      },
    )
    expect(told(changes)).toEqual({ a: gone })
  })

  test('a clear comes back with them; one since leaves nothing of them', () => {
    const back = restored(
      (before) => before.clear(3),
      (since) => since.set('a'),
    )
    expect([back.cleared, told(back)]).toEqual([3, { a: 'set' }])
    const over = restored(
      (before) => before.set('a'),
      (since) => since.clear(4),
    )
    expect([over.cleared, told(over)]).toEqual([4, {}])
  })
})
