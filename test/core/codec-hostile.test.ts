import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { pack } from 'msgpackr'
import { beforeEach, describe, expect, it } from 'vitest'
import { Codec } from '../../src/core/codec.js'
import { StoreError } from '../../src/core/errors.js'
import { Inflater, NoSessionError } from '../../src/core/inflate.js'
import { packedBytes } from '../../src/core/packing.js'
import { Shapes } from '../../src/core/shapes.js'
import { type Span, spanOf } from '../../src/core/span.js'
import { NoTokensError } from '../../src/core/token-reader.js'
import { craftedBody, decodesAll, packedBodyOf, random, restarted, teach } from './codec-data.js'
import { bodyOf, textOf } from '../support/bodies.js'

const secret = 'hunter2'
const opaque = 'opaque-Text_Of64Characters'.repeat(4)
const signed = [opaque, opaque.slice(1), 'short'].join('.')
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
  opaque,
  signed,
}
const plain = JSON.parse(JSON.stringify({ ...rich, user: { name: 'Zoë €', secret } })) as object
const small = {
  user: { name: 'Zoë', secret },
  opaque,
  views: 300,
  flag: true,
  rate: -0.5,
  none: null,
}

function tokensOf(tokens: unknown[]): Span {
  return spanOf(pack(tokens))
}

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
      const value: unknown = codec.decode(bodyOf(body))
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
      for (const session of [rich, plain, small]) textOf(codec.encode(session))
    }
    prototypes = pristine()
  })

  it.each([
    ['bytes for other types', rich, 1],
    ['what JSON knows', plain, 2],
    ['little', small, 3],
  ])('give a session or an error, whatever is changed: %s', (_name, session, seed) => {
    const bodies = new Map([rich, plain, small].map((one) => [one, textOf(codec.encode(one))]))
    const structures = JSON.stringify(codec.structures)
    const body = textOf(codec.encode(session))
    const pick = random(seed)
    const counts = { decoded: 0, refused: 0 }
    const start = process.cpuUsage()
    for (let round = 0; round < 7000; round++) {
      counts[attempt(mutated(body, pick))]++
      if (round % 500 === 0) decodesAll(codec, bodies)
    }
    expect(process.cpuUsage(start).user).toBeLessThan(15_000_000)
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
      const body = textOf(codec.encode(session))
      // What stood behind it before must not take the place of what is missing.
      codec.decode(bodyOf(body))
      for (let end = 0; end < body.length; end++) {
        assert.equal(attempt(body.slice(0, end)), 'refused')
      }
      for (const tail of ['\0', '\xc0', 'x', body]) assert.equal(attempt(body + tail), 'refused')
    }
  })

  it('are refused if they hold no session', () => {
    const tops = [
      '',
      '\0',
      '\x04',
      '\x04\xc0',
      '\xcd',
      '\xcd\xff\xff',
      '\xce\xff\xff\xff\xff',
      '\xc4\0',
    ]
    for (const body of [...tops, packedBodyOf('\xc0'), packedBodyOf('\x80'), packedBodyOf('')]) {
      assert.equal(attempt(body), 'refused', JSON.stringify(body))
    }
    for (const tokens of [
      [],
      [null],
      [-1],
      [2],
      [2, 0],
      [23, 5],
      [35, 0],
      [39, 0],
      [43, 0],
      [11],
      [15],
    ]) {
      assert.equal(attempt(craftedBody(tokens)), 'refused', JSON.stringify(tokens))
    }
    assert.equal(attempt(craftedBody([3, 0])), 'decoded')
    assert.equal(attempt('\x0c\x92\x03\0'), 'decoded')
    assert.equal(attempt(craftedBody([3, 0], '', 3)), 'refused')
  })

  it('are refused where their text is none', () => {
    const text = (raw: string, length: number, mode: number) =>
      attempt(craftedBody([3, 1, 0, length * 4], raw, mode))
    assert.equal(text('\xc3\xa9', 1, 1), 'decoded')
    assert.equal(text('\xef\xbf\xbd', 1, 1), 'decoded')
    for (const raw of ['\xc3', '\xff', '\xf0\x9f\x98', '\xed\xa0\x80']) {
      for (const length of [1, 2, 3]) assert.equal(text(raw, length, 1), 'refused')
    }
    assert.equal(text('a\0b\xd8', 2, 2), 'decoded')
    assert.equal(text('a\0b', 1, 2), 'refused')
    assert.equal(text('a\0b', 2, 2), 'refused')
  })

  it('do no harm if they refer to structures that are not there', () => {
    for (const id of [0, 31, 32, 1023, 1024, 2 ** 28]) {
      codec = new Codec()
      const bodies = (): Map<object, string> => teach(codec, 40)
      attempt(craftedBody([id * 4 + 1, -1]))
      attempt(craftedBody([3, 1, 1, id * 4 + 1], 'a'))
      const before = bodies()
      attempt(craftedBody([3, 1, 1, id * 4 + 1, -1], 'a'))
      assert.equal(codec.structures.length, 40)
      decodesAll(codec, before)
      decodesAll(restarted(codec), before)
    }
  })

  it('leave no trace in what is packed later', () => {
    // What msgpackr takes for definitions of structures, bundles of text and references.
    const definitions = ['\xd4\x72\x40', '\xd4\x72\x45', '\xd5\x72\x60\0', '\xd6\x62\0\0\0\x04']
    for (const definition of [...definitions, '\xd5\x72\x05\x07', '\xd6\x69\0\0\0\0']) {
      for (const taught of [0, 3, 40]) {
        codec = new Codec()
        const before = teach(codec, taught)
        const define = () =>
          assert.equal(attempt(packedBodyOf(`${definition}\x91\xa1a\x01`)), 'refused')
        define()
        decodesAll(codec, before)
        const bodies = new Map<object, string>()
        for (let time = 0; time < 20; time++) {
          define()
          const session = { fresh: time, of: 17, text: 'of some length' }
          bodies.set(session, textOf(codec.encode(session)))
        }
        assert.equal(codec.structures.length, taught + 1)
        decodesAll(codec, bodies)
        decodesAll(restarted(codec), bodies)
      }
    }
  })

  it('are refused if they tell of other packed bytes than there are', () => {
    const packed = packedBytes(opaque.length)
    const header = 3
    for (const [length, there] of [
      [opaque.length, packed - 1],
      [opaque.length, packed + 1],
      [opaque.length + 4, packed],
      [opaque.length - 4, packed],
      [-1, 0],
      [0.5, 0],
      [2 ** 53, packed],
      [NaN, packed],
    ] as const) {
      const inflater = new Inflater(new Shapes())
      const characters = Buffer.alloc(there).toString('base64url')
      for (const tokens of [
        [51, length],
        [55, 1, 51, length],
      ]) {
        const session = () => inflater.session(tokensOf([header, 1, 1, ...tokens]), 'a', characters)
        expect(session).toThrow(NoSessionError)
      }
    }
    for (const [tokens, error] of [
      [[55], NoTokensError],
      [[55, -1], NoSessionError],
      [[55, 2, 0], NoSessionError],
      [[55, 1, -1], NoSessionError],
      [[55, 1, true], NoSessionError],
      [[55, 1e9], NoSessionError],
    ] as const) {
      const inflater = new Inflater(new Shapes())
      const session = () => inflater.session(tokensOf([header, 1, 1, ...tokens]), 'a', '')
      expect(session).toThrow(error)
    }
  })

  it('show nothing of the sessions decoded before them', () => {
    codec.decode(bodyOf(textOf(codec.encode({ long: secret.repeat(100), wide: `€${secret}` }))))
    for (const mode of [0, 1, 2]) {
      for (let length = 1; length < 40; length++) {
        assert.equal(
          attempt(craftedBody([3, 1, 0, length * 4], 'x'.repeat(length - 1), mode)),
          'refused',
        )
      }
    }
  })

  it('cannot set a prototype', () => {
    const polluted = [3, 1, 8, true]
    for (const [tokens, text] of [
      [[3, 1, 9, ...polluted], '__proto__polluted'],
      [[3, 2, 9, ...polluted, 1, -1], '__proto__polluteda'],
      [[3, 1, 11, 3, 1, 9, ...polluted], 'constructorprototypepolluted'],
      [[3, 1, 1, 35, 1, 36, ...polluted], 'a__proto__polluted'],
    ] as const) {
      const body = craftedBody(tokens, text)
      assert.equal(attempt(body), 'decoded', text)
      const back = codec.decode(bodyOf(body))
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
    const start = process.cpuUsage()
    const before = process.memoryUsage()
    for (const wrap of ['\x91', '\x93\x03\x01']) {
      for (const head of heads) attempt(packedBodyOf(`${wrap}${head}${'\0'.repeat(size)}`))
      for (const part of nested) attempt(packedBodyOf(`${wrap}${part.repeat(size / part.length)}`))
    }
    for (const claim of [2 ** 20 * 4 + 2, 2 ** 28 * 4 + 2]) {
      attempt(craftedBody(Array<number>(size).fill(claim)))
      for (const what of [3, 35, 39, 43])
        attempt(craftedBody([what, ...Array<number>(size).fill(claim)]))
    }
    const after = process.memoryUsage()
    const { user, system } = process.cpuUsage(start)
    expect((user + system) / 1000).toBeLessThan(8000)
    expect(
      after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers,
    ).toBeLessThan(200e6)
    assert.deepStrictEqual(codec.decode(bodyOf(textOf(codec.encode(rich)))), rich)
  })

  it.each([[[6]], [[3, 1, 0]], [[35, 1, -1]], [[39, 1]], [[6, 3, 1, 0]]])(
    'cannot nest without end: %j',
    (part) => {
      const cpu = process.cpuUsage()
      for (const times of [3000, 200_000]) {
        const tokens = Array<number[]>(times).fill(part).flat()
        assert.equal(attempt(craftedBody([3, 1, 0, ...tokens, -1])), 'refused')
      }
      const { user, system } = process.cpuUsage(cpu)
      expect((user + system) / 1000).toBeLessThan(5000)
    },
  )

  it('cannot have arrays within each other make room for the same elements', () => {
    const code = `
      import { Codec } from ${JSON.stringify(new URL('../../dist/core/codec.js', import.meta.url).href)}
      import { Packr } from 'msgpackr'
      const size = 100_000
      const claims = Array.from({ length: 480 }, (_, i) => (size - i - 1) * 4 + 2)
      const tokens = [3, 1, 0, ...claims, ...Array(size - claims.length).fill(-1)]
      const packed = new Packr({ useRecords: false }).pack(tokens)
      const head = Buffer.from([0xce, 0, 0, 0, 0])
      head.writeUInt32BE(packed.length * 4, 1)
      const bytes = Buffer.concat([head, packed])
      try {
        new Codec().decode({ bytes, start: 0, end: bytes.length })
      } catch (error) {
        console.log(error.code)
      }
    `
    const args = ['--max-old-space-size=100', '--input-type=module', '-e', code]
    expect(spawnSync(process.execPath, args, { encoding: 'utf8' })).toMatchObject({
      status: 0,
      stdout: 'ERR_SESSION_DECODE\n',
    })
  })
})
