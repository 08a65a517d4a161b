import assert from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import { Codec } from '../../src/core/codec.js'
import { roundTrip } from './codec-data.js'
import { bodyOf, textOf } from '../support/bodies.js'

describe('a session that cannot be encoded', () => {
  function failure(session: object): Error & { code?: string } {
    try {
      textOf(new Codec().encode(session))
    } catch (error) {
      return error as Error
    }
    return assert.fail('was encoded')
  }

  it('names the keys that lead to a cycle, and no value', () => {
    const item: Record<string, unknown> = { secret: 'hunter2' }
    item['parent'] = { item }
    const error = failure({ cookie: {}, cart: { items: ['hunter2', item] } })
    expect(error).toBeInstanceOf(TypeError)
    expect(error.code).toBe('ERR_SESSION_ENCODE')
    expect(error.message).toContain('"cart.items.1.parent.item"')
    expect(error.message).not.toContain('hunter2')
  })

  it('names them through Map, Set and the session itself', () => {
    const map = new Map<string, unknown>()
    map.set('self', { map })
    expect(failure({ a: map }).message).toContain('"a.self.map"')
    const keyed = new Map<unknown, unknown>()
    keyed.set({ keyed }, 1)
    expect(failure({ a: keyed }).message).toMatch(/"a\..*keyed"/)
    const set = new Set<unknown>()
    set.add([set])
    expect(failure({ a: set }).message).toContain('"a.')
    const session: Record<string, unknown> = { cookie: {} }
    session['me'] = session
    expect(failure(session).message).toContain('"me"')
  })

  it('is one nested without end, or too deeply for any stack', () => {
    const endless = { toJSON: (): object => ({ next: endless }) }
    expect(failure({ a: endless })).toMatchObject({ name: 'TypeError', code: 'ERR_SESSION_ENCODE' })
    let deep: unknown = 1
    for (let level = 0; level < 100_000; level++) deep = [deep]
    const { message } = failure({ deep })
    expect(message).toContain('500')
    expect(message.length).toBeLessThan(200)
  })

  it('is one of more values than there is room for, holes included', () => {
    const sparse: unknown[] = []
    sparse[4_000_000_000] = 1
    let doubled: unknown = [1]
    for (let level = 0; level < 40; level++) doubled = [doubled, doubled]
    for (const values of [sparse, { doubled }]) {
      const error = failure({ values })
      expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_SESSION_ENCODE' })
      expect(error.message).toContain('16777216')
    }
  })

  it('may be nested 500 deep, with whatever stands in between', () => {
    for (const wrap of [
      (value: unknown) => [value],
      (value: unknown) => ({ value }),
      (value: unknown) => new Map([[1, value]]),
    ]) {
      let deep: unknown = `${'a'.repeat(40)}.${'b'.repeat(40)}.bottom`
      for (let level = 0; level < 500; level++) deep = wrap(deep)
      const codec = new Codec()
      for (let time = 0; time < 10; time++) textOf(codec.encode({ deep: { value: 1 } }))
      const back = JSON.stringify(codec.decode(bodyOf(textOf(codec.encode({ deep })))))
      assert.equal(back, JSON.stringify({ deep }))
      expect(failure({ deep: wrap(deep) }).message).toContain('500')
    }
  })

  it('holds a reference twice without being a cycle', () => {
    const shared = { a: [1] }
    assert.deepStrictEqual(roundTrip({ x: shared, y: [shared, shared] }), {
      x: { a: [1] },
      y: [{ a: [1] }, { a: [1] }],
    })
  })

  it('disturbs no other, and passes on what its own code throws', () => {
    const codec = new Codec()
    const thrown = new Error('mine')
    const bad = {
      a: { b: 1 },
      get boom(): never {
        throw thrown
      },
    }
    for (let time = 0; time < 20; time++) {
      assert.throws(() => textOf(codec.encode({ first: { a: 1 }, bad })), thrown)
      assert.throws(
        () => textOf(codec.encode({ a: { toJSON: () => assert.fail(thrown) } })),
        thrown,
      )
      assert.deepStrictEqual(codec.decode(bodyOf(textOf(codec.encode({ a: { b: 2 } })))), {
        a: { b: 2 },
      })
    }
  })

  it('is no object', () => {
    for (const session of [
      { toJSON: () => 1 },
      { toJSON: () => undefined },
      { toJSON: () => null },
    ]) {
      expect(failure(session)).toMatchObject({ name: 'TypeError', code: 'ERR_SESSION_ENCODE' })
    }
  })
})
