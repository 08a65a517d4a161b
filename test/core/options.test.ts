import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import type { SessionData } from 'express-session'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { checkTtl, resolveOptions } from '../../src/core/options.js'

const SECOND = 1000
const DAY = 86_400_000
const session = { cookie: { originalMaxAge: null } } as SessionData

function failure(run: () => unknown): Error & { code?: string } {
  try {
    run()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}

const DEFAULTS = {
  checkPeriod: 600_000,
  snapshotPath: resolve('sessions.snapshot'),
  snapshotInterval: 60_000,
  ttl: null,
  max: 0,
  maxBytes: 0,
  durability: 'everysec',
  serializer: null,
  dispose: null,
  noDisposeOnSet: false,
  stale: false,
  flushOnExit: true,
  encryptionKey: [],
  onCorrupt: 'salvage',
  journalMaxRatio: 1,
  onOwned: 'follow',
  takeoverTimeout: 60_000,
  watch: true,
}
const NAMES = Object.keys(DEFAULTS)

describe('defaults', () => {
  test.each([undefined, null, {}])('of %j', (options) => {
    expect(resolveOptions(options)).toEqual(DEFAULTS)
  })

  test.each(NAMES)('%s: undefined and null mean the default', (name) => {
    expect(resolveOptions({ [name]: undefined })).toEqual(DEFAULTS)
    expect(resolveOptions({ [name]: null })).toEqual(DEFAULTS)
  })

  test('are not shared between two stores', () => {
    expect(resolveOptions({}).encryptionKey).not.toBe(resolveOptions({}).encryptionKey)
  })
})

describe('values that are taken', () => {
  const serializer = { stringify: JSON.stringify, parse: JSON.parse }
  const dispose = () => {}
  const folder = resolve('some where')

  test.each<[string, unknown, unknown]>([
    ['checkPeriod', 0, 0],
    ['checkPeriod', false, 0],
    ['checkPeriod', 1, 1],
    ['checkPeriod', 2 ** 31 - 1, 2 ** 31 - 1],
    ['snapshotPath', false, false],
    ['snapshotPath', './data/s.snapshot', resolve('data/s.snapshot')],
    ['snapshotPath', join(folder, 's'), join(folder, 's')],
    ['snapshotPath', pathToFileURL(join(folder, 's%20ö')), join(folder, 's%20ö')],
    ['snapshotPath', pathToFileURL(join(folder, 's ö')).href, join(folder, 's ö')],
    ['snapshotInterval', 0, 0],
    ['snapshotInterval', false, 0],
    ['snapshotInterval', 5000, 5000],
    ['ttl', 60, 60 * SECOND],
    ['ttl', 0.5, 500],
    ['ttl', 1e-9, 1],
    ['ttl', '1500ms', 1500],
    ['ttl', '1.5s', 1500],
    ['ttl', '.5 s', 500],
    ['ttl', '30m', 1800 * SECOND],
    ['ttl', '12h', DAY / 2],
    ['ttl', '14 days', 14 * DAY],
    ['ttl', '14D', 14 * DAY],
    ['ttl', '2w', 14 * DAY],
    ['max', 0, 0],
    ['max', Infinity, 0],
    ['max', 1, 1],
    ['max', 2 ** 32, 2 ** 32],
    ['maxBytes', 0, 0],
    ['maxBytes', Infinity, 0],
    ['maxBytes', 1, 1],
    ['maxBytes', 1000.9, 1000],
    ['maxBytes', '100 bytes', 100],
    ['maxBytes', '1kb', 1024],
    ['maxBytes', '1KiB', 1024],
    ['maxBytes', '256mb', 256 * 1024 ** 2],
    ['maxBytes', '1.5 GB', 1.5 * 1024 ** 3],
    ['durability', 'snapshot', 'snapshot'],
    ['durability', 'everysec', 'everysec'],
    ['durability', 'always', 'always'],
    ['serializer', serializer, serializer],
    ['dispose', dispose, dispose],
    ['noDisposeOnSet', true, true],
    ['stale', true, true],
    ['flushOnExit', false, false],
    ['onCorrupt', 'throw', 'throw'],
    ['journalMaxRatio', 0.5, 0.5],
    ['onOwned', 'throw', 'throw'],
    ['takeoverTimeout', 1, 1],
    ['watch', false, false],
  ])('%s: %j', (name, given, expected) => {
    expect(resolveOptions({ [name]: given })).toEqual({ ...DEFAULTS, [name]: expected })
  })

  test.each<[unknown, string[]]>([
    ['correct horse', ['correct horse']],
    [
      ['new', 'old'],
      ['new', 'old'],
    ],
  ])('encryptionKey: one or several', (given, expected) => {
    expect(resolveOptions({ encryptionKey: given }).encryptionKey).toEqual(expected)
  })

  test('a list of keys that changes later changes nothing', () => {
    const keys = ['one']
    const { encryptionKey } = resolveOptions({ encryptionKey: keys })
    keys.push('two')
    expect(encryptionKey).toEqual(['one'])
  })

  test('options from a class with inherited fields', () => {
    const options = Object.create({ max: 7 }) as object
    expect(resolveOptions(options).max).toBe(7)
  })
})

describe('values that are refused', () => {
  const type: [string, unknown[]][] = [
    ['checkPeriod', [true, '10m', 10n, {}]],
    ['snapshotPath', [true, 5, {}, ['a']]],
    ['snapshotInterval', [true, '1m', []]],
    ['ttl', [true, {}, [60], new Date(), 60n]],
    ['max', [true, '5', {}]],
    ['maxBytes', [true, {}, [1]]],
    ['durability', [true, 1, ['always']]],
    ['serializer', [true, 'json', {}, { stringify: JSON.stringify }, { parse: JSON.parse }]],
    ['dispose', [true, 'x', {}]],
    ['noDisposeOnSet', [0, 1, 'true', {}]],
    ['stale', [0, 'false']],
    ['flushOnExit', [1, 'no']],
    ['encryptionKey', [5, true, {}, ['good', 5], [undefined], Buffer.from('key')]],
    ['onCorrupt', [false, 1]],
    ['journalMaxRatio', [true, '1', {}]],
    ['onOwned', [false, {}]],
    ['takeoverTimeout', [false, '1m']],
    ['watch', [0, 'true']],
  ]
  const range: [string, unknown[]][] = [
    ['checkPeriod', [-1, 0.5, NaN, Infinity, 2 ** 31]],
    ['snapshotPath', ['', 'folder/', 'a\0b', new URL('https://example.com/s')]],
    ['snapshotInterval', [-1, NaN, Infinity, 2 ** 31]],
    ['ttl', [0, -5, NaN, Infinity, 1e13, '', '30', '30 x', '-5m', '0s', '1h30m', 'm', '1e3s']],
    ['max', [-1, 1.5, NaN, 2 ** 53, -Infinity]],
    ['maxBytes', [-1, 0.5, NaN, 2 ** 60, '', '256', '5 sheep', '-1kb', '0kb', '99999999gb']],
    ['durability', ['', 'Always', 'never']],
    ['encryptionKey', ['', [], ['good', '']]],
    ['onCorrupt', ['ignore']],
    ['journalMaxRatio', [0, -1, NaN, Infinity]],
    ['onOwned', ['wait']],
    ['takeoverTimeout', [0, -1, NaN, Infinity, 2 ** 31]],
  ]
  const rows = (table: [string, unknown[]][], kind: ErrorConstructor) =>
    table.flatMap(([name, values]) => values.map((value) => ({ name, value, kind })))

  test.each([...rows(type, TypeError), ...rows(range, RangeError)])(
    '$name: $value',
    ({ name, value, kind }) => {
      const error = failure(() => resolveOptions({ [name]: value }))
      expect(error).toBeInstanceOf(kind)
      expect(error.code).toBe('ERR_OPTION_VALUE')
      expect(error.message).toMatch(new RegExp(`^Expected \`${name}\` to be .+, got .+$`))
    },
  )

  test('every option refuses a symbol', () => {
    for (const name of NAMES) {
      const error = failure(() => resolveOptions({ [name]: Symbol('x') }))
      expect(error).toBeInstanceOf(TypeError)
      expect(error.message).toContain(`\`${name}\``)
    }
  })

  test.each<[unknown, string]>([
    [
      { ttl: -5 },
      "Expected `ttl` to be a positive number of seconds, a string like '30m' or a function, got -5",
    ],
    [
      { ttl: '30' },
      "Expected `ttl` to be a positive number of seconds, a string like '30m' or a function, got '30'",
    ],
    [
      { checkPeriod: 2 ** 31 },
      'Expected `checkPeriod` to be a number of milliseconds from 1 to 2147483647, ' +
        'or 0 or false for never, got 2147483648',
    ],
    [
      { durability: 'never' },
      "Expected `durability` to be 'snapshot', 'everysec' or 'always', got 'never'",
    ],
    [{ max: -1 }, 'Expected `max` to be a whole number of sessions, or 0 for no limit, got -1'],
    [
      { maxBytes: '5 sheep' },
      "Expected `maxBytes` to be a positive number of bytes, a string like '256mb', " +
        "or 0 for no limit, got '5 sheep'",
    ],
    [
      { serializer: { stringify: String, apiKey: 'hush' } },
      'Expected `serializer` to be an object with functions `stringify` and `parse`, got [Object]',
    ],
    [
      { snapshotPath: new URL('https://example.com/s') },
      'Expected `snapshotPath` to be the path or file: URL of a file, or false, ' +
        "got 'https://example.com/s'",
    ],
    [
      { snapshotPath: 'https://example.com/s' },
      'Expected `snapshotPath` to be the path or file: URL of a file, or false, ' +
        "got 'https://example.com/s'",
    ],
    [
      { snapshotPath: 'file:./s' },
      "Expected `snapshotPath` to be the path or file: URL of a file, or false, got 'file:./s'",
    ],
    [
      { snapshotPath: '~/s' },
      'Expected `snapshotPath` to be the path or file: URL of a file, or false, ' +
        "got '~/s', which only a shell resolves",
    ],
    [() => {}, 'Expected `options` to be an object, got [Function (anonymous)]'],
    ['./here', "Expected `options` to be an object, got './here'"],
    [[], 'Expected `options` to be an object, got []'],
  ])('message %#', (options, message) => {
    expect(failure(() => resolveOptions(options)).message).toBe(message)
  })

  test('a long value is shortened', () => {
    const { message } = failure(() => resolveOptions({ durability: 'x'.repeat(5000) }))
    expect(message.length).toBeLessThan(200)
    expect(message).not.toContain('\n')
  })

  test.each<[unknown, string]>([
    [7_654_321, 'a number'],
    ['', 'an empty string'],
    [[], 'an empty array'],
    [['hush-hush', ''], 'an array with an empty string'],
    [['hush-hush', 7_654_321], 'an array with a number'],
    [['hush-hush', undefined], 'an array with undefined'],
    [{ key: 'hush-hush' }, 'an object'],
  ])('encryptionKey is never shown %#', (encryptionKey, got) => {
    expect(failure(() => resolveOptions({ encryptionKey })).message).toBe(
      'Expected `encryptionKey` to be a non-empty string or an array of such strings, ' +
        `got ${got}`,
    )
  })
})

describe('names that are refused', () => {
  test.each([
    ['snapshotpath', 'did you mean `snapshotPath`?'],
    ['snapshotPth', 'did you mean `snapshotPath`?'],
    ['snapshot', 'did you mean `snapshotPath`?'],
    ['checkperiod', 'did you mean `checkPeriod`?'],
    ['checkPeroid', 'did you mean `checkPeriod`?'],
    ['tll', 'did you mean `ttl`?'],
    ['TTL', 'did you mean `ttl`?'],
    ['tlt', 'did you mean `ttl`?'],
    ['wacth', 'did you mean `watch`?'],
    ['maxbytes', 'did you mean `maxBytes`?'],
    ['encryptionKeys', 'did you mean `encryptionKey`?'],
    ['serialiser', 'did you mean `serializer`?'],
    ['path', 'did you mean `snapshotPath`?'],
    ['reapInterval', 'did you mean `checkPeriod`, in milliseconds?'],
    ['maxAge', 'did you mean `ttl`, in seconds?'],
    ['secret', 'did you mean `encryptionKey`?'],
    ['prefix', 'ids need no prefix here, leave it out'],
    ['touchAfter', 'a touch is cheap here, leave it out'],
    ['somethingElseAltogether', `the options are ${NAMES.join(', ')}`],
    ['constructor', `the options are ${NAMES.join(', ')}`],
  ])('%s', (name, hint) => {
    const error = failure(() => resolveOptions({ [name]: undefined }))
    expect(error).toBeInstanceOf(TypeError)
    expect(error.code).toBe('ERR_OPTION_UNKNOWN')
    expect(error.message).toBe(`Unknown option \`${name}\`; ${hint}`)
  })

  test('a name with one slip of the keyboard leads back to the option', () => {
    const slips = fc
      .record({
        name: fc.constantFrom(...NAMES.filter((name) => name.length > 4)),
        at: fc.nat(100),
        letter: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz'),
      })
      .map(({ name, at, letter }) => {
        const i = at % name.length
        return { name, slip: name.slice(0, i) + letter + name.slice(i + 1) }
      })
      .filter(({ name, slip }) => name !== slip)
    fc.assert(
      fc.property(slips, ({ name, slip }) => {
        const { message } = failure(() => resolveOptions({ [slip]: 1 }))
        expect(message).toContain(`did you mean \`${name}\`?`)
      }),
    )
  })
})

describe('durations and sizes', () => {
  const space = fc.constantFrom('', ' ')
  const amount = fc.integer({ min: 1, max: 1_000_000 }).map((n) => n / 100)

  function readsBack(name: 'ttl' | 'maxBytes', units: Record<string, number>): void {
    const unit = fc.constantFrom(...Object.entries(units))
    fc.assert(
      fc.property(amount, space, unit, fc.boolean(), (n, gap, [word, factor], upper) => {
        const text = `${n}${gap}${upper ? word.toUpperCase() : word}`
        const exact = n * factor
        fc.pre(exact >= 1)
        const parsed = resolveOptions({ [name]: text })[name] as number
        expect(Number.isInteger(parsed)).toBe(true)
        expect(Math.abs(parsed - exact)).toBeLessThan(1)
      }),
    )
  }

  test('every duration reads as its number times its unit', () => {
    readsBack('ttl', {
      ms: 1,
      s: 1e3,
      sec: 1e3,
      m: 6e4,
      minutes: 6e4,
      h: 36e5,
      d: DAY,
      weeks: 7 * DAY,
    })
  })

  test('every size reads as its number times its unit', () => {
    readsBack('maxBytes', { b: 1, kb: 1024, kib: 1024, mb: 1024 ** 2, gb: 1024 ** 3 })
  })

  test('any other text is a RangeError, never a number', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!/^[\d.]+ *[a-z]+$/i.test(text))
        expect(() => resolveOptions({ ttl: text })).toThrow(RangeError)
        expect(() => resolveOptions({ maxBytes: text })).toThrow(RangeError)
      }),
    )
  })

  test('any number is either refused or comes back as whole milliseconds of it', () => {
    fc.assert(
      fc.property(fc.double(), (seconds) => {
        if (seconds > 0 && seconds <= 8e12) {
          const ms = resolveOptions({ ttl: seconds }).ttl as number
          expect(ms).toBe(Math.max(1, Math.round(seconds * 1000)))
        } else {
          expect(() => resolveOptions({ ttl: seconds })).toThrow(RangeError)
        }
      }),
    )
  })
})

describe('a ttl function', () => {
  const of = (given: unknown) =>
    resolveOptions({ ttl: () => given }).ttl as (...a: unknown[]) => number

  test('is given session and sid, in seconds, and answers in milliseconds', () => {
    const seen: unknown[] = []
    const { ttl } = resolveOptions({
      ttl: (...args: unknown[]) => {
        seen.push(...args)
        return 1.5
      },
    })
    expect((ttl as (...a: unknown[]) => number)(session, 'sid-1')).toBe(1500)
    expect(seen).toEqual([session, 'sid-1'])
  })

  test.each([
    [0, 0],
    [-5, 0],
    [0.0001, 1],
    [60, 60_000],
    [8e12, 8e15],
  ])('%d seconds', (seconds, ms) => {
    expect(checkTtl(seconds)).toBe(ms)
    expect(of(seconds)(session, 'sid-1')).toBe(ms)
  })

  test.each<[unknown, ErrorConstructor, string]>([
    [NaN, RangeError, 'NaN'],
    [Infinity, RangeError, 'Infinity'],
    [1e13, RangeError, '10000000000000'],
    [undefined, TypeError, 'undefined'],
    [null, TypeError, 'null'],
    ['30m', TypeError, 'a string'],
    [session, TypeError, 'an object'],
    [Promise.resolve(60), TypeError, 'an object'],
  ])('refuses %o', (given, kind, got) => {
    const error = failure(() => of(given)(session, 'sid-1'))
    expect(error).toBeInstanceOf(kind)
    expect(error.code).toBe('ERR_OPTION_VALUE')
    expect(error.message).toBe(
      `Expected \`ttl\` to be a function that returns a number of seconds, got ${got}`,
    )
  })

  test('that throws, throws its own error', () => {
    const { ttl } = resolveOptions({
      ttl: () => {
        throw new Error('mine')
      },
    })
    expect(() => (ttl as (...a: unknown[]) => number)(session, 'sid-1')).toThrow('mine')
  })
})

describe('a ttl number beyond a year', () => {
  afterEach(() => vi.restoreAllMocks())

  /** The module afresh, so that "once" begins anew. */
  async function fresh(): Promise<{
    resolve: typeof resolveOptions
    warn: ReturnType<typeof vi.spyOn>
  }> {
    vi.resetModules()
    const { resolveOptions: resolve } = await import('../../src/core/options.js')
    return { resolve, warn: vi.spyOn(process, 'emitWarning').mockImplementation(() => {}) }
  }

  test('warns once that the unit is seconds', async () => {
    const { resolve, warn } = await fresh()
    expect(resolve({ ttl: 86_400_000 }).ttl).toBe(86_400_000_000)
    resolve({ ttl: 86_400_000 })
    expect(warn).toHaveBeenCalledTimes(1)
    expect(warn).toHaveBeenCalledWith(
      '`ttl` is in seconds, and 86400000 of them are more than a year. memorystore counts in ' +
        "milliseconds. A string with a unit, like '14d', leaves no doubt.",
      { type: 'PersistentMemoryStoreWarning', code: 'PMS_TTL_UNIT' },
    )
  })

  test.each([365 * 86_400, '104w', () => 86_400_000])('%s: no warning', async (ttl) => {
    const { resolve, warn } = await fresh()
    const { ttl: resolved } = resolve({ ttl })
    if (typeof resolved === 'function') resolved(session, 'sid-1')
    expect(warn).not.toHaveBeenCalled()
  })
})
