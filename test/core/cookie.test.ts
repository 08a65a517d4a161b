import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import session from 'express-session'
import { describe, expect, test } from 'vitest'
import { CookieShapes, isoText, restoreCookie, shapeText } from '../../src/core/cookie.js'

const EIGHT_PM = Date.UTC(2033, 4, 18, 20)
const LATEST = 8.64e15

/** Through the shape and its text, as through memory and a file, and back. */
function roundTrip(cookie: object): Record<string, unknown> {
  const shapes = new CookieShapes()
  const shape = shapes.of(cookie)
  const { expires } = shapes
  const read = new CookieShapes().parse(shapeText(shape))
  const restored = restoreCookie(shape, expires)
  expect(restoreCookie(read, expires)).toEqual(restored)
  // From some time on they are made in another way.
  for (let time = 0; time < 6; time++) expect(restoreCookie(shape, expires)).toEqual(restored)
  return restoreCookie(shape, expires)
}

/** What JSON makes of a cookie. */
function viaJson(cookie: object): unknown {
  return JSON.parse(JSON.stringify(cookie))
}

const json = fc.jsonValue({ maxDepth: 2 })
const name = fc.oneof(
  fc.constantFrom('originalMaxAge', 'httpOnly', 'secure', 'path', 'domain', 'sameSite', 'priority'),
  fc.string().filter((key) => key !== 'expires' && key !== 'toJSON' && key !== '__proto__'),
)
const fields = fc.dictionary(name, fc.oneof(json, fc.constant(undefined)), { maxKeys: 6 })
const date = fc.date({ noInvalidDate: true })
const soon = fc.date({ min: new Date(0), max: new Date(EIGHT_PM), noInvalidDate: true })
const expires = fc.oneof(
  date,
  date.map((moment) => moment.toISOString()),
  fc.constantFrom(null, false, true, '', 'never', 'Wed, 18 May 2033 03:33:20 GMT', '2033-05-18'),
  fc.constantFrom(new Date(LATEST), new Date(-LATEST), new Date(0), new Date(NaN), {}, []),
  fc.constantFrom(
    '2033-05-18T24:00:00.000Z',
    '2033-05-18T03:33:20.0000',
    '+020330-01-01T00:00:00Z',
  ),
)

describe('what goes in comes out as JSON would bring it', () => {
  test('whatever the fields and however `expires` is written', () => {
    fc.assert(
      fc.property(fields, fc.option(expires, { nil: undefined }), (rest, moment) => {
        const cookie = moment === undefined ? rest : { ...rest, expires: moment }
        expect(roundTrip(cookie)).toEqual(viaJson(cookie))
      }),
      { numRuns: 1000 },
    )
  })

  test.each([
    ['no fields at all', {}],
    ['expires: undefined', { expires: undefined, path: '/' }],
    ['a field named __proto__', JSON.parse('{"__proto__": {"a": 1}, "path": "/"}') as object],
    ['undefined, functions and symbols', { a: undefined, b: () => 1, c: Symbol('c'), d: 1 }],
    ['a field named __proto__ that holds no object', JSON.parse('{"__proto__": 1}') as object],
    ['fields named like code', { 'a": 1, "b': 1, "it's": 2, '${c}': 3, '\u2028': 4 }],
    ['a field with a toJSON', { a: { toJSON: () => 'as told' } }],
    ['numbers that JSON has none for', { a: NaN, b: Infinity, c: -0 }],
    ['a Date among the others', { since: new Date(EIGHT_PM) }],
  ])('%s', (_, cookie) => {
    expect(roundTrip(cookie)).toEqual(viaJson(cookie))
  })

  test("express-session's own Cookie, whose toJSON decides", () => {
    // Its types leave the argument out.
    const Cookie = session.Cookie as unknown as new (options: object) => object
    const cookie = new Cookie({ maxAge: 60_000, sameSite: 'lax', partitioned: true })
    const stored = roundTrip(cookie)
    expect(stored).toEqual(viaJson(cookie))
    expect(stored).not.toHaveProperty('_expires')
  })

  test('a number is the moment it stands for, in the form that createSession reads', () => {
    expect(roundTrip({ expires: EIGHT_PM })).toEqual({ expires: '2033-05-18T20:00:00.000Z' })
    expect(roundTrip({ expires: NaN })).toEqual({ expires: null })
    expect(roundTrip({ expires: 1e300 })).toEqual({ expires: 1e300 })
  })
})

test('a moment is written as toISOString writes it', () => {
  const near = fc.integer({ min: EIGHT_PM - 2e8, max: EIGHT_PM + 2e8 })
  const any = fc.oneof(
    near,
    fc.integer({ min: -LATEST, max: LATEST }),
    fc.double({ min: -LATEST, max: LATEST, noNaN: true }),
    fc.constantFrom(0, -0, -1, LATEST, -LATEST, 253402300800000, 253402300799999, -62167219200001),
  )
  fc.assert(
    fc.property(any, (moment) => {
      expect(isoText(moment)).toBe(new Date(moment).toISOString())
    }),
    { numRuns: 3000 },
  )
})

describe('the moment a cookie expires', () => {
  const moment = (cookie: object) => {
    const shapes = new CookieShapes()
    shapes.of(cookie)
    return { expires: shapes.expires, maxAge: shapes.maxAge }
  }

  test.each([
    ['a Date', new Date(EIGHT_PM)],
    ['an ISO string', new Date(EIGHT_PM).toISOString()],
    ['another string', 'Wed, 18 May 2033 20:00:00 GMT'],
    ['a number', EIGHT_PM],
  ])('is what %s says', (_, value) => {
    expect(moment({ expires: value }).expires).toBe(EIGHT_PM)
  })

  test.each([
    ['absent', {}],
    ['null', { expires: null }],
    ['false', { expires: false }],
    ['an invalid Date', { expires: new Date(NaN) }],
    ['a string that names no moment', { expires: 'never' }],
  ])('is unknown where it is %s; then maxAge counts', (_, cookie) => {
    expect(moment(cookie)).toEqual({ expires: NaN, maxAge: NaN })
    expect(moment({ ...cookie, maxAge: 0 })).toEqual({ expires: NaN, maxAge: 0 })
    expect(moment({ ...cookie, maxAge: '5' }).maxAge).toBeNaN()
  })

  test('is that of a Date of another realm', () => {
    const made = runInNewContext(`new Date(${EIGHT_PM})`) as Date
    expect(moment({ expires: made }).expires).toBe(EIGHT_PM)
  })

  test('is not that of a cookie that a getter looks at meanwhile', () => {
    const shapes = new CookieShapes()
    const cookie = {
      expires: EIGHT_PM,
      get path() {
        shapes.of({ maxAge: 5 })
        return '/'
      },
    }
    shapes.of(cookie)
    expect([shapes.expires, shapes.maxAge]).toEqual([EIGHT_PM, NaN])
  })

  test('of one cookie is not that of the one before', () => {
    const shapes = new CookieShapes()
    shapes.of({ expires: EIGHT_PM })
    shapes.of({ maxAge: 5 })
    expect(shapes.expires).toBeNaN()
    shapes.of({ expires: EIGHT_PM })
    expect(shapes.maxAge).toBeNaN()
  })
})

describe('shapes are shared', () => {
  test('by all cookies that differ in their expiry alone', () => {
    fc.assert(
      fc.property(fields, soon, soon, (rest, one, other) => {
        const shapes = new CookieShapes()
        const first = shapes.of({ ...rest, expires: one })
        expect(shapes.of({ ...rest, expires: other })).toBe(first)
        expect(shapes.of({ ...rest, expires: other.toISOString() }, first)).toBe(first)
        expect(shapes.parse(shapeText(first))).toBe(first)
      }),
    )
  })

  test('and by no others, whatever shape the session had before', () => {
    fc.assert(
      fc.property(fields, fields, expires, expires, (a, b, one, other) => {
        const shapes = new CookieShapes()
        const [first, second] = [
          { ...a, expires: one },
          { ...b, expires: other },
        ]
        const near = shapes.of(first)
        const shape = shapes.of(second, near)
        expect(restoreCookie(shape, shapes.expires)).toEqual(viaJson(second))
      }),
      { numRuns: 500 },
    )
  })

  test('nor by one that inherits a field which another has itself', () => {
    const shapes = new CookieShapes()
    const near = shapes.of({ path: '/', httpOnly: true })
    const cookie = Object.assign(Object.create({ httpOnly: true }) as object, { path: '/' })
    for (const shape of [shapes.of(cookie, near), shapes.of(cookie)]) {
      expect(restoreCookie(shape, NaN)).toEqual({ path: '/' })
    }
  })

  test('yet each session gets a cookie of its own, down to the last object', () => {
    const shapes = new CookieShapes()
    const shape = shapes.of({ path: '/', extra: { list: [1] } })
    const one = restoreCookie(shape, NaN) as { extra: { list: number[] }; path: string }
    one.extra.list.push(2)
    one.path = '/changed'
    expect(restoreCookie(shape, NaN)).toEqual({ path: '/', extra: { list: [1] } })
  })

  test('in all but their values, where only these differ', () => {
    const shapes = new CookieShapes()
    const [one, other] = [1, 2].map((originalMaxAge) =>
      shapes.of({ originalMaxAge, expires: EIGHT_PM, path: '/' }),
    )
    expect(other!.values).not.toEqual(one!.values)
    expect(other!.keys).toBe(one!.keys)
    expect(other!.maker).toBe(one!.maker)
  })

  test('ten thousand shapes are no matter: those in use go on meaning what they meant', () => {
    const shapes = new CookieShapes()
    const first = shapes.of({ path: '/first' })
    for (let maxAge = 0; maxAge < 10_000; maxAge++) shapes.of({ maxAge })
    expect(restoreCookie(first, NaN)).toEqual({ path: '/first' })
    expect(restoreCookie(shapes.of({ path: '/first' }), NaN)).toEqual({ path: '/first' })
  })
})

describe('a toJSON that was given to all', () => {
  test.each([
    ['arrays', Array.prototype],
    ['objects', Object.prototype],
  ])('%s leaves cookies and their texts as they are', (_, prototype) => {
    const cookies = [{ path: '/' }, { domain: 'a', maxAge: 1 }, { path: '/', expires: 'never' }]
    const texts = cookies.map((cookie) => shapeText(new CookieShapes().of(cookie)))
    const shapes = new CookieShapes()
    Object.defineProperty(prototype, 'toJSON', { value: () => 'seen', configurable: true })
    try {
      const made = cookies.map((fields) => shapes.of({ toJSON: () => fields }))
      expect(made.map(shapeText)).toEqual(texts)
      expect(made.map((shape) => restoreCookie(shape, NaN))).toEqual(cookies)
    } finally {
      Reflect.deleteProperty(prototype, 'toJSON')
    }
  })
})

describe('the text of a shape in a file', () => {
  const none = ['', '[]', 'null', '{}', '["date"]', '["date",null]', '["date",[]]', '["other"]']

  test.each([...none, '["later",{}]', '[1,{}]', '["date",{}', '["date",{},1]', '["date","x"]'])(
    'is refused where it is not one: %s',
    (text) => {
      expect(() => new CookieShapes().parse(text)).toThrow(SyntaxError)
    },
  )

  test('is refused where it is too deep to be written again, which depends on the version of Node', () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000)
    const text = `["date",{"deep":${deep}}]`
    let written: string
    try {
      written = shapeText(new CookieShapes().parse(text))
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError)
      return
    }
    expect(written).toBe(text)
  })

  test('never does more than throw, whatever it is', () => {
    const forms = fc.constantFrom('absent', 'null', 'false', 'date', 'other')
    const hostile = fc.oneof(
      fc.json(),
      fc.tuple(forms, json).map((pair) => JSON.stringify(pair)),
    )
    fc.assert(
      fc.property(hostile, (text) => {
        let shape
        try {
          shape = new CookieShapes().parse(text)
        } catch {
          return
        }
        expect(typeof restoreCookie(shape, EIGHT_PM)).toBe('object')
        expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
      }),
    )
  })

  test('that names a moment has none where the file tells none', () => {
    const shape = new CookieShapes().parse('["date",{"path":"/"}]')
    expect(restoreCookie(shape, NaN)).toMatchObject({ path: '/' })
  })

  test('with a __proto__ in it changes no prototype', () => {
    const shape = new CookieShapes().parse('["absent",{"__proto__":{"polluted":true}}]')
    const cookie = restoreCookie(shape, NaN)
    expect(cookie['polluted']).toBeUndefined()
    expect(Object.getPrototypeOf(cookie)).toBe(Object.prototype)
  })
})
