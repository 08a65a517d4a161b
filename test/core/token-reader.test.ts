import fc from 'fast-check'
import { Packr } from 'msgpackr'
import { expect, test } from 'vitest'
import { NoTokensError, TokenReader } from '../../src/core/token-reader.js'
import type { Token } from '../../src/core/tokens.js'

const packr = new Packr({ useRecords: false })
const number = fc.oneof(
  fc.integer({ min: -40, max: 300 }),
  fc.integer(),
  fc.nat(0xffffffff),
  fc.double(),
  fc.maxSafeInteger(),
  fc.constantFrom(
    0x7f,
    0x80,
    0xff,
    0x100,
    0xffff,
    0x10000,
    2 ** 32,
    -128,
    -129,
    -32769,
    -(2 ** 31),
  ),
)
const token: fc.Arbitrary<Token> = fc.oneof(
  { weight: 8, arbitrary: number },
  { weight: 1, arbitrary: fc.constantFrom(true, false, null) },
)

/** All tokens of `bytes`, which have others around them. */
function read(bytes: Uint8Array): Token[] {
  const around = Buffer.concat([Buffer.alloc(9, 1), bytes, Buffer.alloc(9, 1)])
  const reader = new TokenReader()
  reader.begin({ bytes: around, start: 9, end: 9 + bytes.length })
  const tokens: Token[] = []
  while (reader.left > 0) tokens.push(reader.next())
  if (!reader.done) throw new NoTokensError()
  expect(() => reader.next()).toThrow(NoTokensError)
  return tokens
}

test('reads whatever msgpackr packs', () => {
  const arrays = fc.oneof(fc.array(token, { maxLength: 40 }), fc.array(token, { minLength: 15 }))
  fc.assert(
    fc.property(arrays, (tokens) => {
      // −0 has a token of its own.
      const expected = tokens.map((one) => (Object.is(one, -0) ? 0 : one))
      expect(read(packr.pack(expected))).toEqual(expected)
    }),
    { numRuns: 500 },
  )
  for (const length of [0, 15, 16, 0xffff, 0x10000]) {
    const tokens = Array.from({ length }, (_, i) => i)
    expect(read(packr.pack(tokens))).toEqual(tokens)
  }
})

test('reads nothing else, and nothing outside', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc
      .tuple(fc.array(token, { maxLength: 20 }), fc.nat(60), fc.nat(255))
      .map(([tokens, at, byte]) => {
        const packed = Uint8Array.from(packr.pack(tokens))
        packed[at % packed.length] = byte
        return packed
      }),
  )
  fc.assert(
    fc.property(bytes, (some) => {
      let tokens: Token[]
      try {
        tokens = read(some)
      } catch (error) {
        expect(error).toBeInstanceOf(NoTokensError)
        return
      }
      expect(packr.unpack(some)).toEqual(tokens)
    }),
    { numRuns: 2000 },
  )
})

test('is not done where a token or a byte is left', () => {
  const reader = new TokenReader()
  const packed = Buffer.from([0x92, 1, 2, 3])
  reader.begin({ bytes: packed, start: 0, end: 4 })
  reader.next()
  expect(reader.done).toBe(false)
  reader.next()
  expect(reader.done).toBe(false)
  reader.begin({ bytes: packed, start: 0, end: 3 })
  reader.next()
  reader.next()
  expect(reader.done).toBe(true)
})
