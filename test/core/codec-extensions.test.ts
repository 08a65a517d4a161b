import assert from 'node:assert/strict'
import fc from 'fast-check'
// The door by which apps come, and which switches msgpackr to its native reader of strings.
import { addExtension, Packr, unpack } from 'msgpackr'
import { describe, it } from 'vitest'
import { Codec } from '../../src/core/codec.js'
import { decodeHeaderPayload, encodeHeaderMap, encodeHeaderPayload } from '../../src/core/header.js'
import { headerOf } from '../support/records.js'
import { data, objectOf, random, restarted, withoutReserved } from './codec-data.js'
import { bodyOf, textOf } from '../support/bodies.js'

class Money {
  constructor(readonly cents: number) {}
}
class Items extends Array<unknown> {}
/** msgpackr asks the `toJSON` of classes alone. */
class Hook {
  constructor(readonly toJSON: () => unknown) {}
}
class Tags extends Set<unknown> {}

function session(): Record<string, unknown> {
  return {
    name: 'a name of some length',
    cart: [{ sku: 'sku-1', price: 1.5 }],
    at: new Date(1.5e12 + 1),
    tags: new Set(['a', 1n]),
    map: new Map([['key', /a+/g]]),
    bytes: Buffer.from([1, 2, 3]),
    array: Uint8Array.of(1, 2),
    floats: Float64Array.of(0.5),
    error: new Error('not stored'),
    list: [undefined, NaN, -0],
  }
}
const expected = { ...session(), error: {} }

describe('apps that use msgpackr themselves', () => {
  it('read and write between encoding and decoding', () => {
    const codec = new Codec()
    const packr = new Packr({ structures: [] })
    const pick = random(5)
    fc.assert(
      fc.property(objectOf(data), (one) => {
        const body = textOf(codec.encode(one))
        const theirs = packr.unpack(packr.pack({ one: [{ a: pick(9), text: 'some text' }] }))
        assert.equal(theirs.one[0].text, 'some text')
        assert.throws(() => unpack(Buffer.from([0x92, 1])))
        assert.deepStrictEqual(codec.decode(bodyOf(body)), withoutReserved(one))
      }),
      { numRuns: 500 },
    )
  })

  it('encode and decode a session from inside of a pack of their own', () => {
    const codec = new Codec()
    const packr = new Packr({ structures: [], useRecords: true })
    for (let time = 0; time < 40; time++) {
      const theirs = {
        before: { text: 'their text' },
        hook: new Hook(() => {
          const body = textOf(codec.encode(session()))
          assert.deepStrictEqual(codec.decode(bodyOf(body)), expected)
          return { body }
        }),
        after: { text: 'more of their text', list: [1, 2, { a: 1 }] },
      }
      const back = packr.unpack(packr.pack(theirs))
      assert.equal(back.after.text, 'more of their text')
      assert.deepStrictEqual(back.after.list, [1, 2, { a: 1 }])
      assert.deepStrictEqual(codec.decode(bodyOf(back.hook.body as string)), expected)
      assert.deepStrictEqual(restarted(codec).decode(bodyOf(back.hook.body as string)), expected)
    }
  })

  // What is registered stays so: from here on each test has those of the ones before.
  const registered: [string, Parameters<typeof addExtension>[0]][] = [
    [
      'a class of theirs',
      { Class: Money, type: 1, pack: () => Buffer.from([1]), unpack: () => 'theirs' },
    ],
    ['Set', { Class: Set, type: 2, write: () => 'theirs', read: () => 'theirs' }],
    ['Date', { Class: Date, type: 3, pack: () => Buffer.from([1]), unpack: () => 'theirs' }],
    ['the ids of undefined, Set, RegExp and bytes', { type: 0, unpack: () => 'theirs' }],
    ['', { type: 0x73, unpack: () => 'theirs' }],
    ['', { type: 0x78, unpack: () => 'theirs' }],
    ['', { type: 0x74, unpack: () => 'theirs' }],
    ['', { type: 0x42, unpack: () => 'theirs' }],
    ['', { type: 0xff, unpack: () => 'theirs' }],
    ['Error', { Class: Error, type: 4, write: () => 'theirs', read: () => 'theirs' }],
    ['a class of lists', { Class: Items, type: 5, write: () => 'theirs', read: () => 'theirs' }],
    ['Uint8Array', { Class: Uint8Array, type: 6, write: () => 'theirs', read: () => 'theirs' }],
    ['Buffer', { Class: Buffer, type: 7, pack: () => Buffer.from([1]), unpack: () => 'theirs' }],
  ]
  it.each(registered)('register an extension: %s', (_name, extension) => {
    const codec = new Codec()
    const before = textOf(codec.encode(session()))
    const simple = textOf(codec.encode({ user: { name: 'a name of some length' } }))
    const header = headerOf({ salt: Buffer.alloc(16, 7) })
    const map = encodeHeaderMap(header)
    addExtension(extension)
    assert.deepStrictEqual(encodeHeaderMap(header), map)
    const payload = encodeHeaderPayload(map, undefined)
    assert.deepStrictEqual(decodeHeaderPayload(payload, '').header, header)
    assert.deepStrictEqual(codec.decode(bodyOf(before)), expected)
    assert.deepStrictEqual(codec.decode(bodyOf(simple)), {
      user: { name: 'a name of some length' },
    })
    assert.equal(textOf(codec.encode(session())), before)
    assert.deepStrictEqual(new Codec().decode(bodyOf(before)), expected)
    for (const [value, back] of [
      [new Money(1), { cents: 1 }],
      [Items.from([1, { a: 'b' }]), [1, { a: 'b' }]],
      [new Tags([1]), new Set([1])],
    ]) {
      assert.deepStrictEqual(codec.decode(bodyOf(textOf(codec.encode({ value })))), { value: back })
      const at = new Date(0)
      assert.deepStrictEqual(codec.decode(bodyOf(textOf(codec.encode({ value, at })))), {
        value: back,
        at,
      })
    }
  })
})
