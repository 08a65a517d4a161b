import assert from 'node:assert/strict'
import { beforeEach, describe, expect, it } from 'vitest'
import { Codec } from '../../src/core/codec.js'
import { StoreError } from '../../src/core/errors.js'
import { decodesAll, random, restarted, shaped, teach } from './codec-data.js'

const secret = 'hunter2'
const rich = {
  user: { name: 'Zoë €', secret, roles: ['a', 'b', 'c'], at: new Date(1.5e12 + 1), big: 2n ** 90n },
  map: new Map<unknown, unknown>([
    ['k', new Set([1, -2.5, undefined])],
    [{ a: 1 }, /x+/gu],
  ]),
  bytes: Buffer.from('some bytes'),
  floats: Float64Array.of(1.5, 2.5),
  list: Array.from({ length: 20 }, (_, index) => ({ index, text: `item ${index}`, price: 1 / 3 })),
  long: 'long text '.repeat(40),
}
const plain = JSON.parse(JSON.stringify({ ...rich, user: { name: 'Zoë €', secret } })) as object
const small = { user: { name: 'Zoë', secret }, views: 300, flag: true, rate: -0.5, none: null }

function pristine(): string {
  return [Object, Array, Map, Set, Date, RegExp, Function, Buffer, Uint8Array]
    .map(({ prototype }) =>
      Reflect.ownKeys(prototype as object)
        .map(String)
        .join(),
    )
    .join(';')
}

function char(code: number): string {
  return String.fromCharCode(code)
}

/** A body that differs in a few places. */
function mutated(body: string, pick: (below: number) => number): string {
  const chars = body.split('')
  for (let change = pick(3); change >= 0; change--) {
    const at = pick(chars.length)
    switch (pick(4)) {
      case 0:
        chars[at] = char(pick(256))
        break
      case 1:
        chars[at] = char((chars[at] ?? '').charCodeAt(0) ^ (1 << pick(8)))
        break
      case 2:
        chars.splice(at, pick(20))
        break
      default:
        chars.splice(at, 0, char(0x80 + pick(0x80)), char(pick(256)))
    }
  }
  return chars.join('')
}

describe('hostile bodies', () => {
  let codec: Codec
  let prototypes: string

  /** Decodes to an object or fails as it should. */
  function attempt(body: string): 'decoded' | 'refused' {
    try {
      const value: unknown = codec.decode(body)
      assert(typeof value === 'object' && value !== null && !Array.isArray(value))
      return 'decoded'
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      assert.equal(error.code, 'ERR_SESSION_DECODE')
      assert.equal(error.cause, undefined)
      assert(!error.message.includes(secret))
      return 'refused'
    }
  }

  beforeEach(() => {
    codec = new Codec()
    for (let time = 0; time < 30; time++) {
      for (const session of [rich, plain, small]) codec.encode(session)
    }
    prototypes = pristine()
  })

  it.each([
    ['bytes for other types', rich, 1],
    ['what JSON knows', plain, 2],
    ['little', small, 3],
  ])('give a session or an error, whatever is changed: %s', (_name, session, seed) => {
    const bodies = new Map([rich, plain, small].map((one) => [one, codec.encode(one)]))
    const structures = JSON.stringify(codec.structures)
    const body = codec.encode(session)
    const pick = random(seed)
    const counts = { decoded: 0, refused: 0 }
    const start = performance.now()
    for (let round = 0; round < 7000; round++) {
      counts[attempt(mutated(body, pick))]++
      if (round % 500 === 0) decodesAll(codec, bodies)
    }
    expect(performance.now() - start).toBeLessThan(15_000)
    expect(counts.decoded).toBeGreaterThan(500)
    expect(counts.refused).toBeGreaterThan(500)
    assert.equal(pristine(), prototypes)
    assert.equal(JSON.stringify(codec.structures), structures)
    decodesAll(codec, bodies)
    const later = teach(codec, 50)
    decodesAll(restarted(codec), later)
  })

  it('give an error wherever they are cut, and whatever follows them', () => {
    for (const session of [rich, plain, small]) {
      const body = codec.encode(session)
      // What stood behind it before must not take the place of what is missing.
      codec.decode(body)
      for (let end = 0; end < body.length; end++) {
        assert.equal(attempt(body.slice(0, end)), 'refused')
      }
      for (const tail of ['\0', '\xc0', 'x', body]) assert.equal(attempt(body + tail), 'refused')
    }
  })

  it('are refused if they hold no session', () => {
    const top = [
      '',
      '\xc0',
      '\x01',
      '\xa1x',
      '\x90',
      '\xc3',
      '\xc4\0',
      '\xc4\x01\x05',
      '\x92\x80\x80',
    ]
    for (const body of top) assert.equal(attempt(body), 'refused', JSON.stringify(body))
    for (const value of [
      '\xc0',
      '\x01',
      '\xa1x',
      '\x90',
      '\xc4\0',
      '\xc4\x01\0',
      '\xc4\x02\x06\0',
    ]) {
      assert.equal(attempt(`\x91${value}`), 'refused', JSON.stringify(value))
    }
    assert.equal(attempt('\x80'), 'decoded')
    assert.equal(attempt('\x91\x80'), 'decoded')
  })

  it('do no harm if they refer to structures that are not there', () => {
    for (const token of ['\x40', '\x5f', '\x60\0', '\x60\x01', '\x7f\xff']) {
      codec = new Codec()
      const bodies = (): Map<object, string> => teach(codec, 40)
      attempt(`${token}\x01`)
      attempt(`\x81\xa1a${token}`)
      attempt(`\x81\xa1a${token}\x01`)
      const before = bodies()
      attempt(`\x81\xa1a${token}\x01`)
      assert.equal(codec.structures.length, 40)
      decodesAll(codec, before)
      decodesAll(restarted(codec), before)
    }
  })

  it('leave no trace in the structures', () => {
    const definitions = ['\xd4\x72\x40', '\xd4\x72\x45', '\xd5\x72\x60\0', '\xd5\x72\x60\x01']
    for (const definition of [...definitions, '\xd5\x72\x60\x20', '\xd5\x72\x05\x07']) {
      for (const taught of [0, 3, 40]) {
        codec = new Codec()
        const before = teach(codec, taught)
        const define = (): unknown => attempt(`${definition}\x91\xa1a\x01`)
        define()
        decodesAll(codec, before)
        const bodies = new Map<object, string>()
        for (let time = 0; time < 20; time++) {
          define()
          const session = { fresh: time }
          bodies.set(session, codec.encode(session))
        }
        assert.equal(codec.structures.length, taught + 1)
        decodesAll(restarted(codec), bodies)
        define()
        assert.equal(codec.adopt([...codec.structures, ['more', 'keys']]), true)
        for (let shape = 0; shape < 10; shape++) {
          const session = shaped(shape, 1)
          bodies.set(session, codec.encode(session))
        }
        bodies.set({ more: 1, keys: 2 }, codec.encode({ more: 1, keys: 2 }))
        decodesAll(codec, bodies)
        decodesAll(restarted(codec), bodies)
      }
    }
  })

  it('are refused where tags mean nothing', () => {
    for (const value of [
      '\x90',
      '\x91\xc0',
      '\x91\x63',
      '\x91\xa1x',
      '\x91\x80',
      '\x91\x02',
      '\x92\x02\x05',
      '\x92\x02\xa1x',
      '\x93\x03\xa1(\xa0',
      '\x93\x03\xa1a\xa1q',
      '\x92\x07\x01',
      '\x91\x09',
      '\x93\x0a\x63\xa0',
      '\x93\x0a\xabconstructor\xa0',
      '\x93\x0a\x05\xa1x',
      '\xc4\x05abc',
    ]) {
      assert.equal(attempt(`\x91\x81\xa1a${value}`), 'refused', JSON.stringify(value))
    }
  })

  it('cannot set a prototype', () => {
    const polluted = '\x81\xa8polluted\xc3'
    const proto = `\xa9__proto__${polluted}`
    for (const body of [
      `\x81${proto}`,
      `\x91\x81${proto}`,
      `\xd4\x72\x40\x91\xa9__proto__${polluted}`,
      `\x81\xabconstructor\x81\xa9prototype${polluted}`,
      `\x91\x81\xabconstructor\x81\xa9prototype${polluted}`,
      `\x91\x93\x08${proto}`,
    ]) {
      assert.equal(attempt(body), 'decoded', JSON.stringify(body))
      const back = codec.decode(body)
      assert.equal(Object.getPrototypeOf(back), Object.prototype)
      assert.equal(back['polluted'], undefined)
      assert.equal(({} as { polluted?: unknown }).polluted, undefined)
      assert.equal(pristine(), prototypes)
    }
  })

  it('cannot make it take much time or memory', () => {
    const size = 300_000
    const heads = ['\xdd', '\xdf', '\xdb', '\xc6'].map((token) => `${token}\xff\xff\xff\xff`)
    heads.push('\xc9\xff\xff\xff\xff\x74', '\xc9\x7f\xff\xff\xff\x42')
    const nested = ['\x91', '\x9f', '\x81\xa1a', '\xd4\x73\0\x91', '\xd6\x69\0\0\0\0\x91', '\x40']
    nested.push('\xdd\0\x04\0\0', '\xdf\0\x02\0\0\xa1a', '\xdd\0\0\x01\0', '\xdc\xff\xff', '\x60\0')
    const start = performance.now()
    const before = process.memoryUsage()
    for (const wrap of ['\x81\xa1a', '\x91\x81\xa1a']) {
      for (const head of heads) attempt(`${wrap}${head}${'\0'.repeat(size)}`)
      for (const part of nested) attempt(`${wrap}${part.repeat(size / part.length)}`)
    }
    const after = process.memoryUsage()
    expect(performance.now() - start).toBeLessThan(8000)
    expect(
      after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers,
    ).toBeLessThan(200e6)
    assert.deepStrictEqual(codec.decode(codec.encode(rich)), rich)
  })

  it.each(['\x92\0', '\x93\x04\x01', '\x92\x05', '\x93\x08\xa1a', '\x81\xa1a'])(
    'cannot nest tags without end: %j',
    (part) => {
      const cpu = process.cpuUsage()
      assert.equal(attempt(`\x91${part.repeat(500_000)}\x01`), 'refused')
      assert.equal(attempt(`\x91${part.repeat(3000)}\x01`), 'refused')
      const { user, system } = process.cpuUsage(cpu)
      expect((user + system) / 1000).toBeLessThan(5000)
    },
  )
})
