import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SidMap } from '../../src/core/sid-map.js'

test('is a Map without order, whatever the sids are', () => {
  const sid = fc.oneof(
    fc.constantFrom('', 'a', 'b', 'ab', 'ba', '__proto__', 'é€', '\ud800'),
    fc.string({ maxLength: 3 }),
  )
  const step = fc.record({ sid, remove: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const model = new Map<string, number>()
      const map = new SidMap<number>()
      for (const [value, { sid, remove }] of steps.entries()) {
        for (const one of [map, model]) {
          if (remove) one.delete(sid)
          else one.set(sid, value)
        }
        expect(map.size).toBe(model.size)
        expect(map.has(sid)).toBe(model.has(sid))
        expect(map.get(sid)).toBe(model.get(sid))
      }
      expect(new Map(map)).toEqual(model)
      expect(new Set(map.keys())).toEqual(new Set(model.keys()))
      for (const [sid] of map) map.delete(sid)
      expect(map.size).toBe(0)
      map.set('x', 1)
      map.clear()
      expect([map.size, ...map]).toEqual([0])
    }),
  )
})
