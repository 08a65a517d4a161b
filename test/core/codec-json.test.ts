import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Codec } from '../../src/core/codec.js'
import { number, objectOf, roundTrip, text, withoutReserved } from './codec-data.js'
import { bodyOf, textOf } from '../support/bodies.js'

describe('what comes back as JSON brings it', () => {
  class Money {
    constructor(readonly cents: number) {}
    toJSON(name: string): string {
      return `${name}: ${this.cents} cents`
    }
  }
  class Point {
    #secret = 1
    constructor(
      public x: unknown,
      public y: unknown,
    ) {}
    get secret(): number {
      return this.#secret
    }
  }
  function sparse(values: unknown[]): unknown[] {
    const array: unknown[] = []
    array.length = values.length * 2
    for (const [index, value] of values.entries()) array[index * 2] = value
    return array
  }
  const plainNumber = number.filter((value) => Number.isFinite(value) && !Object.is(value, -0))
  const leaf = fc.oneof(
    text,
    plainNumber,
    fc.boolean(),
    fc.constant(null),
    fc.integer().map((cents) => new Money(cents)),
    fc.constantFrom<unknown>(
      () => 1,
      Symbol('s'),
      Object(1),
      Object('boxed'),
      Object(false),
      Object(Symbol('boxed')),
      new Error('no message of it'),
      Object.assign(new Error('with fields'), { code: 'E' }),
      new URL('https://example.com/a'),
      Object.assign(() => 1, { toJSON: () => 'a function with toJSON' }),
      { toJSON: () => undefined },
      { toJSON: () => () => 1 },
      { toJSON: () => ({ toJSON: 'no function', a: 1 }) },
      Object.create({ inherited: 1 }),
      Object.assign(Object.create(null), { bare: 1 }),
      new WeakMap(),
      Promise.resolve(),
    ),
  )
  const { json } = fc.letrec((tie) => ({
    json: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      leaf,
      fc.array(tie('json'), { maxLength: 6 }),
      fc.array(tie('json'), { maxLength: 4 }).map(sparse),
      objectOf(tie('json')),
      fc.tuple(tie('json'), tie('json')).map(([x, y]) => new Point(x, y)),
    ),
  }))

  it('is everything else', () => {
    const codec = new Codec()
    fc.assert(
      fc.property(objectOf(json), (session) => {
        const expected: unknown = JSON.parse(JSON.stringify(withoutReserved(session)))
        assert.deepStrictEqual(codec.decode(bodyOf(textOf(codec.encode(session)))), expected)
      }),
      { numRuns: 1000 },
    )
  })

  it('is what toJSON makes of a shape that is shared already', () => {
    const codec = new Codec()
    const repeat = (): unknown =>
      codec.decode(bodyOf(textOf(codec.encode({ a: { x: 1, y: { z: 2 } } }))))
    for (let time = 0; time < 20; time++) repeat()
    expect(codec.structures).toContainEqual(['x', 'y'])
    const cases = [
      { a: { x: () => 1, y: Symbol('s') } },
      { a: { x: 1, y: () => 1 } },
      { a: { x: { toJSON: () => undefined }, y: { z: () => 1 } } },
      { a: Object.defineProperty({ x: 1, y: 2 }, 'toJSON', { value: () => ({ x: 3, y: 4 }) }) },
      { a: new Point(1, new Point(2, [() => 1])) },
    ]
    for (const session of cases) {
      const expected: unknown = JSON.parse(JSON.stringify(session))
      assert.deepStrictEqual(codec.decode(bodyOf(textOf(codec.encode(session)))), expected)
    }
    assert.deepStrictEqual(repeat(), { a: { x: 1, y: { z: 2 } } })
  })

  it('keeps an own `__proto__` a property like any other', () => {
    const session = JSON.parse('{"a":{"__proto__":{"admin":true},"b":1}}') as object
    const codec = new Codec()
    for (let time = 0; time < 30; time++) {
      const { a } = codec.decode(bodyOf(textOf(codec.encode(session)))) as {
        a: Record<string, unknown>
      }
      assert.deepStrictEqual(Object.keys(a), ['__proto__', 'b'])
      assert.equal(Object.getPrototypeOf(a), Object.prototype)
      assert.equal(a['admin'], undefined)
    }
    assert(!codec.structures.flat().includes('__proto__'))
  })

  it('is a Date, Buffer, Map, Set or RegExp of a class with a toJSON of its own', () => {
    class Day extends Date {
      override toJSON(): string {
        return 'a day'
      }
    }
    class Bag extends Set {
      toJSON(): unknown[] {
        return [...this]
      }
    }
    class PlainDate extends Date {}
    assert.deepStrictEqual(
      roundTrip({ day: new Day(0), bag: new Bag([1]), date: new PlainDate(5) }),
      {
        day: 'a day',
        bag: [1],
        date: new Date(5),
      },
    )
  })

  it('leaves functions and symbols out of Map and Set', () => {
    assert.deepStrictEqual(
      roundTrip({
        map: new Map<unknown, unknown>([
          ['f', () => 1],
          [Symbol('s'), 1],
          ['m', new Money(1)],
        ]),
        set: new Set([() => 1, new Money(2), 3]),
      }),
      { map: new Map([['m', 'm: 1 cents']]), set: new Set([': 2 cents', 3]) },
    )
  })

  it('is the session without its cookie, id and req', () => {
    class Session {
      cookie = { path: '/' }
      id = 'sid'
      views = 1
      nested = { cookie: 1, id: 2, req: 3 }
      constructor(req: object) {
        Object.defineProperty(this, 'req', { value: req })
      }
      touch(): this {
        return this
      }
    }
    const expected = { views: 1, nested: { cookie: 1, id: 2, req: 3 } }
    const codec = new Codec()
    for (let time = 0; time < 30; time++) {
      assert.deepStrictEqual(codec.decode(bodyOf(textOf(codec.encode(new Session({}))))), expected)
    }
    expect(codec.structures).toContainEqual(['views', 'nested'])
    const toJSON = (): object => ({ cookie: 1, by: 'toJSON', views: 2 })
    assert.deepStrictEqual(roundTrip({ a: 1, toJSON }), { by: 'toJSON', views: 2 })
  })

  it('asks each getter and each toJSON once, whatever characters there are', () => {
    for (const name of ['plain', 'wide €']) {
      const codec = new Codec()
      for (let time = 0; time < 30; time++) {
        let asked = 0
        const session = {
          name,
          get got() {
            asked++
            return { name }
          },
          made: { toJSON: () => [++asked, name] },
        }
        const expected = { name, got: { name }, made: [2, name] }
        assert.deepStrictEqual(codec.decode(bodyOf(textOf(codec.encode(session)))), expected)
        assert.equal(asked, 2)
      }
    }
  })

  it('is what is an own property, whatever Object.prototype has', () => {
    const inherited = Object.prototype as { everywhere?: unknown }
    const codec = new Codec()
    const session = { user: { name: 'x' }, at: new Date(0) }
    try {
      for (const value of [() => 1, 1, 'text', undefined]) {
        inherited.everywhere = value
        for (let time = 0; time < 20; time++) {
          const back = codec.decode(bodyOf(textOf(codec.encode(session))))
          assert.deepStrictEqual(Object.keys(back), ['user', 'at'])
          assert.deepStrictEqual(back, session)
        }
      }
    } finally {
      delete inherited.everywhere
    }
    assert(!codec.structures.flat().includes('everywhere'))
  })

  it('keeps keys that objects have a meaning for', () => {
    const codec = new Codec()
    const session = {
      constructor: { constructor: 1 },
      hasOwnProperty: { hasOwnProperty: null },
      toString: 'text',
      valueOf: [{ toString: 1 }],
      toJSON: 'no function',
      then: { toJSON: { toJSON: 1 } },
      length: 3,
    }
    for (let time = 0; time < 30; time++) {
      assert.deepStrictEqual(codec.decode(bodyOf(textOf(codec.encode(session)))), session)
    }
    const withMore = { ...session, at: new Date(0), map: new Map([['constructor', session]]) }
    assert.deepStrictEqual(codec.decode(bodyOf(textOf(codec.encode(withMore)))), withMore)
  })
})
