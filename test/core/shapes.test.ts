import assert from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import { type Shape, Shapes } from '../../src/core/shapes.js'

/** Walks the keys of an object; where it ends at a shape that is known, that is counted as met. */
function walk(shapes: Shapes, keys: readonly string[]): Shape | undefined {
  let shape: Shape | undefined = shapes.root
  for (const key of keys) {
    const known: Shape | undefined = shape?.child(key)
    if (known === undefined && shape !== undefined) shapes.step(shape, key)
    shape = known
  }
  return shape
}

/** How often an object must be met until its shape is worth sharing. */
function untilShared(shapes: Shapes, keys: readonly string[], most = 1000): number {
  for (let time = 1; time <= most; time++) if (walk(shapes, keys)?.meet(undefined)) return time
  return Infinity
}

describe('Shapes', () => {
  it('takes a shape that recurs, once', () => {
    const shapes = new Shapes(() => [])
    const times = untilShared(shapes, ['user', 'name'])
    expect(times).toBeGreaterThan(2)
    expect(times).toBeLessThan(30)
    assert.equal(untilShared(shapes, ['user', 'name']), Infinity)
    assert.equal(walk(shapes, ['user', 'name'])?.depth, 2)
  })

  it('tells orders, beginnings and continuations apart', () => {
    const shapes = new Shapes(() => [])
    const all = [['a', 'b'], ['b', 'a'], ['a'], ['a', 'b', 'c'], ['a', 'c'], ['']]
    for (const keys of all) expect(untilShared(shapes, keys)).toBeLessThan(30)
    const ends = new Set(all.map((keys) => walk(shapes, keys)))
    assert.equal(ends.size, all.length)
    assert(!ends.has(undefined))
  })

  it('knows those that are shared from the start, however long', () => {
    const long = Array.from({ length: 200 }, (_, index) => `key ${index}${'x'.repeat(100)}`)
    const list = [['a', 'b'], long]
    const shapes = new Shapes(() => list)
    for (const keys of list) shapes.share(keys)
    for (const keys of list) assert.equal(walk(shapes, keys)?.shared, true)
    assert.equal(walk(shapes, ['a'])?.shared, false)
    assert.equal(walk(shapes, long.slice(0, -1))?.shared, false)
  })

  it('does not try what is too long', () => {
    const shapes = new Shapes(() => [])
    const keys = (count: number): string[] => Array.from({ length: count }, (_, i) => `k${i}`)
    expect(untilShared(shapes, keys(64))).toBeLessThan(200)
    assert.equal(untilShared(shapes, keys(65)), Infinity)
    expect(untilShared(shapes, ['k'.repeat(64)])).toBeLessThan(30)
    assert.equal(untilShared(shapes, ['k'.repeat(65)]), Infinity)
  })

  it('never takes keys that don’t recur, and finds shapes among them', () => {
    const list: string[][] = []
    const shapes = new Shapes(() => list)
    const found: string[][] = []
    for (let time = 0; time < 200_000; time++) {
      const keys = time % 100 === 0 ? ['user', 'name', 'mail'] : [`t${time}`, `u${time}`]
      const shape = walk(shapes, keys)
      if (shape === undefined || shape.shared || !shape.meet(undefined)) continue
      shape.shared = true
      found.push(keys)
      list.push(keys)
    }
    assert.deepStrictEqual(found, [['user', 'name', 'mail']])
    assert.equal(walk(shapes, ['user', 'name', 'mail'])?.shared, true)
  })

  it('drops what it has tried when that becomes too much, but nothing that is shared', () => {
    const shapes = new Shapes(() => [['kept', 'shape']])
    shapes.share(['kept', 'shape'])
    walk(shapes, ['tried'])
    assert(walk(shapes, ['tried']))
    let most = 0
    for (let time = 0; walk(shapes, ['tried']) !== undefined; time++) {
      assert(time < 100_000, 'nothing was dropped')
      walk(shapes, [`t${time}`])
      most = time
    }
    expect(most).toBeGreaterThan(1000)
    assert.equal(walk(shapes, ['kept', 'shape'])?.shared, true)
  })

  it('forgets its candidates on demand', () => {
    const shapes = new Shapes(() => [['kept']])
    walk(shapes, ['tried'])
    shapes.rebuild()
    assert.equal(walk(shapes, ['kept'])?.shared, true)
    assert.equal(walk(shapes, ['tried']), undefined)
  })

  it('keeps to few candidates, whatever comes', () => {
    const shapes = new Shapes(() => [])
    const count = (shape: Shape, keys: string[]): number =>
      keys.filter((key) => shape.child(key) !== undefined).length
    const keys = Array.from({ length: 100_000 }, (_, index) => `t${index}`)
    for (const key of keys) walk(shapes, [key])
    expect(count(shapes.root, keys)).toBeLessThanOrEqual(16_384)
  })
})
