import assert from 'node:assert/strict'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { Packr } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import { Flattening, TooDeepError } from '../../src/core/flatten.js'
import { Inflater } from '../../src/core/inflate.js'
import { asJsonSees, explainDepth } from '../../src/core/json-view.js'
import { Packing } from '../../src/core/packing.js'
import { Shapes } from '../../src/core/shapes.js'
import { spanOf } from '../../src/core/span.js'
import { DEEPEST, type Token } from '../../src/core/tokens.js'
import { data, objectOf } from './codec-data.js'

const packr = new Packr({ useRecords: false })

function flatten(
  session: object,
  shapes = new Shapes(),
): { tokens: Token[]; text: string; packed: string } {
  const packing = new Packing()
  const flat = new Flattening(shapes, undefined, packing)
  flat.session(session)
  const { bytes, start, end } = packing.packed
  return { tokens: flat.tokens, text: flat.text, packed: bytes.toString('base64url', start, end) }
}

/** There and back. */
function through(session: object, shapes = new Shapes()): unknown {
  const { tokens, text, packed } = flatten(session, shapes)
  return new Inflater(shapes).session(spanOf(packr.pack(tokens)), text, packed)
}

describe('Flattening', () => {
  it('makes tokens of any data, with and without structures, and it comes back', () => {
    const shapes = new Shapes()
    fc.assert(
      fc.property(objectOf(data), (session) => {
        const { tokens } = flatten(session)
        assert(tokens.every((token) => token === null || /number|boolean/.test(typeof token)))
        for (let time = 0; time < 3; time++) {
          assert.deepStrictEqual(through({ session }, shapes), { session })
        }
      }),
      { numRuns: 700 },
    )
    expect(shapes.list.length).toBeGreaterThan(0)
  })

  it('writes what the specification says', () => {
    expect(flatten({ a: 'xy', b: 5, c: -5, d: 0.5, e: true, f: null, g: [0, -0] })).toMatchObject({
      // An object of 7 keys; text of 2; 5 as −6; a number as it is; …; an array of 2.
      tokens: [3, 7, 1, 8, 1, -6, 1, 7, -5, 1, 0.5, 1, true, 1, null, 1, 10, -1, 19],
      text: 'axybcdefg',
    })
    const shapes = new Shapes()
    shapes.adopt([['other'], ['a', 'b']])
    expect(flatten({ a: 1, b: { other: undefined } }, shapes)).toMatchObject({
      tokens: [5, -2, 1, 11],
      text: '',
    })
    const large = [2 ** 53 - 2, 2 ** 53 - 1, 2 ** 53, -(2 ** 53), 1e300, NaN, -Infinity]
    expect(flatten({ large }).tokens.slice(4)).toEqual([
      1 - 2 ** 53,
      ...[7, 2 ** 53 - 1, 7, 2 ** 53, 7, -(2 ** 53), 7, 1e300, NaN, -Infinity],
    ])
  })

  it('changes nothing of what it is given', () => {
    fc.assert(
      fc.property(objectOf(data), (session) => {
        const before = structuredClone(session)
        flatten(session)
        assert.deepStrictEqual(structuredClone(session), before)
      }),
      { numRuns: 200 },
    )
  })

  it('keeps what it is given first, and no hold on it', () => {
    const bytes = Buffer.from([1, 2, 3])
    const typed = Float64Array.of(1, 2)
    const shapes = new Shapes()
    const { tokens, text, packed } = flatten({ bytes, typed, buffer: typed.buffer }, shapes)
    bytes.fill(9)
    typed.fill(9)
    assert.deepStrictEqual(new Inflater(shapes).session(spanOf(packr.pack(tokens)), text, packed), {
      bytes: Buffer.from([1, 2, 3]),
      typed: Float64Array.of(1, 2),
      buffer: Float64Array.of(1, 2).buffer,
    })
  })

  it('takes holes, functions and symbols as JSON does, but undefined as itself', () => {
    const list: unknown[] = [undefined, () => 1, Symbol('s'), 1]
    list.length = 6
    const f = () => 1
    const make = () => ({
      f,
      list,
      map: new Map<unknown, unknown>([
        ['a', f],
        [f, 'b'],
        ['c', 1],
      ]),
      set: new Set([f, 1]),
      inner: { s: Symbol('s'), kept: { deeper: f, too: 1 } },
      s: Symbol('s'),
      u: undefined,
    })
    const shapes = new Shapes()
    for (let time = 0; time < 30; time++) {
      const back = through(make(), shapes) as object
      assert.deepStrictEqual(back, {
        list: [undefined, null, null, 1, null, null],
        map: new Map([['c', 1]]),
        set: new Set([1]),
        inner: { kept: { too: 1 } },
        u: undefined,
      })
      assert.deepStrictEqual(Object.keys(back), ['list', 'map', 'set', 'inner', 'u'])
    }
    assert(shapes.list.some((keys) => keys.includes('deeper')))
  })

  it('knows values that were made in another context', () => {
    const foreign = runInNewContext(`({
      at: new Date(5), map: new Map([[1, { a: [2] }]]), set: new Set([/x/g]),
      bytes: Uint8Array.of(1, 2), list: [1], boxed: Object('text'),
    })`) as Record<string, unknown>
    // Its toJSON is no built-in here: JSON would bring text.
    const { at, ...rest } = through({ ...foreign }) as Record<string, unknown>
    assert(at instanceof Date || at === '1970-01-01T00:00:00.005Z')
    assert.deepStrictEqual(rest, {
      map: new Map([[1, { a: [2] }]]),
      set: new Set([/x/g]),
      bytes: Uint8Array.of(1, 2),
      list: [1],
      boxed: 'text',
    })
  })

  it('takes what has lost its bytes for an empty one of its kind', () => {
    const buffer = new ArrayBuffer(8)
    const lost = {
      buffer,
      view: new DataView(buffer),
      array: new Uint8Array(buffer, 4),
      wide: new Float64Array(buffer),
      node: Buffer.from(buffer),
    }
    structuredClone(buffer, { transfer: [buffer] })
    assert.deepStrictEqual(through(lost), {
      buffer: new ArrayBuffer(0),
      view: new DataView(new ArrayBuffer(0)),
      array: new Uint8Array(0),
      wide: new Float64Array(0),
      node: Buffer.alloc(0),
    })
  })

  it('keeps numbers of any size', () => {
    for (const bits of [0n, 1n, 31n, 32n, 53n, 63n, 64n, 65n, 127n, 700n, 5000n]) {
      for (const off of [-2n, -1n, 0n, 1n]) {
        const big = 2n ** bits + off
        const session = { big, minus: -big, number: Number(big), other: Number(-big) }
        assert.deepStrictEqual(through(session), session)
      }
    }
  })

  it('keeps objects apart from the keys of their prototypes', () => {
    class Point {
      readonly x = 1
      get y(): number {
        return 2
      }
    }
    const child = Object.create({ inherited: 1 }, { own: { value: 2, enumerable: true } }) as object
    const bare = Object.assign(Object.create(null) as object, { a: 1 })
    const session = { point: new Point(), child, bare, proto: JSON.parse('{"__proto__":{"a":1}}') }
    const back = through(session) as typeof session
    assert.deepStrictEqual(
      { ...back, proto: undefined },
      {
        point: { x: 1 },
        child: { own: 2 },
        bare: { a: 1 },
        proto: undefined,
      },
    )
    assert.equal(JSON.stringify(back.proto), '{"__proto__":{"a":1}}')
    assert.equal(Object.getPrototypeOf(back.proto), Object.prototype)
  })

  it('leaves out what an app has added to the prototype of all objects', () => {
    const shapes = new Shapes()
    Object.assign(Object.prototype, { added: 1 })
    try {
      for (let time = 0; time < 20; time++) {
        const back = JSON.stringify(through({ user: { name: 'Zoë' } }, shapes))
        assert.equal(back, '{"user":{"name":"Zoë"}}')
      }
    } finally {
      delete (Object.prototype as { added?: number }).added
    }
    assert.deepStrictEqual([...shapes.list].sort(), [['name'], ['user']])
  })

  it('takes a reference twice for no cycle', () => {
    const shared = { a: [1] }
    assert.deepStrictEqual(through({ x: shared, y: new Map([[shared, shared]]) }), {
      x: shared,
      y: new Map([[shared, shared]]),
    })
  })

  it('asks each getter and each toJSON once', () => {
    let asked = 0
    const make = { toJSON: (key: string) => `${key}${++asked}` }
    const session = {
      made: make,
      get got() {
        return ++asked
      },
      map: new Map([['key', make]]),
      list: [make],
    }
    const shapes = new Shapes()
    shapes.adopt([['made', 'got', 'map', 'list']])
    for (const known of [new Shapes(), shapes]) {
      asked = 0
      assert.deepStrictEqual(through(session, known), {
        made: 'made1',
        got: 2,
        map: new Map([['key', 'key3']]),
        list: ['04'],
      })
    }
  })

  it('writes an object whole that a getter changes on the way', () => {
    const shapes = new Shapes()
    shapes.adopt([['items', 'total', 'last']])
    const cart: Record<string, unknown> = {
      items: [1, 2],
      get total() {
        delete cart['last']
        return 3
      },
      last: 'text',
    }
    assert.deepStrictEqual(through({ cart, after: 'text' }, shapes), {
      cart: { items: [1, 2], total: 3 },
      after: 'text',
    })
  })
})

describe('an object whose keys may be data', () => {
  it('is read in turns with its toJSONs, as JSON does it', () => {
    const make = () => {
      let asked = 0
      const next = { toJSON: () => ++asked }
      const items = {
        first: next,
        get second() {
          return ++asked
        },
        third: next,
      }
      return { items }
    }
    assert.deepStrictEqual(through(make()), JSON.parse(JSON.stringify(make())))
    assert.deepStrictEqual(through(make()), { items: { first: 1, second: 2, third: 3 } })
  })

  it('is written without what its getters delete or add on the way', () => {
    const make = () => {
      const items: Record<string, unknown> = {
        get first() {
          delete items['second']
          delete items['fourth']
          items['added'] = 1
          return 1
        },
        second: 2,
        third: 3,
        fourth: 4,
      }
      return { items, after: 'text' }
    }
    assert.deepStrictEqual(through(make()), JSON.parse(JSON.stringify(make())))
    assert.deepStrictEqual(through(make()), { items: { first: 1, third: 3 }, after: 'text' })
  })

  it('is what it has itself', () => {
    class Items {
      b = 1
      1 = 2
    }
    Object.assign(Items.prototype, { a: 0, c: 0, 0: 0 })
    const items = { plain: new Items(), proxy: new Proxy({ a: 1, 2: 3 }, {}), none: {} }
    assert.deepStrictEqual(through({ items }), {
      items: { plain: { 1: 2, b: 1 }, proxy: { 2: 3, a: 1 }, none: {} },
    })
  })
})

describe('explainDepth', () => {
  it('names the keys to a cycle and to what is too deep', () => {
    const failure = (session: object) => {
      assert.throws(() => flatten(session), TooDeepError)
      return explainDepth(session)
    }
    const item: Record<string, unknown> = {}
    item['up'] = [item]
    expect(failure({ a: { item } })).toEqual({ keys: ['a', 'item', 'up', '0'], cycle: true })
    const map = new Map<string, unknown>()
    map.set('self', { map })
    expect(failure({ a: map })).toEqual({ keys: ['a', 'self', 'map'], cycle: true })
    let deep: unknown = 1
    for (let level = 0; level < DEEPEST; level++) deep = level % 2 ? [deep] : new Set([deep])
    assert.deepStrictEqual(through({ deep }), { deep })
    const { keys, cycle } = failure({ deep: [deep] })
    assert.equal(cycle, false)
    assert.equal(keys.length, DEEPEST + 1)
  })
})

describe('a toJSON that was given to all', () => {
  const seenWith = (prototype: object, session: object): unknown => {
    Object.defineProperty(prototype, 'toJSON', { value: () => 'seen', configurable: true })
    try {
      return through(session)
    } finally {
      Reflect.deleteProperty(prototype, 'toJSON')
    }
  }

  it.each([
    ['arrays', Array.prototype, { a: 'seen', b: { c: 1 } }],
    ['objects', Object.prototype, { a: 'seen', b: 'seen' }],
  ])('is asked: %s', (_, prototype, seen) => {
    const session = { a: [1], b: { c: 1 } }
    assert.deepStrictEqual(seenWith(prototype, session), seen)
    assert.deepStrictEqual(through(session), session)
  })
})

describe('asJsonSees', () => {
  it('hands toJSON its key and unpacks boxes', () => {
    const object = { a: 1 }
    for (const [value, seen] of [
      [object, object],
      [Object('text'), 'text'],
      [Object(-1), -1],
      [Object(false), false],
      [{ toJSON: (key: string) => `at ${key}` }, 'at k'],
      [{ toJSON: () => null }, null],
      [{ toJSON: () => Object(5) as unknown }, 5],
    ] as [object, unknown][]) {
      assert.deepStrictEqual(asJsonSees(value, 'k'), seen)
    }
  })

  it('keeps Dates and Buffers, unless a class of the app says otherwise', () => {
    class Day extends Date {
      override toJSON(): string {
        return 'a day'
      }
    }
    const date = new Date(0)
    const buffer = Buffer.from('x')
    assert.equal(asJsonSees(date, ''), date)
    assert.equal(asJsonSees(buffer, ''), buffer)
    assert.equal(asJsonSees(new Day(0), ''), 'a day')
    assert.equal(asJsonSees(Object.assign(new Date(0), { toJSON: () => 1 }), ''), 1)
  })
})
