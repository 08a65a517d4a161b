import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Packr } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import { Flattening } from '../../src/core/flatten.js'
import { Inflater } from '../../src/core/inflate.js'
import { Packing } from '../../src/core/packing.js'
import { Shapes } from '../../src/core/shapes.js'
import { spanOf } from '../../src/core/span.js'
import { DEEPEST } from '../../src/core/tokens.js'

const packr = new Packr({ useRecords: false })

function session(
  tokens: readonly unknown[],
  text = '',
  list: string[][] = [['a', 'b']],
  packed = '',
  cookie?: object,
): Record<string, unknown> {
  const shapes = new Shapes()
  shapes.adopt(list)
  return new Inflater(shapes).session(spanOf(packr.pack(tokens)), text, packed, cookie)
}

/** The value of these tokens, which a session has under a key without characters. */
function inflate(tokens: readonly unknown[], ...rest: [string?, string[][]?, string?]): unknown {
  return session([3, 1, 0, ...tokens], ...rest)['']
}

describe('Inflater', () => {
  it('makes sessions of records and of objects, and of nothing else', () => {
    assert.deepStrictEqual(session([1, -1, null]), { a: 0, b: null })
    assert.deepStrictEqual(session([3, 1, 1, true], 'x'), { x: true })
    for (const tokens of [
      [],
      [null],
      [-1],
      [0],
      [2],
      [6, -1],
      [0.5],
      [-3, -1, -1],
      [5, -1, -1],
      [1.5, -1, -1],
      [35, 0],
      [39, 0],
    ]) {
      assert.throws(() => session(tokens), JSON.stringify(tokens))
    }
  })

  it('gives them their cookie, last of all, as often as it is asked', () => {
    const shapes = new Shapes()
    shapes.adopt([['a', 'b']])
    const inflater = new Inflater(shapes)
    for (const [tokens, data] of [
      [[1, -1, null], { a: 0, b: null }],
      [[1, 15, null], { b: null }],
      [[3, 2, 0, null, 0, true], { '': true }],
      [[3, 0], {}],
    ] as const) {
      const span = spanOf(packr.pack(tokens))
      for (let time = 0; time < 8; time++) {
        const cookie = { path: '/' }
        const entries = Object.entries(inflater.session(span, '', '', cookie))
        assert.deepStrictEqual(entries, [...Object.entries(data), ['cookie', cookie]])
        assert.equal(entries.at(-1)?.[1], cookie)
        assert.deepStrictEqual(inflater.session(span, '', ''), data)
      }
    }
  })

  it('refuses tokens and contents that mean nothing', () => {
    for (const tokens of [
      [],
      [undefined],
      ['x'],
      [{}],
      [[0]],
      [4],
      [2 ** 31],
      [1e15],
      [9],
      [3],
      [3, 1],
      [3, 1, 0],
      [3, 2, 0, -1],
      [3, -1],
      [3, 0.5],
      [3, null],
      [7],
      [7, 'x'],
      [23],
      [23, null],
      [27],
      [27, 4],
      [27, 0.5],
      [31, 0],
      [35, 1, -1],
      [39, 1],
      [43, 1],
      [47, 99, 0],
      [47, 3],
      [47, 'x', 0],
      [47, 5, 1],
      [6, 15],
      [51],
      [4096 * 4 + 3],
    ]) {
      assert.throws(() => inflate(tokens), JSON.stringify(tokens))
      assert.throws(() => inflate([10, -1, ...tokens]), JSON.stringify(tokens))
    }
    assert.throws(() => inflate([27, 1], 'x'))
    assert.throws(() => inflate([27, 3], '--1'))
    assert.throws(() => inflate([31, 1, 0], '('))
    assert.throws(() => inflate([31, 1, 1], 'xq'))
    assert.throws(() => inflate([43, 2], 'x\u0100'))
    // Eight bytes and seven; a Float64Array takes eights.
    assert.throws(() => inflate([47, 10, 7], 'x'.repeat(7)))
  })

  it('refuses what is left over of either', () => {
    assert.deepStrictEqual(inflate([1, 4, 8], 'xyz'), { a: 'x', b: 'yz' })
    assert.throws(() => inflate([1, 4, 8], 'xyz!'))
    assert.throws(() => inflate([1, 4, 8], 'xy'))
    assert.throws(() => inflate([1, 4, 8, null], 'xyz'))
    assert.throws(() => inflate([1, 4], 'x'))
  })

  it('gives what it can of any tokens, or an error', () => {
    const token = fc.oneof(
      fc.integer({ min: -3, max: 60 }),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
      fc.constantFrom('x', {}, [], undefined),
    )
    let given = 0
    fc.assert(
      fc.property(
        fc.array(token, { maxLength: 12 }),
        fc.string({ maxLength: 12 }),
        (tokens, text) => {
          try {
            inflate(tokens, text)
          } catch {
            return
          }
          given++
        },
      ),
      { numRuns: 5000 },
    )
    expect(given).toBeGreaterThan(0)
  })

  it('is not led into any depth', () => {
    for (const wrap of [[6], [3, 1, 0], [39, 1], [35, 1, -1], [1, null]]) {
      const deep = (levels: number) => [
        ...Array<number[]>(levels)
          .fill(wrap as number[])
          .flat(),
        -1,
      ]
      assert.doesNotThrow(() => inflate(deep(DEEPEST - 1)))
      assert.throws(() => inflate(deep(DEEPEST + 1)))
      assert.throws(() => inflate(deep(50_000)))
    }
  })

  it('gives every value memory of its own', () => {
    const flat = new Flattening(new Shapes(), undefined, new Packing())
    flat.session({
      a: Uint8Array.of(1, 2),
      b: Buffer.from([3]),
      c: new DataView(new ArrayBuffer(3)),
    })
    const make = (): { a: Uint8Array; b: Buffer; c: DataView } =>
      inflate(flat.tokens, flat.text) as never
    const { a, b, c } = make()
    assert.equal(a.buffer.byteLength, 2)
    assert.equal(c.buffer.byteLength, 3)
    a.fill(9)
    b.fill(9)
    assert.deepStrictEqual(make(), {
      a: Uint8Array.of(1, 2),
      b: Buffer.from([3]),
      c: new DataView(new ArrayBuffer(3)),
    })
  })

  it('makes plain objects, whatever their keys are', () => {
    const make = (count: number) => [
      3,
      count,
      ...Array.from({ length: count }, () => [1, -1]).flat(),
    ]
    for (let count = 0; count < 40; count++) {
      const text = String.fromCharCode(...Array.from({ length: count }, (_, i) => 48 + i))
      const object = inflate(make(count), text) as object
      assert.equal(Object.getPrototypeOf(object), Object.prototype)
      assert.deepStrictEqual(object, Object.fromEntries([...text].map((key) => [key, 0])))
    }
  })

  it('gives objects their own keys whatever else has been put on Object.prototype', () => {
    const get = () => 'inherited'
    Object.defineProperty(Object.prototype, 'odd', { get, configurable: true })
    try {
      const made = inflate([3, 2, 3, -2, 1, -3], 'oddx') as object
      assert.deepStrictEqual(Object.entries(made), [
        ['odd', 1],
        ['x', 2],
      ])
    } finally {
      delete (Object.prototype as { odd?: unknown }).odd
    }
  })
})
