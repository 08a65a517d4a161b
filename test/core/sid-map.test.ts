import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SidMap } from '../../src/core/sid-map.js'

test('is a Map to the table, whatever the sids are', () => {
  const sid = fc.oneof(
    fc.constantFrom('', 'a', 'b', 'ab', 'ba', '__proto__', 'é€', '\ud800'),
    fc.string({ maxLength: 3 }),
  )
  const step = fc.record({ sid, remove: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const model = new Map<string, number>()
      const map = new SidMap()
      for (const [slot, { sid, remove }] of steps.entries()) {
        if (remove) map.delete(sid)
        else if (!model.has(sid)) map.set(sid, slot)
        if (remove) model.delete(sid)
        else if (!model.has(sid)) model.set(sid, slot)
        expect(map.size).toBe(model.size)
        expect(map.get(sid)).toBe(model.get(sid))
      }
      for (const { sid } of steps) expect(map.get(sid)).toBe(model.get(sid))
    }),
  )
})
