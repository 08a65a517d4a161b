/**
 * What a drop-in store must do, rule by rule, through the public API alone: every value that goes
 * into a session and has to come out of it, before and after a restart alike.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { answerOf, kinds, sessionOf, type Store, storesOf } from './contract-store.js'

describe.each(kinds)('a store $kind', ({ onFile }) => {
  const { begin, open, nowAndAfterRestart } = storesOf({ onFile })

  describe('rule 12: what goes in comes out', () => {
    /** Checks the value that comes back for one that went in, before and after a restart. */
    async function through(value: unknown, check: (back: unknown) => unknown): Promise<void> {
      const store = await open()
      await store.set('a', sessionOf({ value, after: 'it' }))
      await nowAndAfterRestart(store, async (store) => {
        const back = (await store.get('a')) as unknown as Record<string, unknown>
        expect(back.after).toBe('it')
        await check(back.value)
      })
    }

    const proto = JSON.parse(
      '{"__proto__": {"polluted": true}, "constructor": 1, "toString": null}',
    )
    test.each<[string, unknown]>([
      ['null, true and false', [null, true, false]],
      ['numbers', [0, 1, -1, 127, 128, -129, 65536, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 53, 1e308]],
      ['fractions', [0.1 + 0.2, -1.5, 5e-324, Math.PI, 1.7976931348623157e308]],
      [
        'strings',
        ['', 'a', 'ünï', '漢字', '😀', '\0\x01\x7f', ' '.repeat(300), 'é'.repeat(70_000)],
      ],
      ['halves of surrogate pairs', ['\ud800', 'a\udc00b', '\udfff\ud800']],
      ['keys', { '': 1, ' ': 2, ключ: 3, 'a.b': 4, 10: 5, 2: 6, '😀': 7, length: 8 }],
      ['keys of Object.prototype', proto],
      ['empty things', [[], {}, [[]], [{}], { a: {} }]],
      [
        'a hundred shapes',
        Array.from({ length: 100 }, (_, i) => ({ [`key${i}`]: i, [`n${i}`]: 1 })),
      ],
      ['one shape a thousand times', Array.from({ length: 1000 }, (_, n) => ({ n, s: `${n}` }))],
      ['a wide object', Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`k${i}`, i]))],
    ])('as JSON would: %s', async (_, value) => {
      const json = JSON.stringify(value)
      await through(value, (back) => {
        expect(JSON.stringify(back)).toBe(json)
        expect(back).toStrictEqual(JSON.parse(json))
        expect({}).not.toHaveProperty('polluted')
      })
    })

    test('as JSON would: deep nesting', async () => {
      const deep = JSON.parse('[{"a":'.repeat(250) + '1' + '}]'.repeat(250)) as unknown
      await through(deep, (back) => expect(JSON.stringify(back)).toBe(JSON.stringify(deep)))
    })

    test('as JSON would: anything', async () => {
      const samples = fc.sample(fc.jsonValue(), { numRuns: 400, seed: 12 })
      const store = await open()
      for (const [i, value] of samples.entries()) await store.set(`${i}`, sessionOf({ value }))
      await nowAndAfterRestart(store, async (store) => {
        for (const [i, value] of samples.entries()) {
          const back = (await store.get(`${i}`)) as unknown as { value: unknown }
          expect(back.value).toStrictEqual(value)
        }
      })
    })

    class Point {
      x = 1
      #hidden = 2
      get sum() {
        return this.x + this.#hidden
      }
    }
    test.each<[string, unknown, unknown]>([
      [
        'toJSON of what has one',
        { a: { toJSON: () => 'own' }, url: new URL('https://a.example/b') },
        { a: 'own', url: 'https://a.example/b' },
      ],
      ['instances of classes as plain objects', new Point(), { x: 1 }],
      [
        'objects without prototype as plain ones',
        Object.assign(Object.create(null), { a: 1 }),
        { a: 1 },
      ],
      [
        'functions and symbols dropped',
        { f: () => 1, s: Symbol('s'), [Symbol('k')]: 1, a: 1 },
        { a: 1 },
      ],
      ['functions and symbols in a list as null', [() => 1, Symbol('s'), 1], [null, null, 1]],
    ])('as JSON would: %s', async (_, value, expected) => {
      await through(value, (back) => expect(back).toStrictEqual(expected))
    })

    test('as JSON would: one object in two places as two', async () => {
      const shared = { n: 1 }
      await through([shared, shared], (back) => {
        const [one, two] = back as { n: number }[]
        expect([one, two]).toStrictEqual([{ n: 1 }, { n: 1 }])
        one!.n = 2
        expect(two).toEqual({ n: 1 })
      })
    })

    test.each<[string, unknown]>([
      ['dates', [new Date(0), new Date(-1), new Date(1.7e12 + 1), new Date(8.64e15)]],
      [
        'maps',
        new Map<unknown, unknown>([
          ['a', 1],
          [1, new Map([['x', null]])],
          [{ k: 1 }, [1]],
        ]),
      ],
      ['sets', new Set<unknown>([1, 'a', null, undefined, new Set([2])])],
      ['regular expressions', [/a+b/giu, /[/\\]"\n/, new RegExp('')]],
      ['big integers', [0n, -1n, 2n ** 63n, -(2n ** 64n), 2n ** 70n, -(10n ** 40n)]],
      ['undefined', { a: undefined, b: [undefined, 1] }],
      ['odd numbers', [NaN, Infinity, -Infinity, { deep: NaN }]],
    ])('as themselves: %s', async (_, value) => {
      await through(value, (back) => expect(back).toStrictEqual(value))
    })

    test('as itself: −0, wherever it stands', async () => {
      await through([-0, { n: -0 }, new Map([['n', -0]]), 0], (back) => {
        const [first, { n }, map, zero] = back as [
          number,
          { n: number },
          Map<string, number>,
          number,
        ]
        for (const minus of [first, n, map.get('n')]) expect(Object.is(minus, -0)).toBe(true)
        expect(Object.is(zero, 0)).toBe(true)
      })
    })

    test('as themselves: buffers and typed arrays, copied', async () => {
      const bytes = Buffer.from(Array.from({ length: 300 }, (_, i) => i & 255))
      const arrays = [
        new Uint8Array(bytes.subarray(3, 9)),
        new Uint8ClampedArray([1, 255]),
        new Int8Array([-1, 1]),
        new Uint16Array([1, 65535]),
        new Int16Array([-1, 1]),
        new Uint32Array([1, 2 ** 32 - 1]),
        new Int32Array([-1, 1]),
        new Float32Array([0.5, NaN]),
        new Float64Array([0.1, -0]),
        new BigInt64Array([-1n, 2n ** 62n]),
        new BigUint64Array([2n ** 64n - 1n]),
      ]
      const value = { bytes: bytes.subarray(10, 290), empty: Buffer.alloc(0), arrays }
      await through(value, (back) => {
        const got = back as typeof value
        expect(Buffer.isBuffer(got.bytes) && Buffer.isBuffer(got.empty)).toBe(true)
        expect(got.bytes.equals(value.bytes)).toBe(true)
        expect(got.arrays).toStrictEqual(arrays)
        got.bytes.fill(0)
        got.arrays[0]!.fill(0 as never)
      })
      // What was done to the ones that came back must not show in the next.
      const store = await open({ snapshotPath: false })
      await store.set('a', sessionOf(value))
      const first = (await store.get('a')) as unknown as typeof value
      first.bytes.fill(0)
      const second = (await store.get('a')) as unknown as typeof value
      expect(second.bytes.equals(value.bytes)).toBe(true)
    })

    test('a cycle is an error that names the key and tells nothing of the session', async () => {
      const store = await open()
      await store.set('before', sessionOf({ shape: { left: 1, right: 2 } }))
      const basket: Record<string, unknown> = { left: 'private thing', novel: { right: 1 } }
      basket.owner = basket
      const broken = sessionOf({ basket })
      const [error] = await answerOf((answer) => store.set('secret-id', broken, answer))
      expect(error).toBeInstanceOf(Error)
      expect((error as Error).message).toMatch(/owner/)
      expect((error as Error).message).not.toMatch(/private thing|secret-id/)
      await expect(store.set('secret-id', broken)).rejects.toThrow(/owner/)

      await store.set('after', sessionOf({ basket: { left: 1, novel: { right: 2 }, owner: null } }))
      await nowAndAfterRestart(store, async (store) => {
        expect((await store.ids()).sort()).toEqual(['after', 'before'])
        expect(await store.get('before')).toMatchObject({ shape: { left: 1, right: 2 } })
        expect(await store.get('after')).toMatchObject({
          basket: { left: 1, novel: { right: 2 }, owner: null },
        })
      })
    })

    test('a cycle through a Map or a Set is one as well', async () => {
      const store = await open()
      const map = new Map<string, unknown>()
      map.set('self', map)
      const set = new Set<unknown>()
      set.add({ set })
      await expect(store.set('a', sessionOf({ map }))).rejects.toThrow(/map/)
      await expect(store.set('a', sessionOf({ set }))).rejects.toThrow(/set/)
      expect(await store.length()).toBe(0)
    })
  })

  describe('a session keeps its own data where the app sets another', () => {
    const names = ['inner', 'outer']
    const check = async (store: Store) => {
      for (const name of names) expect(await store.get(name)).toMatchObject({ name })
    }

    test('while the lifetime of the first is asked for', async () => {
      const ttl = (_: unknown, sid: string) => {
        if (sid === 'outer') void store.set('inner', sessionOf({ name: 'inner' }))
        return 3600
      }
      const store: Store = await open({ ttl })
      await store.set('outer', sessionOf({ name: 'outer' }))
      await nowAndAfterRestart(store, check, { ttl })
    })

    test('while the first is read', async () => {
      const store = await open()
      const session = Object.defineProperty(sessionOf({ name: 'outer' }), 'more', {
        enumerable: true,
        get: () => void store.set('inner', sessionOf({ name: 'inner' })),
      })
      await store.set('outer', session)
      await nowAndAfterRestart(store, check)
    })

    test('while what the first replaces is disposed of', async () => {
      const dispose = (sid: string) => {
        if (sid === 'outer') void store.set('inner', sessionOf({ name: 'inner' }))
      }
      const store: Store = await open({ dispose })
      await store.set('outer', sessionOf({ name: 'before' }))
      await store.set('outer', sessionOf({ name: 'outer' }))
      await nowAndAfterRestart(store, check)
    })

    describe.each(['expired', 'evicted', 'destroyed', 'replaced'] as const)(
      'when it is %s',
      (why) => {
        test.each<[string, (store: Store) => unknown]>([
          ['destroyed', (store) => store.destroy('a')],
          ['set', (store) => store.set('a', sessionOf({ name: 'again' }))],
          ['cleared', (store) => store.clear()],
          ['pushed out', (store) => store.set('another', sessionOf({ name: 'another' }))],
        ])('and %s by the hook, the store goes on', async (_, act) => {
          const told: string[] = []
          const acts: unknown[] = []
          const dispose = (sid: string, session: object, reason: string) => {
            told.push(`${sid} ${reason}`)
            expect(session).toMatchObject({ name: sid })
            if (told.length === 1) acts.push(act(store))
          }
          const store: Store = await open({ dispose, max: 2 })
          await store.set('a', sessionOf({ name: 'a' }))
          await store.set('b', sessionOf({ name: 'b' }))
          if (why === 'destroyed') await store.destroy('a')
          else if (why === 'evicted') await store.set('c', sessionOf({ name: 'c' }))
          else
            await store.set(
              'a',
              sessionOf(
                { name: 'a' },
                why === 'expired' ? { maxAge: -1, expires: new Date(0) } : {},
              ),
            )
          await Promise.all(acts)
          expect(told[0]).toBe(`a ${why}`)
          expect(await store.length()).toBeLessThanOrEqual(2)
          for (const name of ['d', 'e', 'f']) await store.set(name, sessionOf({ name }))
          await nowAndAfterRestart(
            store,
            async (store) => {
              expect((await store.ids()).sort()).toEqual(['e', 'f'])
              for (const name of ['e', 'f']) expect(await store.get(name)).toMatchObject({ name })
            },
            { max: 2 },
          )
        })
      },
    )

    test('before the store is ready', async () => {
      const store = begin()
      const sets = names.map((name) => store.set(name, sessionOf({ name })))
      await Promise.all(sets)
      await nowAndAfterRestart(store, check)
    })
  })
})
