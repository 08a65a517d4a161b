/** The index against a Map, and sids as bytes. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SidIndex } from '../../src/core/sid-index.js'
import { SidKey } from '../../src/core/sid-key.js'
import { isSid, readSid, sidEnd, sidLength, sidRoom, writeSid } from '../../src/core/sid-text.js'

const sid = fc.oneof(
  fc.constantFrom('', 'a', 'b', 'ab', 'ba', '\0', 'a\0', '__proto__', 'é', 'é€', '😀'),
  fc.string({ maxLength: 3 }),
  fc.nat(300).map((n) => `a longer one with its number ${n}`),
  fc.nat(300).map((n) => `${n}`.padStart(32, 'packed-')),
)

/** An index whose sids lie in a list. */
class Listed {
  readonly sids: (string | undefined)[] = []
  readonly index = new SidIndex((slot, one) => this.sids[slot] === one)
  readonly #free: number[] = []

  set(one: string): void {
    if (this.index.get(one) >= 0) return
    const slot = this.#free.pop() ?? this.sids.length
    this.sids[slot] = one
    this.index.add(one, slot)
  }

  delete(one: string): void {
    const slot = this.index.get(one)
    if (slot < 0) return
    this.index.delete(one, slot)
    this.sids[slot] = undefined
    this.#free.push(slot)
  }

  get(one: string): string | undefined {
    const slot = this.index.get(one)
    return slot < 0 ? undefined : this.sids[slot]
  }
}

describe('the index', () => {
  test('guesses where sids are, as many as there is room for', () => {
    const listed = new Listed()
    const wanted = Array.from({ length: 40 }, (_, n) => ({ sid: `number ${n}` }))
    const room = new Uint32Array(16)
    listed.index.guess(wanted, 0, room)
    expect(Math.max(...room)).toBe(0)
    for (const { sid } of wanted.slice(0, 36)) listed.set(sid)
    listed.index.guess(wanted, 0, room)
    expect([...room]).toEqual(Array.from({ length: 16 }, (_, n) => n + 1))
    listed.index.guess(wanted, 32, room)
    expect([...room.subarray(0, 8)]).toEqual([33, 34, 35, 36, 0, 0, 0, 0])
  })

  test('gives no sid the slot of another that was guessed in between', () => {
    const listed = new Listed()
    for (const one of 'abc') listed.set(one)
    const room = new Uint32Array(1)
    expect(listed.get('a')).toBe('a')
    listed.index.guess([{ sid: 'b' }], 0, room)
    expect(listed.get('b')).toBe('b')
    listed.index.guess([{ sid: 'c' }], 0, room)
    expect(listed.get('a')).toBe('a')
  })

  test('is a map, whatever the sids are', () => {
    const wanted = fc.array(fc.record({ sid }), { maxLength: 4 })
    const step = fc.record({ sid, remove: fc.boolean(), asked: sid, wanted })
    const room = new Uint32Array(3)
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
        const model = new Set<string>()
        const listed = new Listed()
        for (const { sid, remove, asked, wanted } of steps) {
          // Guesses change nothing, whether what is asked for next is among them or not.
          listed.index.guess(wanted, 0, room)
          if (remove) {
            listed.delete(sid)
            model.delete(sid)
          } else {
            listed.set(sid)
            model.add(sid)
          }
          expect(listed.index.size).toBe(model.size)
          expect(listed.get(sid)).toBe(remove ? undefined : sid)
          expect(listed.get(asked)).toBe(model.has(asked) ? asked : undefined)
        }
        for (const one of model) expect(listed.get(one)).toBe(one)
        for (const one of model) listed.delete(one)
        expect(listed.index.size).toBe(0)
      }),
    )
  })

  test('stays one while its parts grow, fill up and empty', () => {
    const listed = new Listed()
    const model = new Set<string>()
    let state = 1
    for (let i = 0; i < 60_000; i++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
      const one = `${state % 20_000}`
      // As many come as go, after a first half in which more come.
      if (state % 7 < (i < 30_000 ? 5 : 3)) {
        listed.set(one)
        model.add(one)
      } else {
        listed.delete(one)
        model.delete(one)
      }
    }
    expect(model.size).toBeGreaterThan(5000)
    expect(listed.index.size).toBe(model.size)
    for (let i = 0; i < 20_000; i++) {
      expect(listed.get(`${i}`)).toBe(model.has(`${i}`) ? `${i}` : undefined)
    }
  })

  test('asks of few sids whether it is they', () => {
    let asked = 0
    const sids: string[] = []
    const index = new SidIndex((slot, one) => {
      asked++
      return sids[slot] === one
    })
    for (let i = 0; i < 20_000; i++) {
      sids.push(`user:${i}:phone`)
      index.add(sids[i]!, i)
    }
    for (let i = 0; i < 20_000; i++) expect(index.get(`user:${i}:desk`)).toBe(-1)
    expect(asked).toBeLessThan(10)
    for (const one of sids) index.get(one)
    expect(asked).toBeLessThan(20_100)
  })
})

describe('a sid as bytes', () => {
  const any = fc.oneof(
    sid,
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.string({ minLength: 250, maxLength: 260 }),
    fc.string({ unit: 'grapheme', minLength: 250, maxLength: 260 }),
  )

  test('comes back, with its lengths, and is no other', () => {
    fc.assert(
      fc.property(any, any, fc.nat(9), (one, other, at) => {
        const bytes = Buffer.alloc(at + sidRoom(one) + 2, 0x61)
        writeSid(bytes, at, one)
        expect(readSid(bytes, at)).toBe(one)
        expect(sidLength(bytes, at)).toBe(one.length)
        expect(sidEnd(bytes, at)).toBe(at + sidRoom(one))
        expect(isSid(bytes, at, one)).toBe(true)
        expect(isSid(bytes, at, other)).toBe(one === other)
        expect(bytes.subarray(0, at).toString() + bytes.subarray(-2).toString()).toBe(
          'a'.repeat(at + 2),
        )
      }),
    )
  })
})

describe('a key', () => {
  const BASE64URL = /^[\w-]*$/
  const plain = fc.string({ minLength: 31, maxLength: 33 })
  const random = fc.uint8Array({ minLength: 23, maxLength: 25 })
  const packable = random.map((bytes) => Buffer.from(bytes).toString('base64url'))

  test('is the 24 bytes of a sid that is base64url of so many, and of no other', () => {
    fc.assert(
      fc.property(fc.oneof(packable, plain, sid), (one) => {
        const key = new SidKey().read('B'.repeat(32)).read(one)
        expect(key.packed).toBe(one.length === 32 && BASE64URL.test(one))
        if (key.packed) expect(Buffer.from(key.words.buffer).toString('base64url')).toBe(one)
      }),
    )
  })

  test('has a hash that is spread over 32 bits, the same for the same sid', () => {
    for (const make of [(n: number) => `${n}`.padStart(32, 'A'), (n: number) => `sid ${n}`]) {
      const hashes = Array.from({ length: 4096 }, (_, n) => new SidKey().read(make(n)).hash)
      expect(Array.from(hashes, (_, n) => new SidKey().read(make(n)).hash)).toEqual(hashes)
      // Of 1024 parts 19 stay empty by chance.
      const parts = new Set(hashes.map((hash) => hash >>> 22))
      expect(parts.size).toBeGreaterThan(900)
      expect(new Set(hashes.map((hash) => hash & 0x3ff)).size).toBeGreaterThan(900)
    }
  })
})

test('ids can not be made so that all have one hash, whatever the seed is', () => {
  const sidOf = (...words: number[]) =>
    Buffer.from(Uint32Array.from({ length: 6 }, (_, i) => words[i] ?? 0).buffer).toString(
      'base64url',
    )
  const [high, next] = [0x80000000, 0x80040000]
  const sids = [sidOf(), sidOf(high, next), sidOf(0, high, next), sidOf(0, 0, high, next)]
  expect(new Set(sids.map((one) => new SidKey().read(one).hash)).size).toBeGreaterThan(1)
})
