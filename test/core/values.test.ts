import assert from 'node:assert/strict'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { pack, Unpackr } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import {
  asJsonSees,
  Converter,
  DEEPEST,
  isPlainKey,
  isPlainText,
  revive,
  TooDeepError,
} from '../../src/core/values.js'
import { data, objectOf } from './codec-data.js'

// A packing without structures: values are independent of what the codec makes of them.
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true })

function convert(session: object): unknown {
  return new Converter().convert(session)
}

/** There and back, through bytes. */
function through(session: object): unknown {
  return revive(unpackr.unpack(pack(convert(session))), 0)
}

/** What msgpackr carries whatever is registered with it: what JSON knows. */
function assertCarried(value: unknown): void {
  if (value === null || typeof value === 'boolean') return
  if (typeof value === 'string') return assert(isPlainText(value))
  if (typeof value === 'number') return assert(!Object.is(value, -0))
  if (Array.isArray(value)) {
    assert.equal(value.constructor, Array)
    for (const item of value) assertCarried(item)
    return
  }
  assert.equal(Object.getPrototypeOf(value), Object.prototype, typeof value)
  for (const [key, item] of Object.entries(value as object)) {
    assert(isPlainKey(key))
    assertCarried(item)
  }
}

describe('Converter', () => {
  it('makes of any data what msgpackr carries, and revive makes it anew', () => {
    fc.assert(
      fc.property(objectOf(data), (session) => {
        assertCarried(convert(session))
        assert.deepStrictEqual(through(session), session)
      }),
      { numRuns: 700 },
    )
  })

  it('changes nothing of what it is given', () => {
    fc.assert(
      fc.property(objectOf(data), (session) => {
        const before = structuredClone(session)
        convert(session)
        assert.deepStrictEqual(structuredClone(session), before)
      }),
      { numRuns: 200 },
    )
  })

  it('keeps what it is given first, and no hold on it', () => {
    const bytes = Buffer.from([1, 2, 3])
    const typed = Float64Array.of(1, 2)
    const converted = convert({ bytes, typed, buffer: typed.buffer })
    bytes.fill(9)
    typed.fill(9)
    assert.deepStrictEqual(revive(converted, 0), {
      bytes: Buffer.from([1, 2, 3]),
      typed: Float64Array.of(1, 2),
      buffer: Float64Array.of(1, 2).buffer,
    })
  })

  it('takes holes, functions and symbols as JSON does, but undefined as itself', () => {
    const list: unknown[] = [undefined, () => 1, Symbol('s'), 1]
    list.length = 6
    assert.deepStrictEqual(through({ list, f: () => 1, s: Symbol('s'), u: undefined }), {
      list: [undefined, null, null, 1, null, null],
      u: undefined,
    })
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

  it('keeps big integers of any size', () => {
    for (const bits of [0n, 1n, 31n, 32n, 53n, 63n, 64n, 65n, 127n, 700n, 5000n]) {
      for (const off of [-1n, 0n, 1n]) {
        const big = 2n ** bits + off
        assert.deepStrictEqual(through({ big, negative: -big }), { big, negative: -big })
      }
    }
  })

  it('names the keys to a cycle and to what is too deep', () => {
    const failure = (session: object): TooDeepError => {
      try {
        convert(session)
      } catch (error) {
        assert(error instanceof TooDeepError)
        return error
      }
      return assert.fail('was converted')
    }
    const item: Record<string, unknown> = {}
    item['up'] = [item]
    expect(failure({ a: { item } })).toMatchObject({ keys: ['a', 'item', 'up', '0'], cycle: true })
    const map = new Map<string, unknown>()
    map.set('self', { map })
    expect(failure({ a: map })).toMatchObject({ keys: ['a', 'self', 'map'], cycle: true })
    let deep: unknown = 1
    for (let level = 0; level < DEEPEST; level++) deep = level % 2 ? [deep] : new Set([deep])
    assert.deepStrictEqual(through({ deep }), { deep })
    const { keys, cycle } = failure({ deep: [deep] })
    assert.equal(cycle, false)
    assert.equal(keys.length, DEEPEST + 1)
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
    assert.deepStrictEqual(through(session), {
      made: 'made1',
      got: 2,
      map: new Map([['key', 'key3']]),
      list: ['04'],
    })
  })
})

describe('revive', () => {
  it('refuses tags and contents that mean nothing', () => {
    for (const tagged of [
      [],
      [99],
      ['x'],
      [null],
      [{}],
      [[0]],
      [2],
      [2, 5],
      [2, 'x'],
      [2, ''],
      [2, '--1'],
      [3, 'x'],
      [3, '(', ''],
      [3, 'x', 'q'],
      [7, 5],
      [9],
      [9, [0]],
      [10, 99, ''],
      [10, '__proto__', ''],
      [10, 'constructor', ''],
      [10, 5, 'x'],
      [10, 3],
    ]) {
      assert.throws(() => revive({ a: tagged }, 0), JSON.stringify(tagged))
      assert.throws(() => revive([4, 1, [0, tagged]], 0), JSON.stringify(tagged))
    }
  })

  it('is not led into any depth', () => {
    for (const wrap of [
      (value: unknown) => [0, value],
      (value: unknown) => [4, 1, value],
      (value: unknown) => ({ value }),
    ]) {
      let deep: unknown = 1
      for (let level = 0; level < 50_000; level++) deep = wrap(deep)
      assert.throws(() => revive(deep, 0), { name: 'TypeError', message: 'nested too deeply' })
    }
  })

  it('gives every value memory of its own', () => {
    const converted = convert({
      a: Uint8Array.of(1, 2),
      b: Buffer.from([3]),
      c: new DataView(new ArrayBuffer(3)),
    })
    const make = (): { a: Uint8Array; b: Buffer; c: DataView } =>
      revive(structuredClone(converted), 0) as never
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
})

describe('asJsonSees', () => {
  it('hands toJSON its key and unpacks boxes', () => {
    const object = { a: 1 }
    for (const [value, seen] of [
      [object, object],
      [null, null],
      ['text', 'text'],
      [Object('text'), 'text'],
      [Object(-1), -1],
      [Object(false), false],
      [{ toJSON: (key: string) => `at ${key}` }, 'at k'],
      [{ toJSON: () => null }, null],
      [{ toJSON: () => Object(5) }, 5],
    ]) {
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

describe('text that msgpackr keeps', () => {
  it('has no half characters and no mark at its start', () => {
    for (const text of ['', 'x', 'é€😀', '\0', 'x\ufeff', '\ufffd']) assert(isPlainText(text), text)
    for (const text of ['\ufeff', '\ufeffx', '\ud800', 'x\udc00', '\udc00\ud800']) {
      assert(!isPlainText(text))
      assert(!isPlainKey(text))
    }
    assert(isPlainText('__proto__'))
    assert(!isPlainKey('__proto__'))
    assert(isPlainKey('constructor'))
  })
})
