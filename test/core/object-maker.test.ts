import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ObjectMaker } from '../../src/core/object-maker.js'

function make(maker: ObjectMaker, values: readonly unknown[]): object {
  let next = 0
  return maker.make(() => values[next++], 0)
}

describe('ObjectMaker', () => {
  it('makes the same of the same, however often, whatever the keys', () => {
    const key = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom('1', '"', '\\'),
    )
    const keys = fc.uniqueArray(
      key.filter((text) => text !== '__proto__'),
      { maxLength: 80 },
    )
    fc.assert(
      fc.property(keys, (names) => {
        const maker = new ObjectMaker(names)
        const expected = Object.fromEntries(names.map((name, index) => [name, index]))
        for (let time = 0; time < 6; time++) {
          const made = make(maker, [...names.keys()])
          expect(made).toStrictEqual(expected)
          expect(Object.keys(made)).toEqual(Object.keys(expected))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('hands the depth on, and makes a fresh object each time', () => {
    const maker = new ObjectMaker(['a', 'b'])
    const made = Array.from({ length: 8 }, (_, n) => maker.make((depth) => depth, n))
    expect(made).toEqual(made.map((_, n) => ({ a: n, b: n })))
    expect(new Set(made).size).toBe(8)
  })
})
