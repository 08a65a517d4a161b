import fc from 'fast-check'
import { LRUCache } from 'lru-cache'
import { describe, expect, test, vi } from 'vitest'
import { LruIndex } from '../../src/core/lru-index.js'

type Step = { do: 'use' | 'delete'; slot: number; size: number } | { do: 'pop'; count: number }

interface Limits {
  max: number
  maxSize: number
}

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constantFrom('use', 'use', 'use', 'delete'),
      slot: fc.nat(400),
      size: fc.integer({ min: 1, max: 20 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pop'), count: fc.nat(40) }) },
)
const limits = fc.record({
  max: fc.constantFrom(Infinity, 1, 3, 50),
  maxSize: fc.constantFrom(Infinity, 20, 100, 1000),
})

/** Takes every step on an index and on a list in the order of use; who comes out is compared. */
function run(steps: Step[], { max, maxSize }: Limits) {
  const index = new LruIndex(max === Infinity ? 0 : max)
  let list: { slot: number; size: number }[] = []
  const drop = (slot: number) => {
    list = list.filter((one) => one.slot !== slot)
  }
  const pop = () => {
    expect(index.pop()).toBe(list.shift()?.slot ?? -1)
  }
  for (const one of steps) {
    if (one.do === 'pop') {
      for (let i = 0; i < one.count; i++) pop()
    } else if (one.do === 'use') {
      drop(one.slot)
      list.push(one)
      index.use(one.slot)
      while (list.length > max || list.reduce((sum, { size }) => sum + size, 0) > maxSize) pop()
    } else {
      drop(one.slot)
      index.delete(one.slot)
    }
    expect(index.size).toBe(list.length)
  }
  while (list.length > 0) pop()
  pop()
}

describe('against a list in the order of use', () => {
  test('whoever was used least recently of all comes out first', () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 200, size: 'max' }), limits, run), {
      numRuns: 150,
    })
  })

  test('so it is where parts have grown and all have had their turn', () => {
    const many = fc.array(fc.nat(20_000), { minLength: 3000, maxLength: 3000 })
    fc.assert(
      fc.property(many, fc.boolean(), (numbers, known) => {
        const index = new LruIndex(known ? 3000 : 0)
        const order = new Set<number>()
        numbers.forEach((slot, i) => {
          index.use(slot)
          order.delete(slot)
          order.add(slot)
          if (i % 3 !== 0) return
          const [oldest] = order
          expect(index.pop()).toBe(oldest)
          order.delete(oldest!)
        })
        expect(index.size).toBe(order.size)
        for (const slot of order) expect(index.pop()).toBe(slot)
        expect(index.pop()).toBe(-1)
      }),
      { numRuns: 10 },
    )
  })
})

test('a slot that is used again is the last to come out', () => {
  const index = new LruIndex()
  const slots = Array.from({ length: 16 }, (_, i) => i * 256)
  for (const slot of slots) index.use(slot)
  index.use(0)
  expect(index.size).toBe(16)
  const out = Array.from({ length: 17 }, () => index.pop())
  expect(out).toEqual([...slots.slice(1), 0, -1])
})

test('many come out in the order of their use, however often parts have grown', () => {
  const index = new LruIndex()
  for (let slot = 0; slot < 20_000; slot++) index.use(slot)
  const out = Array.from({ length: 20_000 }, () => index.pop())
  expect(out).toEqual(Array.from({ length: 20_000 }, (_, slot) => slot))
})

test('parts do not fill up at the same moment', () => {
  const { set } = LRUCache.prototype
  const sizes = new Map<unknown, number>()
  const spy = vi.spyOn(LRUCache.prototype, 'set').mockImplementation(function (
    this: LRUCache<number, true>,
    ...given
  ) {
    set.apply(this, given)
    sizes.set(this, this.size)
    return this
  })
  const index = new LruIndex(50_000)
  for (let slot = 0; slot < 50_000; slot++) index.use(slot)
  spy.mockRestore()
  const full = [...sizes.values()].filter((size) => size > 128)
  expect(full.length).toBe(256)
  expect(Math.max(...full) - Math.min(...full)).toBeGreaterThan(30)
})
