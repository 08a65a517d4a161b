/** What the tests of the codec share: session data of every kind, and ways to send it through. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { pack } from 'msgpackr'
import { Codec } from '../../src/core/codec.js'
import { bodyOf, textOf } from '../support/bodies.js'

export function roundTrip(session: object): Record<string, unknown> {
  const codec = new Codec()
  const body = textOf(codec.encode(session))
  assert.match(body, /^[\0-\xff]*$/)
  return codec.decode(bodyOf(body))
}

/** What is found under `value` after a round trip, in every place a value may stand. */
export function everywhere(value: unknown): unknown[] {
  const { plain, list, map, set, deep } = roundTrip({
    plain: value,
    list: [value],
    map: new Map([[value, value]]),
    set: new Set([value]),
    deep: { er: [[value]] },
  }) as {
    plain: unknown
    list: unknown[]
    map: Map<unknown, unknown>
    set: Set<unknown>
    deep: { er: unknown[][] }
  }
  return [plain, ...list, ...map.keys(), ...map.values(), ...set, ...(deep.er[0] ?? [])]
}

/** What is packed, and what nearly is. */
const opaque = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.base64String({ minLength: 40, maxLength: 90 }) },
      { weight: 8, arbitrary: fc.stringMatching(/^[\w-]{38,90}$/) },
      { weight: 1, arbitrary: fc.constantFrom('', '=', '\n', 'é', '€', '\ud800') },
    ),
    { maxLength: 4 },
  )
  .chain((parts) => fc.constantFrom('.', '', '..').map((between) => parts.join(between)))

// Any sequence of code units, with a liking for the edges between one byte and two.
export const text = fc.oneof(
  fc.string(),
  opaque,
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc
    .array(
      fc.oneof(
        fc.integer({ min: 0, max: 0xffff }),
        fc.constantFrom(0x7f, 0x80, 0xff, 0x100, 0xd800, 0xdc00, 0xfeff),
      ),
    )
    .map((units) => String.fromCharCode(...units)),
  fc.constantFrom(
    '',
    'x'.repeat(31),
    'é'.repeat(32),
    'x'.repeat(255),
    'ÿ'.repeat(256),
    '€'.repeat(300),
  ),
)
const key = fc.oneof(
  text,
  fc.constantFrom('__proto__', 'constructor', 'toString', '0', '-1', '', 'id'),
)

export function objectOf(value: fc.Arbitrary<unknown>): fc.Arbitrary<object> {
  return fc
    .array(fc.tuple(key, value), { maxLength: 6 })
    .map((entries) => Object.fromEntries(entries))
}

export const number = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.maxSafeInteger(),
  fc.constantFrom(
    0,
    -0,
    63,
    64,
    255,
    256,
    65535,
    65536,
    2 ** 32 - 1,
    2 ** 32,
    -32,
    -33,
    -128,
    -129,
    -32768,
    -32769,
    -(2 ** 31),
    -(2 ** 31) - 1,
  ),
)
const bigint = fc.oneof(
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 700n), max: 2n ** 700n }),
  fc.constantFrom(
    0n,
    -1n,
    2n ** 63n,
    -(2n ** 63n),
    2n ** 63n - 1n,
    2n ** 64n,
    2n ** 64n - 1n,
    -(2n ** 63n) - 1n,
    2n ** 71n,
    -(2n ** 71n),
  ),
)
const bytes = fc.uint8Array({ max: 255, maxLength: 400 })

const special = fc.oneof(
  fc.date({ noInvalidDate: true }),
  fc.date({ noInvalidDate: true, min: new Date(-864e13), max: new Date(864e13) }),
  bigint,
  fc.constantFrom(undefined, NaN, Infinity, -Infinity, -0),
  fc.constantFrom(/a+/, /[/\]]\n/giu, /(?:)/y),
  bytes.map((data) => Buffer.from(data)),
  bytes,
  bytes.map((data) => new Uint8ClampedArray(data)),
  bytes.map((data) => Int8Array.from(data)),
  bytes.map((data) => Float64Array.from(data, (byte) => byte / 7)),
  bytes.map((data) => Float32Array.from(data, (byte) => byte / 4)),
  bytes.map((data) => Uint16Array.from(data, (byte) => byte * 257)),
  bytes.map((data) => Int16Array.from(data, (byte) => byte * -128)),
  bytes.map((data) => Uint32Array.from(data, (byte) => byte * 2 ** 24)),
  bytes.map((data) => Int32Array.from(data, (byte) => byte * -(2 ** 23))),
  bytes.map((data) => BigInt64Array.from(data, (byte) => -BigInt(byte))),
  bytes.map((data) => BigUint64Array.from(data, (byte) => BigInt(byte) << 56n)),
  bytes.map((data) => data.slice().buffer),
  bytes.map((data) => new DataView(data.slice().buffer)),
)
export const { data } = fc.letrec((tie) => ({
  data: fc.oneof(
    { maxDepth: 4, depthSize: 'small', withCrossShrink: true },
    fc.oneof(text, number, fc.boolean(), fc.constant(null), special),
    fc.array(tie('data'), { maxLength: 20 }),
    objectOf(tie('data')),
    fc
      .array(fc.tuple(tie('data'), tie('data')), { maxLength: 5 })
      .map((entries) => new Map(entries)),
    fc.array(tie('data'), { maxLength: 5 }).map((values) => new Set(values)),
  ),
}))

/** What of a session is stored. */
export function withoutReserved(session: object): object {
  return Object.fromEntries(
    Object.entries(session).filter(([name]) => !['cookie', 'id', 'req'].includes(name)),
  )
}

/** An object of the shape with that number. */
export function shaped(shape: number, value: unknown): object {
  return { [`a${shape}`]: value, [`b${shape}`]: [value] }
}

/** Encodes what has shapes 0 to `shapes - 1` until each is shared, and collects bodies by session. */
export function teach(codec: Codec, shapes: number): Map<object, string> {
  const bodies = new Map<object, string>()
  for (let time = 0; time < 14; time++) {
    for (let shape = 0; shape < shapes; shape++) {
      const session = shaped(shape, time)
      bodies.set(session, textOf(codec.encode(session)))
    }
  }
  return bodies
}

export function decodesAll(codec: Codec, bodies: Map<object, string>): void {
  for (const [session, body] of bodies) assert.deepStrictEqual(codec.decode(bodyOf(body)), session)
}

/** A list that a codec in another process would have read from a file. */
export function onDisk(codec: Codec, count = codec.structures.length): string[][] {
  return JSON.parse(JSON.stringify(codec.structures.slice(0, count))) as string[][]
}

/** A codec as it would be after a restart. */
export function restarted(codec: Codec): Codec {
  const other = new Codec()
  assert.equal(other.adopt(onDisk(codec)), true)
  return other
}

/** A small generator of its own, so that a failure can be repeated. */
export function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** A body of these tokens and this text of one-byte characters, as an enemy would make it. */
export function craftedBody(tokens: unknown, text = '', mode = 0): string {
  return packedBodyOf(pack(tokens).toString('latin1'), text, mode)
}

/** The same of tokens that are packed already, or of anything in their place. */
export function packedBodyOf(packed: string, text = '', mode = 0): string {
  const header = Buffer.alloc(5, 0xce)
  header.writeUInt32BE(packed.length * 4 + mode, 1)
  return header.toString('latin1') + packed + text
}
