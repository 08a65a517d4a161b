import assert from 'node:assert/strict'
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import { Codec } from '../../src/core/codec.js'
import { StoreError } from '../../src/core/errors.js'
import {
  data,
  decodesAll,
  objectOf,
  onDisk,
  restarted,
  shaped,
  teach,
  withoutReserved,
} from './codec-data.js'
import { bodyOf, textOf } from '../support/bodies.js'

describe('shared structures', () => {
  it('are admitted after a shape was met repeatedly, not at once', () => {
    const codec = new Codec()
    for (let time = 0; time < 7; time++) textOf(codec.encode({ user: { name: 'x' } }))
    assert.deepStrictEqual(codec.structures, [])
    const long = textOf(new Codec().encode({ user: { name: 'x' } })).length
    for (let time = 0; time < 8; time++) textOf(codec.encode({ user: { name: 'x' } }))
    expect([...codec.structures].sort()).toEqual([['name'], ['user']])
    expect(textOf(codec.encode({ user: { name: 'x' } })).length).toBeLessThanOrEqual(
      long - 'username'.length,
    )
  })

  it('are told by a token that depends on the index alone', () => {
    const codec = new Codec()
    teach(codec, 100)
    assert.equal(codec.structures.length, 100)
    for (const [index, keys] of codec.structures.entries()) {
      const body = textOf(codec.encode(shaped(Number(keys[0]?.slice(1)), 7)))
      // The structure, 7 as −8, an array of one, 7 as −8.
      const tokens = unpack(Buffer.from(body.slice(1), 'latin1')) as unknown
      assert.deepStrictEqual(tokens, [index * 4 + 1, -8, 6, -8])
    }
  })

  it('leave every earlier body readable, here and after a restart', () => {
    const codec = new Codec()
    const bodies = teach(codec, 300)
    assert.equal(codec.structures.length, 300)
    decodesAll(codec, bodies)
    const restarted = new Codec()
    assert.equal(restarted.adopt(onDisk(codec)), true)
    decodesAll(restarted, bodies)
    for (const session of bodies.keys()) {
      assert.equal(textOf(restarted.encode(session)), textOf(codec.encode(session)))
    }
  })

  it('stop at 1024; what is beyond is written with its keys', () => {
    const codec = new Codec()
    const list = Array.from({ length: 1024 }, (_, index) => [`a${index}`, `b${index}`])
    assert.equal(codec.adopt(list), true)
    for (const shape of [0, 31, 32, 63, 64, 1023]) {
      const body = textOf(codec.encode(shaped(shape, 7)))
      assert.equal(body.length, 5 + (shape < 32 ? 1 : shape < 64 ? 2 : 3))
      assert.deepStrictEqual(codec.decode(bodyOf(body)), shaped(shape, 7))
    }
    decodesAll(codec, teach(codec, 1030))
    assert.equal(codec.structures.length, 1024)
  })

  it('are not made of keys that are data', () => {
    const codec = new Codec()
    for (let time = 0; time < 40_000; time++) {
      const session = { cart: { [`sku-${time}`]: { qty: 1 }, [`sku-${time}b`]: { qty: 2 } } }
      const body = textOf(codec.encode(session))
      if (time % 1000 === 0) assert.deepStrictEqual(codec.decode(bodyOf(body)), session)
    }
    expect([...codec.structures].sort()).toEqual([['cart'], ['qty']])
    const wide = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`k${index}`, index]))
    const long = { ['k'.repeat(65)]: 1 }
    for (let time = 0; time < 200; time++) textOf(codec.encode({ cart: { ...wide } }))
    for (let time = 0; time < 200; time++) textOf(codec.encode({ cart: { ...long } }))
    assert.equal(codec.structures.length, 2)
  })

  it('are found among keys that are data', () => {
    const codec = new Codec()
    for (let time = 0; time < 40_000; time++) {
      textOf(codec.encode({ [`t${time}`]: 1 }))
      if (time % 100 === 0) textOf(codec.encode({ user: 'x', name: 'y', mail: 'z' }))
    }
    assert.deepStrictEqual(codec.structures, [['user', 'name', 'mail']])
  })

  it('tell orders of keys, beginnings of others and optional keys apart', () => {
    const sessions = [
      { a: 1, b: 2 },
      { b: 2, a: 1 },
      { a: 1 },
      { a: 1, b: 2, c: 3 },
      { a: 1, c: 3 },
      { 2: 'x', 10: 'y', a: 1 },
      {},
    ]
    const codec = new Codec()
    for (let time = 0; time < 20; time++) {
      for (const session of sessions) {
        const back = codec.decode(bodyOf(textOf(codec.encode(session))))
        assert.deepStrictEqual(back, session)
        assert.deepStrictEqual(Object.keys(back), Object.keys(session))
      }
    }
    assert.equal(codec.structures.length, 6)
  })

  it('have any keys but __proto__ and half of a surrogate pair', () => {
    const keys = fc
      .uniqueArray(
        fc.oneof(
          fc.string({ unit: 'binary', maxLength: 20 }),
          fc.constantFrom(
            'constructor',
            'toString',
            'hasOwnProperty',
            '"',
            '\\',
            '\u2028',
            '\ud800',
            "'+x+'",
            '`${x}`',
            '\n',
            '"]})//',
          ),
        ),
        { minLength: 1, maxLength: 8 },
      )
      .filter((list) => !list.includes('__proto__') && !list.includes('toJSON'))
    fc.assert(
      fc.property(keys, (list) => {
        const codec = new Codec()
        const data = Object.fromEntries(list.map((key, index) => [key, index]))
        for (let time = 0; time < 25; time++) {
          assert.deepStrictEqual(codec.decode(bodyOf(textOf(codec.encode({ data })))), { data })
        }
        const shared = list.every((key) => !/\p{Surrogate}/u.test(key))
        expect(codec.structures.some((keys) => keys.join() === Object.keys(data).join())).toBe(
          shared,
        )
      }),
      { numRuns: 60 },
    )
  })

  it('are copies that nobody can change', () => {
    const codec = new Codec()
    const bodies = teach(codec, 3)
    codec.adopt([...onDisk(codec), ['x', 'y']])
    for (const keys of codec.structures) {
      assert(Object.isFrozen(keys))
      assert.throws(() => (keys as string[]).push('more'), TypeError)
    }
    decodesAll(codec, bodies)
    assert.deepStrictEqual(codec.decode(bodyOf(textOf(codec.encode({ x: 1, y: 2 })))), {
      x: 1,
      y: 2,
    })
  })

  it('only ever grow at the end, whatever is encoded', () => {
    const codec = new Codec()
    const kept: [string, object][] = []
    fc.assert(
      fc.property(objectOf(data), fc.nat({ max: 300 }), (session, shape) => {
        const before = onDisk(codec)
        for (let time = 0; time < 9; time++) {
          for (const one of [{ [`only${shape}`]: session }, session]) {
            kept.push([textOf(codec.encode(one)), withoutReserved(one)])
          }
        }
        assert.deepStrictEqual(onDisk(codec, before.length), before)
      }),
      { numRuns: 40 },
    )
    expect(codec.structures.length).toBeGreaterThan(64)
    assert.equal(new Set(codec.structures.map(String)).size, codec.structures.length)
    for (const reader of [codec, restarted(codec)]) {
      for (const [body, session] of kept)
        assert.deepStrictEqual(reader.decode(bodyOf(body)), session)
    }
  })

  it('beyond 1024 leave every session readable, here and after a restart', () => {
    const codec = new Codec()
    const bodies = teach(codec, 1100)
    assert.equal(codec.structures.length, 1024)
    decodesAll(codec, bodies)
    const other = restarted(codec)
    decodesAll(other, bodies)
    decodesAll(other, teach(codec, 20))
    const late = { late: { at: new Date(0), of: shaped(1090, 1) } }
    for (let time = 0; time < 20; time++) {
      assert.deepStrictEqual(other.decode(bodyOf(textOf(codec.encode(late)))), late)
    }
    assert.equal(codec.structures.length, 1024)
  })

  it('are not added while frozen', () => {
    const codec = new Codec()
    teach(codec, 2)
    codec.frozen = true
    assert.equal(codec.frozen, true)
    decodesAll(codec, teach(codec, 5))
    assert.equal(codec.structures.length, 2)
    assert.equal(codec.adopt([...onDisk(codec), ['more']]), true)
    assert.equal(codec.structures.length, 3)
    codec.frozen = false
    teach(codec, 5)
    assert.equal(codec.structures.length, 6)
  })
})

describe('adopt', () => {
  it('extends ours by theirs, and is content with fewer', () => {
    const first = new Codec()
    const bodies = teach(first, 50)
    const second = new Codec()
    assert.equal(second.adopt(onDisk(first, 20)), true)
    assert.equal(second.adopt(onDisk(first)), true)
    assert.equal(second.adopt(onDisk(first, 10)), true)
    assert.equal(second.adopt([]), true)
    decodesAll(second, bodies)
    decodesAll(second, teach(second, 60))
    decodesAll(second, bodies)
    assert.equal(first.adopt(onDisk(second)), true)
    assert.deepStrictEqual(first.structures, second.structures)
  })

  it('takes what stands in a list from an id on, where it has those before', () => {
    const first = new Codec()
    const bodies = teach(first, 20)
    const list = onDisk(first)
    const second = new Codec()
    assert.equal(second.adopt(list.slice(1), 1), false)
    assert.equal(second.structures.length, 0)
    list.forEach((keys, id) => assert.equal(second.adopt([keys], id), true))
    assert.equal(second.adopt(list.slice(3), 3), true)
    assert.equal(second.adopt([['other']], 3), false)
    assert.deepStrictEqual(second.structures, first.structures)
    decodesAll(second, bodies)
    const more = Array.from({ length: 1024 - list.length }, (_, i) => [`k${i}`])
    assert.throws(() => second.adopt([...more, ['last']], list.length), { code: 'ERR_DAMAGED' })
    assert.equal(second.adopt(more, list.length), true)
  })

  it('refuses another list and changes nothing', () => {
    const codec = new Codec()
    const bodies = teach(codec, 5)
    const before = onDisk(codec)
    for (const list of [
      [['other'], ...before],
      before.map((keys) => keys.toReversed()),
      [...before.slice(0, 4), ['a4'], ['more']],
    ]) {
      assert.equal(codec.adopt(list), false)
      assert.deepStrictEqual(codec.structures, before)
    }
    decodesAll(codec, bodies)
    const more = teach(codec, 40)
    decodesAll(restarted(codec), more)
  })

  it('does not take more than there are ids for', () => {
    const codec = new Codec()
    const bodies = teach(codec, 5)
    const list = [...codec.structures, ...Array.from({ length: 1020 }, (_, i) => [`k${i}`])]
    assert.throws(() => codec.adopt(list), { code: 'ERR_DAMAGED' })
    assert.equal(codec.structures.length, 5)
    assert.equal(codec.adopt(list.slice(0, 1024)), true)
    decodesAll(codec, bodies)
  })

  it('while frozen makes no structures but those', () => {
    const first = new Codec()
    const bodies = teach(first, 40)
    const codec = new Codec()
    codec.frozen = true
    assert.equal(codec.adopt(onDisk(first)), true)
    decodesAll(codec, bodies)
    for (const session of bodies.keys())
      assert.equal(textOf(codec.encode(session)), textOf(first.encode(session)))
    decodesAll(codec, teach(codec, 60))
    assert.equal(codec.structures.length, 40)
  })

  it('throws for what is no list of structures', () => {
    const codec = new Codec()
    for (const list of [
      null,
      {},
      'ab',
      ['ab'],
      [[]],
      [[1]],
      [['a', 'a']],
      [['__proto__']],
      [['a', '\ud800']],
      [['a'], undefined],
      [Array.from({ length: 5000 }, (_, index) => `k${index}`)],
      Array.from({ length: 1025 }, (_, index) => [`k${index}`]),
    ]) {
      assert.throws(
        () => codec.adopt(list as never),
        (error) => error instanceof StoreError && error.code === 'ERR_DAMAGED',
      )
    }
    assert.deepStrictEqual(codec.structures, [])
  })

  it('keeps no hold on the list it was given', () => {
    const codec = new Codec()
    const list = [['a', 'b']]
    codec.adopt(list)
    list[0]?.push('c')
    assert.deepStrictEqual(codec.decode(bodyOf(textOf(codec.encode({ a: 1, b: 2 })))), {
      a: 1,
      b: 2,
    })
    assert.deepStrictEqual(codec.structures, [['a', 'b']])
  })
})
