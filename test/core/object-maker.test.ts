import { inspect } from 'node:util'
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
      fc.constantFrom('1', '"', '\\', 'constructor', 'toString'),
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

  it('adds the key whose value is known before, last of all', () => {
    const maker = new ObjectMaker(['b', 'c'], 'a')
    for (let time = 0; time < 8; time++) {
      const made = maker.make((depth) => depth, 1, time)
      expect(Object.entries(made)).toEqual([
        ['b', 1],
        ['c', 1],
        ['a', time],
      ])
    }
  })

  it('hands the depth on, and makes a fresh object each time', () => {
    const maker = new ObjectMaker(['a', 'b'])
    const made = Array.from({ length: 8 }, (_, n) => maker.make((depth) => depth, n))
    expect(made).toEqual(made.map((_, n) => ({ a: n, b: n })))
    expect(new Set(made).size).toBe(8)
  })

  it('makes plain objects, which Object made', () => {
    const maker = new ObjectMaker(['a', '1', 'b'])
    for (let time = 0; time < 8; time++) {
      const made = make(maker, [1, 2, 3])
      expect(Object.getPrototypeOf(made)).toBe(Object.prototype)
      expect(made.constructor).toBe(Object)
      expect(inspect(made)).toBe("{ '1': 2, a: 1, b: 3 }")
      expect(Object.values(Object.getOwnPropertyDescriptors(made))).toEqual(
        [2, 1, 3].map((value) => ({ value, writable: true, enumerable: true, configurable: true })),
      )
    }
  })

  it('sets keys that the prototype has, whatever it has there', () => {
    const found: unknown[] = []
    Object.defineProperty(Object.prototype, 'readOnly', { value: 0, configurable: true })
    Object.defineProperty(Object.prototype, 'assigned', {
      set: (value) => found.push(value),
      configurable: true,
    })
    try {
      const maker = new ObjectMaker(['assigned', 'readOnly', 'other'])
      const made = Array.from({ length: 8 }, () => Object.entries(make(maker, [1, 2, 3])))
      expect(made).toEqual(made.map(() => Object.entries({ assigned: 1, readOnly: 2, other: 3 })))
      expect(found).toEqual([])
    } finally {
      Reflect.deleteProperty(Object.prototype, 'readOnly')
      Reflect.deleteProperty(Object.prototype, 'assigned')
    }
  })
})
