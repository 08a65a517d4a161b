import assert from 'node:assert/strict'
import { runInNewContext } from 'node:vm'
import { describe, it } from 'vitest'
import { StoreError } from '../../src/core/errors.js'
import { SerializerCodec } from '../../src/core/serializer-codec.js'
import { bodyOf, textOf } from '../support/bodies.js'

describe('SerializerCodec', () => {
  const codec = new SerializerCodec(JSON)

  it('hands the data to stringify and its text to parse', () => {
    const session = { cookie: {}, id: 'x', req: {}, name: 'Zoë €😀', n: { cookie: 1 } }
    const body = textOf(codec.encode(session))
    assert.match(body, /^[\0-\xff]*$/)
    assert.equal(Buffer.from(body, 'latin1').toString(), '{"name":"Zoë €😀","n":{"cookie":1}}')
    assert.deepStrictEqual(codec.decode(bodyOf(body)), { name: 'Zoë €😀', n: { cookie: 1 } })
    assert.equal(
      textOf(codec.encode({ toJSON: () => ({ id: 1, by: 'toJSON' }) })),
      '{"by":"toJSON"}',
    )
  })

  it('adds the cookie it is given', () => {
    const cookie = { path: '/' }
    const session = codec.decode(bodyOf('{"n":1}'), cookie)
    assert.deepStrictEqual(session, { n: 1, cookie })
    assert.equal(session['cookie'], cookie)
  })

  it('takes any object that parse returns for a session, of whatever class or realm', () => {
    class Visitor {
      n = 1
    }
    const cookie = { path: '/' }
    for (const parse of [
      (text: string) => Object.assign(Object.create(null) as object, JSON.parse(text)),
      () => new Visitor(),
      (text: string) => runInNewContext(`JSON.parse('${text}')`) as object,
    ]) {
      const made = parse('{"n":1}')
      const returning = new SerializerCodec({ stringify: JSON.stringify, parse: () => made })
      const session = returning.decode(bodyOf(''), cookie)
      assert.equal(session, made)
      assert.deepEqual({ ...session }, { n: 1, cookie })
    }
  })

  it('takes no promise of one', () => {
    const parse = () => Promise.resolve({ n: 1 })
    const promising = new SerializerCodec({ stringify: JSON.stringify, parse })
    assert.throws(() => promising.decode(bodyOf(''), {}), { code: 'ERR_SESSION_DECODE' })
  })

  it('copies what the cookie cannot be added to', () => {
    const cookie = { path: '/' }
    class Closed {
      n = 1
      get cookie() {
        return {}
      }
    }
    for (const made of [
      Object.freeze({ n: 1 }),
      Object.freeze({ n: 1, cookie: {} }),
      Object.preventExtensions({ n: 1 }),
      Object.defineProperty({ n: 1 }, 'cookie', { value: {}, writable: false }),
      new Closed(),
    ]) {
      const returning = new SerializerCodec({ stringify: JSON.stringify, parse: () => made })
      const session = returning.decode(bodyOf(''), cookie)
      assert.notEqual(session, made)
      assert.deepStrictEqual(session, { n: 1, cookie })
      assert.equal(returning.decode(bodyOf('')), made)
    }
  })

  it('quotes nothing of what the object itself throws', () => {
    const made = Object.freeze({
      get n() {
        return assert.fail('hunter2')
      },
    })
    const returning = new SerializerCodec({ stringify: JSON.stringify, parse: () => made })
    assert.throws(() => returning.decode(bodyOf(''), {}), { code: 'ERR_SESSION_DECODE' })
  })

  it('has no structures', () => {
    assert.deepStrictEqual(codec.structures, [])
    assert.equal(codec.adopt([]), true)
    assert.equal(codec.adopt([['a']]), false)
  })

  it('throws what stringify throws, and for what is no string', () => {
    const thrown = new Error('mine')
    const broken = new SerializerCodec({ stringify: () => assert.fail(thrown), parse: () => ({}) })
    assert.throws(() => textOf(broken.encode({})), thrown)
    const none = new SerializerCodec({ stringify: () => undefined as never, parse: () => ({}) })
    assert.throws(() => textOf(none.encode({})), { name: 'TypeError', code: 'ERR_SESSION_ENCODE' })
  })

  it('quotes nothing of what cannot be parsed', () => {
    for (const body of ['{"secret":"hunter2"', '"hunter2"', 'null', '[1]']) {
      assert.throws(
        () => codec.decode(bodyOf(body)),
        (error) =>
          error instanceof StoreError &&
          error.code === 'ERR_SESSION_DECODE' &&
          error.cause === undefined &&
          !error.message.includes('hunter2'),
      )
    }
  })
})
