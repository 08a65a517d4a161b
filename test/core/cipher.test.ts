import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FrameCipher, KeyRing, TAG_LENGTH } from '../../src/core/cipher.js'

const master = Buffer.alloc(32, 1)
const id = Buffer.alloc(16, 2)
const cipher = new FrameCipher(master, id)
const payload = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))

describe('a frame', () => {
  test('comes back as it was', () => {
    fc.assert(
      fc.property(payload, fc.nat(3), fc.nat(), (plain, kind, sequence) => {
        const sealed = cipher.seal(kind, sequence, plain)
        expect(sealed).toHaveLength(plain.length + TAG_LENGTH)
        expect(cipher.open(kind, sequence, sealed)).toEqual(plain)
      }),
    )
  })

  test('of another place, another kind, another file or another key is not opened', () => {
    const sealed = cipher.seal(1, 5, Buffer.from('a session'))
    expect(cipher.open(1, 6, sealed)).toBeUndefined()
    expect(cipher.open(3, 5, sealed)).toBeUndefined()
    expect(new FrameCipher(master, Buffer.alloc(16, 3)).open(1, 5, sealed)).toBeUndefined()
    expect(new FrameCipher(Buffer.alloc(32, 9), id).open(1, 5, sealed)).toBeUndefined()
  })

  test('with any bit flipped, or cut anywhere, is not opened', () => {
    const sealed = cipher.seal(1, 5, Buffer.from('a session'))
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(cipher.open(1, 5, changed)).toBeUndefined()
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(cipher.open(1, 5, sealed.subarray(0, length))).toBeUndefined()
    }
  })

  test('of the same contents looks different at each place and in each file', () => {
    const plain = Buffer.alloc(64)
    const other = new FrameCipher(master, Buffer.alloc(16, 3))
    const sealed = [cipher.seal(1, 5, plain), cipher.seal(1, 6, plain), other.seal(1, 5, plain)]
    // Equal nonces under one key would leave equal bytes where the contents are equal.
    expect(new Set(sealed.map((bytes) => bytes.toString('hex'))).size).toBe(3)
  })
})

describe("a header's check", () => {
  test('holds for this header, this file and this key alone', () => {
    const map = Buffer.from('a header')
    const check = cipher.check(map)
    expect(cipher.verifies(map, check)).toBe(true)
    expect(cipher.verifies(Buffer.from('another'), check)).toBe(false)
    expect(cipher.verifies(map, Buffer.alloc(16))).toBe(false)
    expect(cipher.verifies(map, check.subarray(0, 12))).toBe(false)
    expect(new FrameCipher(master, Buffer.alloc(16, 3)).verifies(map, check)).toBe(false)
  })
})

describe('the keys', () => {
  const map = Buffer.from('a header')

  /** What a store with these keys writes into a header. */
  async function written(keys: string[]) {
    const ring = new KeyRing(keys)
    await ring.prepare()
    const fileId = randomBytes(16)
    const { cipher, salt } = ring.writer(fileId)!
    return { fileId, salt, check: cipher.check(map), sealed: cipher.seal(1, 2, map) }
  }
  const read = (keys: string[], file: Awaited<ReturnType<typeof written>>) =>
    new KeyRing(keys).reader(file.fileId, file.salt, map, file.check)

  test('the first encrypts, all decrypt, and it is known which did', async () => {
    const file = await written(['old key'])
    const rotated = await read(['new key', 'old key'], file)
    expect(rotated?.current).toBe(false)
    expect(rotated?.cipher.open(1, 2, file.sealed)).toEqual(map)
    expect((await read(['old key', 'new key'], file))?.current).toBe(true)
    expect(await read(['new key', 'wrong key'], file)).toBeUndefined()
    expect(await read([], file)).toBeUndefined()
  })

  test('a file without a check is not opened by any key', async () => {
    const file = await written(['a key'])
    const ring = new KeyRing(['a key'])
    expect(await ring.reader(file.fileId, file.salt, map, undefined)).toBeUndefined()
  })

  test('two stores with one key have different salts, so that nothing of one opens the other', async () => {
    const [one, other] = [await written(['a key']), await written(['a key'])]
    expect(one.salt).not.toEqual(other.salt)
    const swapped = { ...one, salt: other.salt }
    expect(await read(['a key'], swapped)).toBeUndefined()
  })

  test('a salt in use goes on being used', async () => {
    const ring = new KeyRing(['a key'])
    const salt = randomBytes(16)
    await ring.prepare(salt)
    await ring.prepare()
    expect(ring.writer(id)?.salt).toEqual(salt)
  })

  test('without any, nothing is encrypted', async () => {
    const ring = new KeyRing([])
    await ring.prepare()
    expect([ring.enabled, ring.writer(id)]).toEqual([false, undefined])
  })
})
