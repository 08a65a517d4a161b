import assert from 'node:assert/strict'
import { describe, it, vi } from 'vitest'
import { Codec } from '../../src/core/codec.js'
import { decodesAll, onDisk, restarted, shaped, teach } from './codec-data.js'
import { bodyOf, textOf } from '../support/bodies.js'

describe('shared structures', () => {
  it('stay whole when an encode throws half-way', () => {
    const codec = new Codec()
    const bodies = new Map<object, string>()
    for (let time = 0; time < 30; time++) {
      for (let shape = 0; shape < 40; shape++) {
        const cycle: unknown[] = []
        cycle.push(shaped(shape, 1), cycle)
        assert.throws(() => textOf(codec.encode({ ok: shaped(shape, 1), cycle })), {
          code: 'ERR_SESSION_ENCODE',
        })
        const session = shaped(shape, { time })
        bodies.set(session, textOf(codec.encode(session)))
      }
    }
    decodesAll(codec, bodies)
    const restarted = new Codec()
    restarted.adopt(onDisk(codec))
    decodesAll(restarted, bodies)
    assert.equal(new Set(codec.structures.map(String)).size, codec.structures.length)
  })

  it('stay whole when a toJSON encodes with the same codec, or another', () => {
    const other = new Codec()
    const codec = new Codec()
    const bodies = new Map<object, string>()
    for (let time = 0; time < 40; time++) {
      const make = (depth: number): object => ({
        [`a${time % 5}`]: 'é€'.repeat(depth),
        opaque: `${'opaque_text-'.repeat(4)}${depth}`,
        inner: {
          toJSON() {
            if (depth === 0) return { x: time, y: [1.5] }
            const session = make(depth - 1)
            const expected = JSON.parse(JSON.stringify(session)) as object
            bodies.set(expected, textOf(codec.encode(session)))
            assert.deepStrictEqual(other.decode(bodyOf(textOf(other.encode(session)))), expected)
            assert.throws(() => textOf(codec.encode({ toJSON: () => 1 })))
            return { x: depth, y: [1.5] }
          },
        },
        after: { x: depth, y: [time] },
      })
      const session = make(3)
      bodies.set(JSON.parse(JSON.stringify(session)) as object, textOf(codec.encode(session)))
    }
    decodesAll(codec, bodies)
  })

  it('are told once, however deep in each other their objects are encoded', () => {
    const codec = new Codec()
    const nested = (depth: number): object => ({
      a: depth,
      b: { toJSON: () => (depth > 0 ? textOf(codec.encode(nested(depth - 1))).length : 0) },
    })
    for (let time = 0; time < 5; time++) textOf(codec.encode(nested(20)))
    assert.deepStrictEqual(codec.structures, [['a', 'b']])
  })

  it('stay whole when a getter encodes with the same codec, or another', () => {
    const codec = new Codec()
    const other = new Codec()
    const bodies = new Map<object, string>()
    for (let time = 0; time < 60; time++) {
      const inner = (part: number): object => {
        const session = shaped(part, { time, list: [shaped(part + 1, 'text of some length')] })
        bodies.set(session, textOf(codec.encode(session)))
        assert.deepStrictEqual(other.decode(bodyOf(textOf(other.encode(session)))), session)
        assert.deepStrictEqual(codec.decode(bodyOf(textOf(codec.encode(session)))), session)
        // One that goes the other way, and one that fails on it.
        const special = { ...session, at: new Date(time) }
        bodies.set(special, textOf(codec.encode(special)))
        const cycle: Record<string, unknown> = { ...shaped(part + 2, 1), at: new Date(0) }
        cycle['cycle'] = cycle
        assert.throws(() => textOf(codec.encode(cycle)), { code: 'ERR_SESSION_ENCODE' })
        return { part }
      }
      const session = {
        user: {
          name: 'a name',
          get inner() {
            return inner(time % 40)
          },
          after: { x: [{ y: time }] },
        },
        get top() {
          return inner(time % 7)
        },
        last: { x: [{ y: 1 }], z: 'a text' },
      }
      const expected = {
        user: { name: 'a name', inner: { part: time % 40 }, after: { x: [{ y: time }] } },
        top: { part: time % 7 },
        last: { x: [{ y: 1 }], z: 'a text' },
      }
      bodies.set(expected, textOf(codec.encode(session)))
    }
    decodesAll(codec, bodies)
    decodesAll(restarted(codec), bodies)
  })

  it('stay whole when a getter changes its mind', () => {
    const codec = new Codec()
    const kept: [string, object][] = []
    for (let time = 0; time < 100; time++) {
      let asked = 0
      const session = {
        x: {
          get changing() {
            return asked++ % 2 ? { a: 1, b: { [`c${time % 10}`]: 1 } } : { d: 1 }
          },
          y: { z: 1 },
        },
        last: { w: { v: time } },
      }
      const body = textOf(codec.encode(session))
      kept.push([body, codec.decode(bodyOf(body))])
      const later = shaped(time % 10, time)
      kept.push([textOf(codec.encode(later)), later])
    }
    const other = restarted(codec)
    for (const [body, session] of kept) assert.deepStrictEqual(other.decode(bodyOf(body)), session)
  })

  it('stay whole when a getter adds to its object', () => {
    const codec = new Codec()
    const kept: [string, object][] = []
    const make = () => {
      const cart: Record<string, unknown> = {
        items: [1, 2],
        get total() {
          cart['cached'] ??= { total: 3 }
          return cart['cached']
        },
      }
      return { cart, user: { name: { first: 'x' } } }
    }
    for (let time = 0; time < 60; time++) {
      const session = make()
      // JSON too asks for what was there when it came to the object, and then for all of it.
      for (const same of [make(), session]) {
        const expected = JSON.stringify(same)
        const body = textOf(codec.encode(session))
        kept.push([body, codec.decode(bodyOf(body))])
        assert.deepStrictEqual(kept.at(-1)?.[1], JSON.parse(expected))
      }
    }
    const other = restarted(codec)
    for (const [body, session] of kept) assert.deepStrictEqual(other.decode(bodyOf(body)), session)
  })

  it('stay whole when a getter throws, at whatever place', () => {
    const codec = new Codec()
    const bodies = new Map<object, string>()
    const thrown = new Error('mine')
    for (let time = 0; time < 30; time++) {
      for (let reading = 0; reading < 3; reading++) {
        let left = reading
        const bad = {
          first: shaped(time, { deep: [shaped(time + 1, 'text')] }),
          nested: {
            get boom() {
              if (left-- <= 0) throw thrown
              return shaped(time + 2, 1)
            },
          },
          last: shaped(time + 3, 1),
        }
        try {
          textOf(codec.encode(bad))
        } catch (error) {
          assert.equal(error, thrown)
        }
        const session = shaped(time, { reading, of: shaped(time + 1, [time]) })
        bodies.set(session, textOf(codec.encode(session)))
      }
    }
    decodesAll(codec, bodies)
    decodesAll(restarted(codec), bodies)
  })

  it('stay whole when the candidates are dropped in the middle of an object', () => {
    const codec = new Codec()
    const bodies = new Map<object, string>()
    for (let time = 0; time < 12; time++) {
      const many = Array.from({ length: 6000 }, (_, index) => ({ [`k${time}-${index}`]: index }))
      const session = { a: { many, b: [{ c: time }] }, d: { e: 1 } }
      bodies.set(session, textOf(codec.encode(session)))
    }
    assert.equal(new Set(codec.structures.map(String)).size, codec.structures.length)
    decodesAll(codec, bodies)
    decodesAll(restarted(codec), bodies)
  })

  it('serve many codecs side by side', () => {
    const codecs = Array.from({ length: 5 }, () => new Codec())
    const all = codecs.map(() => new Map<object, string>())
    for (let time = 0; time < 30; time++) {
      for (const [index, codec] of codecs.entries()) {
        for (let shape = index; shape < index + 40; shape++) {
          const session = shaped(shape, { time, text: 'é'.repeat(index + 4) })
          all[index]?.set(session, textOf(codec.encode(session)))
        }
      }
    }
    for (const [index, codec] of codecs.entries()) {
      decodesAll(codec, all[index]!)
      decodesAll(restarted(codec), all[index]!)
    }
  })
})

describe('where code may not be compiled', () => {
  it('bodies are the same, and are read', () => {
    const codec = new Codec()
    const bodies = teach(codec, 50)
    const compile = vi.fn(function () {
      throw new EvalError('Code generation from strings disallowed for this context')
    })
    vi.stubGlobal('Function', compile)
    try {
      const other = new Codec()
      assert.deepStrictEqual(teach(other, 50), bodies)
      for (let time = 0; time < 3; time++) decodesAll(other, bodies)
      assert(compile.mock.calls.length > 0)
      assert.deepStrictEqual(onDisk(other), onDisk(codec))
    } finally {
      vi.unstubAllGlobals()
    }
  })
})
