import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LruIndex } from '../../src/core/lru-index.js'

type Step =
  { do: 'set' | 'use' | 'get' | 'delete'; sid: string; size: number } | { do: 'pop'; count: number }

interface Limits {
  max: number
  maxSize: number
}

/** Sids by number: every seventh shares its part with the others of its kind. */
const sidOf = (n: number) => (n % 7 === 0 ? `${n}-with the same end` : `sid ${n}`)
const sid = fc.oneof(
  fc.nat(400).map(sidOf),
  fc.constantFrom('', 'a', 'b', '__proto__', 'é€', '\ud800'),
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constantFrom('set', 'set', 'set', 'use', 'get', 'delete'),
      sid,
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
  let list: { sid: string; slot: number; size: number }[] = []
  const free: number[] = []
  let slots = 0
  const drop = (sid: string) => {
    const known = list.find((one) => one.sid === sid)
    list = list.filter((one) => one !== known)
    return known
  }
  const pop = () => {
    const oldest = list.shift()
    expect(index.pop()).toBe(oldest?.slot ?? -1)
    if (oldest) free.push(oldest.slot)
  }
  for (const one of steps) {
    if (one.do === 'pop') {
      for (let i = 0; i < one.count; i++) pop()
    } else if (one.do === 'set') {
      const slot = drop(one.sid)?.slot ?? free.pop() ?? slots++
      list.push({ sid: one.sid, slot, size: one.size })
      index.set(one.sid, slot)
      while (list.length > max || list.reduce((sum, { size }) => sum + size, 0) > maxSize) pop()
    } else if (one.do === 'delete') {
      const known = drop(one.sid)
      index.delete(one.sid)
      if (known) free.push(known.slot)
    } else {
      const known = list.find(({ sid }) => sid === one.sid)
      expect(index[one.do](one.sid)).toBe(known?.slot)
      if (!known || one.do === 'get') continue
      drop(one.sid)
      list.push(known)
    }
    expect(index.size).toBe(list.length)
  }
  for (const { sid, slot } of list) expect(index.get(sid)).toBe(slot)
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
      fc.property(many, fc.boolean(), fc.boolean(), (numbers, known, alike) => {
        const nameOf = (n: number) => (alike ? `${n} of one part` : sidOf(n))
        const index = new LruIndex(known ? 3000 : 0)
        const order = new Map<string, number>()
        numbers.forEach((n, i) => {
          const name = nameOf(n)
          const slot = index.use(name) ?? i
          if (slot === i) index.set(name, slot)
          order.delete(name)
          order.set(name, slot)
          if (i % 3 !== 0) return
          const [oldest] = order.entries()
          expect(index.pop()).toBe(oldest![1])
          order.delete(oldest![0])
        })
        expect(index.size).toBe(order.size)
        for (const slot of order.values()) expect(index.pop()).toBe(slot)
        expect(index.pop()).toBe(-1)
      }),
      { numRuns: 10 },
    )
  })
})

test('a sid that is set again keeps its slot and is the last to come out', () => {
  const index = new LruIndex()
  const sids = Array.from({ length: 16 }, (_, i) => `${i} of one part`)
  sids.forEach((sid, slot) => index.set(sid, slot))
  index.set(sids[0]!, 0)
  expect(index.size).toBe(16)
  const out = Array.from({ length: 17 }, () => index.pop())
  expect(out).toEqual([...sids.keys()].slice(1).concat(0, -1))
})
