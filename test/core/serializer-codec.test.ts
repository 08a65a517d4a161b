import assert from 'node:assert/strict'
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
