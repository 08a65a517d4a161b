import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Codec } from '../../src/core/codec.js'
import { plain } from '../../src/core/msgpack.js'
import {
  data,
  everywhere,
  objectOf,
  random,
  restarted,
  roundTrip,
  withoutReserved,
} from './codec-data.js'
import { bodyOf, textOf } from '../support/bodies.js'

describe('what comes back as itself', () => {
  it('is any data of the types promised, however nested', () => {
    const codec = new Codec()
    fc.assert(
      fc.property(objectOf(data), (session) => {
        assert.deepStrictEqual(
          codec.decode(bodyOf(textOf(codec.encode(session)))),
          withoutReserved(session),
        )
      }),
      { numRuns: 1000 },
    )
  })

  it('takes three quarters of their characters for tokens, signed ones too', () => {
    const token = 'opaque-Text_Of64Characters'.repeat(40)
    for (const value of [token, `${token}xyz`, [token, token, token.slice(2)].join('.')]) {
      const body = textOf(new Codec().encode({ value }))
      expect(body.length).toBeLessThan(value.length * 0.75 + 40)
      assert.deepStrictEqual(roundTrip({ value, wide: '€' }), { value, wide: '€' })
    }
  })

  it('is any string, of any length, as a value and as a key', () => {
    for (const length of [0, 1, 15, 16, 17, 31, 32, 255, 256, 65535, 65536, 70000]) {
      for (const unit of ['a', 'é', '€', '\ud800', '\udc00', '\ufeff', '\0']) {
        const string = unit.repeat(length)
        assert.deepStrictEqual(everywhere(string), Array(6).fill(string))
        assert.deepStrictEqual(roundTrip({ [`k${string}`]: [{ [string]: 1 }] }), {
          [`k${string}`]: [{ [string]: 1 }],
        })
      }
    }
  })

  it('is a session as large as a buffer, or nearly', () => {
    const codec = new Codec()
    const filler = '.x'.repeat(35_000)
    for (const buffer of [4096, 8192, 16_384, 32_768, 65_536]) {
      for (let length = buffer - 90; length < buffer + 10; length++) {
        const session = { text: filler.slice(0, length), packed: 'opaque'.repeat(9), number: 1 }
        const { bytes, start, end } = codec.encode(session)
        assert.deepStrictEqual(codec.decode({ bytes, start, end }), session)
        assert.ok(start >= 0 && end <= bytes.length && end - start > length)
      }
    }
  })

  it('is a session beside what else is packed, which comes to no harm', () => {
    const codec = new Codec()
    for (let time = 0; time < 400; time++) {
      const others = plain.pack({ time, text: 'x'.repeat(time) })
      const before = Buffer.from(others)
      const session = { text: 'y'.repeat((time * 67) % 9000), packed: 'opaque'.repeat(9) }
      assert.deepStrictEqual(codec.decode(codec.encode(session)), session)
      assert.deepStrictEqual(others, before)
    }
  })

  it('is text that begins with a byte order mark, or has half a character', () => {
    for (const mark of ['\ufeff', '\ufeff\ufeff', '\ud800', '\udfff', '\udc00\ud800']) {
      for (const length of [0, 1, 2, 3, 14, 15, 60, 61, 62, 63, 64, 65, 250, 4093, 4096]) {
        for (const unit of ['x', 'é', '€']) {
          for (const string of [mark + unit.repeat(length), unit.repeat(length) + mark]) {
            const session = { [string]: { [string]: string }, list: [string, 'plain', string] }
            assert.deepStrictEqual(roundTrip(session), session)
          }
        }
      }
    }
  })

  it('is a mark at the start of what a bundle of strings begins with', () => {
    const codec = new Codec()
    for (let time = 0; time < 20; time++) {
      const session = {
        name: '\ufeffname',
        next: '\ufeffé and more',
        list: ['', '\ufeff', 'plain'],
      }
      const body = textOf(codec.encode(session))
      assert.deepStrictEqual(codec.decode(bodyOf(body)), session)
      assert.deepStrictEqual(restarted(codec).decode(bodyOf(body)), session)
    }
  })

  it('is an invalid Date', () => {
    for (const date of everywhere(new Date(NaN))) {
      assert(date instanceof Date)
      assert(Number.isNaN(date.getTime()))
    }
  })

  it('is a Date to the millisecond, from its first moment to its last', () => {
    for (const time of [
      -864e13,
      -864e13 + 1,
      -1,
      0,
      1,
      999,
      1000,
      2 ** 32 * 1000 - 1,
      2 ** 32 * 1000,
      2 ** 34 * 1000,
      864e13,
    ]) {
      assert.deepStrictEqual(everywhere(new Date(time)), Array(6).fill(new Date(time)))
    }
  })

  it('tells a Buffer from a Uint8Array, and copies both', () => {
    const codec = new Codec()
    const body = textOf(codec.encode({ buffer: Buffer.from([1, 2]), array: Uint8Array.of(1, 2) }))
    const first = codec.decode(bodyOf(body)) as { buffer: Buffer; array: Uint8Array }
    assert(Buffer.isBuffer(first.buffer))
    assert(!Buffer.isBuffer(first.array))
    assert.equal(first.array.buffer.byteLength, 2)
    first.buffer.fill(9)
    first.array.fill(9)
    assert.deepStrictEqual(codec.decode(bodyOf(body)), {
      buffer: Buffer.from([1, 2]),
      array: Uint8Array.of(1, 2),
    })
  })

  it('takes only the part of the memory that a view shows', () => {
    const memory = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
    assert.deepStrictEqual(
      roundTrip({
        part: memory.subarray(2, 4),
        view: new DataView(memory.buffer, 1, 2),
        wide: new Uint16Array(memory.buffer, 2, 1),
      }),
      {
        part: Uint8Array.of(3, 4),
        view: new DataView(Uint8Array.of(2, 3).buffer),
        wide: new Uint16Array(memory.slice(2, 4).buffer),
      },
    )
  })

  it('is a large array and a large object', () => {
    const list = Array.from({ length: 70_000 }, (_, index) => index)
    const table = Object.fromEntries(list.map((index) => [`key${index}`, index]))
    const some = Object.fromEntries(list.slice(0, 300).map((index) => [`key${index}`, index]))
    assert.deepStrictEqual(roundTrip({ list, table, some }), { list, table, some })
  })
})

const payloads = new URL('../../fixtures/payloads/', import.meta.url)
const sessions = readdirSync(payloads)
  .filter((name) => name.endsWith('.json'))
  .map((name) => ({ name, text: readFileSync(new URL(name, payloads), 'utf8') }))

describe('large sessions of any script', () => {
  it.each([
    ['a', 1],
    ['é', 2],
    ['一', 3],
    ['😀', 4],
    ['mixed', 0],
  ])('%s', (unit) => {
    const pick = random(unit.codePointAt(0)!)
    const codec = new Codec()
    for (let round = 0; round < 60; round++) {
      const list = Array.from({ length: 5 + pick(60) }, () => {
        const one = unit === 'mixed' ? ['a', 'é', '一', '😀'][pick(4)]! : unit
        return one.repeat(1 + pick([10, 100, 1000, 5000][pick(4)]!))
      })
      const keyed = Object.fromEntries(list.slice(0, 20).map((item) => [item, { item }]))
      const session = { list, keyed: round % 2 ? keyed : new Map(Object.entries(keyed)) }
      assert.deepStrictEqual(codec.decode(bodyOf(textOf(codec.encode(session)))), session)
    }
  })

  it('at every size around the one where strings are split up', () => {
    const codec = new Codec()
    for (const unit of ['a', '一']) {
      for (const each of [4, 100, 1000, 4095, 4096]) {
        for (let total = 21_000; total < 27_000; total += 377) {
          const list = Array.from({ length: Math.ceil(total / each) }, () => unit.repeat(each))
          assert.deepStrictEqual(codec.decode(bodyOf(textOf(codec.encode({ list, end: 1 })))), {
            list,
            end: 1,
          })
        }
      }
    }
  })
})

describe('the payloads of real apps', () => {
  it.each(sessions)('$name', ({ text }) => {
    const codec = new Codec()
    const { cookie: _, ...expected } = JSON.parse(text) as Record<string, unknown>
    for (let time = 0; time < 40; time++) {
      const body = textOf(codec.encode(JSON.parse(text) as object))
      assert.deepStrictEqual(codec.decode(bodyOf(body)), expected)
      if (time % 10 === 0) assert.deepStrictEqual(restarted(codec).decode(bodyOf(body)), expected)
    }
    expect(textOf(codec.encode(expected)).length).toBeLessThan(
      0.95 * JSON.stringify(expected).length,
    )
  })
})
