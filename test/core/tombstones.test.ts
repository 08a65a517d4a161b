import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { SidMap } from '../../src/core/sid-map.js'
import { Tombstones } from '../../src/core/tombstones.js'

function pruned(tombstones: Tombstones, now: number): Tombstones {
  // Each pause is the caller's to take.
  Array.from(tombstones.prune(now))
  return tombstones
}

describe('a removal', () => {
  test('covers what the session was before it, not what it is made anew', () => {
    const tombstones = new Tombstones()
    tombstones.add('a', 10, 1000)
    expect(tombstones.covers('a', 9)).toBe(true)
    expect(tombstones.covers('a', 10)).toBe(true)
    expect(tombstones.covers('a', 11)).toBe(false)
    expect(tombstones.covers('b', 1)).toBe(false)
  })

  test('is remembered until the session would have expired, and not longer', () => {
    const tombstones = new Tombstones()
    tombstones.add('a', 10, 1000)
    expect(pruned(tombstones, 999).get('a')).toEqual({ stamp: 10, until: 1000 })
    expect(pruned(tombstones, 1000).get('a')).toBeUndefined()
  })

  test('lasts as long as any expiry that a file may hold', () => {
    const tombstones = new Tombstones()
    tombstones.shortened('a', 5000)
    tombstones.shortened('a', 3000)
    expect([tombstones.outlives('a', 4999), tombstones.outlives('a', 5000)]).toEqual([true, false])
    expect(tombstones.add('a', 10, 1000).until).toBe(5000)
  })

  test('of a session made anew lasts as long as the removal before', () => {
    const tombstones = new Tombstones()
    tombstones.add('a', 10, 5000)
    tombstones.add('a', 20, 1000)
    expect(tombstones.get('a')).toEqual({ stamp: 20, until: 5000 })
    expect(pruned(tombstones, 4999).covers('a', 9)).toBe(true)
  })

  test('whatever the order of lives and removals, no copy that could be alive is let in', () => {
    // Each life: when it was to end. It begins at its index and is destroyed at once.
    const life = fc.integer({ min: 1, max: 50 })
    fc.assert(
      fc.property(fc.array(life, { minLength: 1, maxLength: 8 }), (lives) => {
        const tombstones = new Tombstones()
        lives.forEach((expires, i) => tombstones.add('a', i * 2 + 1, i + expires))
        for (let now = lives.length; now < 60; now++) {
          pruned(tombstones, now)
          lives.forEach((expires, i) => {
            if (i + expires > now) expect(tombstones.covers('a', i * 2)).toBe(true)
          })
        }
      }),
    )
  })
})

test('a clear covers everything up to it and forgets the removals before', () => {
  const tombstones = new Tombstones()
  tombstones.add('a', 10, 1000)
  tombstones.shortened('b', 1000)
  tombstones.clear(20)
  expect([tombstones.size, tombstones.cleared, tombstones.outlives('b', 1)]).toEqual([0, 20, false])
  expect([tombstones.covers('anyone', 20), tombstones.covers('anyone', 21)]).toEqual([true, false])
})

test('a clear of everything takes no longer for the removals there are, pruned at the same time or not', () => {
  const tombstones = new Tombstones()
  for (let i = 0; i < 1000; i++) tombstones.add(`${i}`, i, 500 + i)
  const pruning = tombstones.prune(1000)
  pruning.next()
  const deleted = vi.spyOn(SidMap.prototype, 'delete')
  tombstones.clear(1000)
  expect(deleted).not.toHaveBeenCalled()
  deleted.mockRestore()
  for (let i = 0; i < 1000; i++) tombstones.add(`${i}`, 1001, 2000)
  while (!pruning.next().done);
  expect(tombstones.size).toBe(1000)
})

test('a clear amid a pruning lets it forget no expiry that was brought forward since', () => {
  const tombstones = new Tombstones()
  const sids = Array.from({ length: 1000 }, (_, i) => `${i}`)
  for (const sid of sids) tombstones.shortened(sid, 500)
  const pruning = tombstones.prune(1000)
  pruning.next()
  tombstones.clear(1)
  for (const sid of sids) tombstones.shortened(sid, 2000)
  while (!pruning.next().done);
  expect(sids.filter((sid) => !tombstones.outlives(sid, 1500))).toEqual([])
})

test('a clear forgets no removal that came after it', () => {
  for (const order of ['ab', 'ba']) {
    const tombstones = new Tombstones()
    for (const sid of order) tombstones.add(sid, sid === 'a' ? 10 : 30, 1000)
    tombstones.clear(20)
    expect([tombstones.size, tombstones.covers('b', 25), tombstones.covers('b', 31)]).toEqual([
      1,
      true,
      false,
    ])
  }
})

test('pruning pauses now and then, and removals that come meanwhile are safe', () => {
  const tombstones = new Tombstones()
  for (let i = 0; i < 5000; i++) tombstones.add(`old ${i}`, i, 10)
  const pruning = tombstones.prune(10)
  let pauses = 0
  while (!pruning.next().done) tombstones.add(`new ${pauses++}`, 1e6, 1000)
  expect(pauses).toBeGreaterThanOrEqual(4)
  expect(tombstones.size).toBe(pauses)
})
