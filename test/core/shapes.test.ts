import assert from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import { Shapes } from '../../src/core/shapes.js'

function meet(shapes: Shapes, keys: readonly string[], sid?: string): number {
  return shapes.recordOf(keys, sid)
}

/** How often an object must be met until its shape is shared. */
function untilShared(shapes: Shapes, keys: readonly string[], most = 1000): number {
  for (let time = 1; time <= most; time++) if (meet(shapes, keys) >= 0) return time
  return Infinity
}

describe('Shapes', () => {
  it('shares a shape that recurs, and always tells it by the same number', () => {
    const shapes = new Shapes()
    const times = untilShared(shapes, ['user', 'name'])
    expect(times).toBeGreaterThan(2)
    expect(times).toBeLessThan(30)
    expect(untilShared(shapes, ['user'])).toBeLessThan(30)
    assert.equal(meet(shapes, ['user', 'name']), 0)
    assert.equal(meet(shapes, ['user']), 1)
    assert.deepStrictEqual(shapes.list, [['user', 'name'], ['user']])
  })

  it('tells orders, beginnings and continuations apart', () => {
    const shapes = new Shapes()
    const all = [['a', 'b'], ['b', 'a'], ['a'], ['a', 'b', 'c'], ['a', 'c'], ['']]
    for (const keys of all) expect(untilShared(shapes, keys)).toBeLessThan(30)
    assert.deepStrictEqual(shapes.list, all)
    assert.deepStrictEqual(
      all.map((keys) => meet(shapes, keys)),
      [0, 1, 2, 3, 4, 5],
    )
  })

  it('shares nothing that only one session has', () => {
    const shapes = new Shapes()
    for (let time = 0; time < 100; time++) assert.equal(meet(shapes, ['a', 'b'], 'one'), -1)
    for (let time = 0; time < 20; time++) meet(shapes, ['a', 'b'], `session ${time}`)
    assert.equal(meet(shapes, ['a', 'b'], 'one'), 0)
  })

  it('knows those that were adopted from the start, however long', () => {
    const long = Array.from({ length: 200 }, (_, index) => `key ${index}${'x'.repeat(100)}`)
    const shapes = new Shapes()
    shapes.adopt([['a', 'b'], long])
    assert.equal(meet(shapes, ['a', 'b']), 0)
    assert.equal(meet(shapes, long), 1)
    assert.equal(meet(shapes, ['a']), -1)
    assert.equal(meet(shapes, long.slice(0, -1)), -1)
  })

  it('does not try what is too long, or can’t stand in a file', () => {
    const shapes = new Shapes()
    const keys = (count: number): string[] => Array.from({ length: count }, (_, i) => `k${i}`)
    expect(untilShared(shapes, keys(64))).toBeLessThan(200)
    assert.equal(untilShared(shapes, keys(65)), Infinity)
    expect(untilShared(shapes, ['k'.repeat(64)])).toBeLessThan(30)
    assert.equal(untilShared(shapes, ['k'.repeat(65)]), Infinity)
    assert.equal(untilShared(shapes, ['a\ud800']), Infinity)
    assert.equal(untilShared(shapes, ['__proto__']), Infinity)
  })

  it('never takes keys that don’t recur, and finds shapes among them', () => {
    const shapes = new Shapes()
    for (let time = 0; time < 200_000; time++) {
      meet(shapes, time % 100 === 0 ? ['user', 'name', 'mail'] : [`t${time}`, `u${time}`])
    }
    assert.deepStrictEqual(shapes.list, [['user', 'name', 'mail']])
    assert.equal(meet(shapes, ['user', 'name', 'mail']), 0)
  })

  it('drops what it has tried when that becomes too much, but nothing that is shared', () => {
    const shapes = new Shapes()
    shapes.adopt([['kept', 'shape']])
    const untried = untilShared(new Shapes(), ['tried'])
    for (let time = 2; time < untried; time++) assert.equal(meet(shapes, ['tried']), -1)
    for (let time = 0; time < 100_000; time++) meet(shapes, [`t${time}`])
    // Met once more it would have been shared; it has to begin again.
    assert.equal(meet(shapes, ['tried']), -1)
    assert.equal(meet(shapes, ['kept', 'shape']), 0)
    assert.deepStrictEqual(shapes.list, [['kept', 'shape']])
  })

  it('learns nothing while frozen', () => {
    const shapes = new Shapes()
    meet(shapes, ['a'])
    shapes.frozen = true
    assert.equal(untilShared(shapes, ['a']), Infinity)
    assert.equal(shapes.adopt([['b']]), true)
    assert.equal(meet(shapes, ['b']), 0)
    shapes.frozen = false
    expect(untilShared(shapes, ['a'])).toBeLessThan(30)
  })
})
