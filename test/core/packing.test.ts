import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PACKED_LEAST, packedBytes, Packing, packShort } from '../../src/core/packing.js'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const token = fc.string({
  unit: fc.constantFrom(...ALPHABET),
  minLength: PACKED_LEAST,
  maxLength: 200,
})
const text = fc.oneof(
  token,
  fc.string({ unit: 'binary', maxLength: 100 }),
  fc
    .tuple(token, fc.constantFrom('=', '+', '/', ' ', '\n', '.', 'é', '€', ''), token)
    .map((parts) => parts.join('')),
)

/** The characters that lie behind `from`. */
function unpack(packing: Packing, from: number, characters: number): string {
  return packing.bytes.toString('base64url', from, from + packedBytes(characters))
}

test('what is packed comes back, and what would not is left alone', () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 60 }), (texts) => {
      const packing = new Packing()
      const packed: { from: number; characters: number; text: string }[] = []
      for (const one of texts) {
        const from = packing.length
        const characters = packing.add(one)
        expect(packing.length).toBe(from + packedBytes(characters))
        if (characters === 0) continue
        expect(one.length - characters).toBeLessThan(4)
        packed.push({ from, characters, text: one })
      }
      for (const { from, characters, text } of packed) {
        expect(unpack(packing, from, characters)).toBe(text.slice(0, characters))
      }
    }),
  )
})

test('every long text of the alphabet is packed', () => {
  fc.assert(
    fc.property(token, (one) => {
      expect(new Packing().add(one)).toBe(one.length - (one.length % 4))
    }),
  )
})

describe('is not packed:', () => {
  const long = 'x'.repeat(60)
  test.each([
    ['short text', 'x'.repeat(PACKED_LEAST - 1)],
    ['standard base64', `${long}+/x/`],
    ['padding', `${long}x===`],
    ['a token of three parts', `${long}.${long}.${long}`],
    ['a line feed behind', `${long}\n\n\n\n`],
    ['prose', 'four score and seven years ago our fathers brought forth'],
  ])('%s', (_name, one) => {
    const packing = new Packing()
    expect(packing.add(one)).toBe(0)
    expect(packing.length).toBe(0)
  })
})

test('a short text is packed as Node packs text, and others are said to be others', () => {
  const byFours = fc.array(fc.tuple(character(), character(), character(), character()))
  fc.assert(
    fc.property(byFours, (quads) => {
      const text = quads.flat().join('')
      const target = Buffer.alloc(packedBytes(text.length) + 1, 7)
      const whole = packShort(text, target)
      expect(whole).toBe([...text].every((one) => ALPHABET.includes(one)))
      expect(target.at(-1)).toBe(7)
      if (whole) expect(target.subarray(0, -1)).toEqual(Buffer.from(text, 'base64url'))
    }),
  )
})

/** Mostly one of the alphabet. */
function character() {
  const any = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code))
  return fc.oneof(
    { weight: 99, arbitrary: fc.constantFrom(...ALPHABET) },
    { weight: 1, arbitrary: any },
  )
}
