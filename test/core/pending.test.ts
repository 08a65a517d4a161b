import { describe, expect, test } from 'vitest'
import { Pending } from '../../src/core/pending.js'

const gone = { stamp: 5, until: 0 }
const told = (pending: Pending) => Object.fromEntries(pending.takeAll().entries())

test('what waits for company goes with what comes, and is no reason by itself', () => {
  const pending = new Pending()
  expect([pending.none, pending.urgent, pending.waiting]).toEqual([true, false, false])
  pending.touchSlightly('touched', 10)
  pending.removeUnseen('gone', gone, 20)
  expect([pending.none, pending.urgent, pending.waiting]).toEqual([false, false, true])
  expect(pending.waitingSince).toBe(10)
  pending.settle()
  expect([pending.none, pending.urgent, pending.waiting]).toEqual([false, true, false])
  expect(Object.fromEntries(pending.begin().entries())).toEqual({ touched: 'touch', gone })
  expect([pending.none, pending.urgent]).toEqual([false, false])
  pending.written()
  expect(pending.none).toBe(true)
})

test('what waits gives way to what is noted of the same session', () => {
  const pending = new Pending()
  for (const sid of ['set', 'removed', 'set then']) pending.touchSlightly(sid, 0)
  pending.set('set')
  pending.remove('removed', gone)
  pending.removeUnseen('set later', gone, 0)
  pending.set('set later')
  expect(told(pending)).toEqual({
    set: 'set',
    removed: gone,
    'set then': 'touch',
    'set later': 'set',
  })
  pending.touchSlightly('a', 0)
  pending.set('b')
  pending.clear(7)
  const { cleared, empty } = pending.takeAll()
  expect([cleared, empty, pending.waiting]).toEqual([7, false, false])
})

test('what could not be written is noted again, and newer notes stand', () => {
  const pending = new Pending()
  pending.set('a')
  pending.remove('b', gone)
  pending.begin()
  pending.set('b')
  pending.touch('a')
  pending.failed()
  expect(told(pending)).toEqual({ a: 'set', b: 'set' })
})

test('all that there is includes what is on its way', () => {
  const pending = new Pending()
  pending.set('a')
  pending.begin()
  pending.set('b')
  pending.touchSlightly('c', 0)
  expect(told(pending)).toEqual({ a: 'set', b: 'set', c: 'touch' })
})

test('a touch on its way becomes the whole entry where a set overtakes it', () => {
  const pending = new Pending()
  pending.touch('a')
  pending.remove('b', gone)
  const writing = pending.begin()
  pending.set('a')
  pending.set('b')
  expect(Object.fromEntries(writing.entries())).toEqual({ a: 'set', b: gone })
})

describe('of what has expired', () => {
  test('only that is told of which the files have not heard yet', () => {
    const pending = new Pending()
    pending.expire('told long ago', gone)
    expect([pending.none, pending.expired]).toEqual([true, 1])
    pending.set('noted')
    pending.expire('noted', gone)
    pending.begin()
    pending.expire('noted', { stamp: 6, until: 0 })
    expect(Object.fromEntries(pending.take().entries())).toEqual({ noted: { stamp: 6, until: 0 } })
  })
})
