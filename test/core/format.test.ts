import { Unpackr } from 'msgpackr'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LATEST_DATE, LATEST_STAMP } from '../../src/core/clock.js'
import type { CookieShape } from '../../src/core/cookie.js'
import { type EntryRecord, FRAME_TARGET, MalformedError } from '../../src/core/format.js'
import { RecordWriter } from '../../src/core/record-writer.js'
import { RecordReader } from '../../src/core/records.js'
import { placesOf } from '../support/bodies.js'
import { anyBody, anyNumber, anyText, ListSink, recordOf, shapes } from '../support/records.js'

const cookies: (CookieShape | undefined)[] = [
  undefined,
  shapes.of({ expires: 0, path: '/' }),
  shapes.of({ expires: null, domain: '日本' }),
  shapes.of({ maxAge: 5, deep: { list: ['\ud800'] } }),
  shapes.of({ expires: 'never' }),
]
const stamp = fc.oneof(fc.nat(), fc.integer({ min: 0, max: LATEST_STAMP }))
const entry = fc
  .record({
    sid: anyText,
    expires: anyNumber,
    stamp,
    cookie: fc.constantFrom(...cookies),
    cookieExpires: fc.oneof(fc.constant(NaN), fc.integer({ min: -LATEST_DATE, max: LATEST_DATE })),
  })
  .chain((fields) => {
    const most = LATEST_STAMP - fields.stamp
    const later = fc.oneof(fc.constant(0), fc.nat(Math.min(most, 2 ** 31 - 1)))
    // Most cookies expire with their session.
    const same = fc.boolean().map((same) => same && Math.abs(fields.expires) <= LATEST_DATE)
    return fc.tuple(later, same).map(([later, same]) => {
      const cookieExpires = same ? fields.expires : fields.cookieExpires
      return recordOf({ ...fields, cookieExpires, used: fields.stamp + later })
    })
  })
const write = fc.oneof(
  fc.tuple(fc.constant('entry' as const), entry, anyBody),
  fc.tuple(fc.constant('touch' as const), entry),
  fc.tuple(fc.constant('removal' as const), anyText, stamp, anyNumber),
  fc.tuple(fc.constant('clear' as const), stamp),
  fc.tuple(fc.constant('structure' as const), fc.nat(), fc.array(anyText)),
  fc.tuple(fc.constant('needs' as const), fc.nat()),
)

/** The payload of a frame of these records, as a copy, and what a reader is to be told. */
function payloadOf(writes: readonly (readonly unknown[])[], writer = new RecordWriter()) {
  writer.reset()
  for (const [method, ...fields] of writes) {
    const ofEntry = method === 'entry' || method === 'touch'
    const [record, body] = fields as [EntryRecord, string?]
    const values = ofEntry ? [record, ...placesOf(record.sid, body)] : fields
    ;(writer as unknown as Record<string, (...values: unknown[]) => void>)[method as string]!(
      ...values,
    )
  }
  // A touch is told as an entry without a body.
  const told = writes.map((one) => (one[0] === 'touch' ? [...one, undefined] : [...one]))
  return { payload: Buffer.from(writer.payload()), told }
}

describe('records', () => {
  test('of any contents are told as they were written, frame after frame', () => {
    const writer = new RecordWriter()
    const reader = new RecordReader(shapes)
    fc.assert(
      fc.property(fc.array(write, { maxLength: 12 }), (writes) => {
        const { payload, told } = payloadOf(writes, writer)
        const sink = new ListSink()
        reader.read(payload, sink)
        expect(sink.told).toEqual(told)
        const definitions = writes.filter(([kind]) => kind === 'structure' || kind === 'needs')
        expect(writer.records).toBe(writes.length - definitions.length)
        expect(writer.length).toBe(payload.length)
      }),
      { numRuns: 400 },
    )
  })

  test('are MessagePack that any decoder can step through', () => {
    const record = recordOf({ sid: 'é', stamp: 5, used: 8, expires: 9e12 })
    const cookie = cookies[1]
    const { payload } = payloadOf([
      ['structure', 0, ['user', 'name']],
      ['needs', 1],
      ['entry', { ...record, cookie, cookieExpires: 7 }, '\x40\xff'],
      ['touch', { ...record, expires: 9e12 - 70_000, stamp: 9 }],
      ['removal', 'é', 6, 9e12],
      ['clear', 7],
    ])
    const plain = new Unpackr({ useRecords: false, int64AsType: 'number' })
    expect(plain.unpackMultiple(payload)).toEqual([
      [1, 0, ['user', 'name']],
      [7, 1],
      [2, 0, '["date",{"path":"/"}]'],
      [3, 'é', 9e12, 5, 3, 0, 7, Buffer.from([0x40, 0xff])],
      [4, 'é', -70_000, 4, null],
      [5, 'é', 6, 9e12],
      [6, 7],
    ])
  })

  test('are told in brief where there is nothing more to tell', () => {
    const [, date, other] = cookies
    const sid = 'a-session_id_of_24_chars'
    const now = 1795392000000
    const plain = new Unpackr({ useRecords: false, int64AsType: 'number' })
    const told = (...records: EntryRecord[]) =>
      (plain.unpackMultiple(payloadOf(records.map((one) => ['touch', one])).payload) as unknown[][])
        .filter(([kind]) => kind === 4)
        .map(([, , ...fields]) => fields)
    const first = recordOf({ sid, expires: now, stamp: 2 ** 40, cookie: date, cookieExpires: now })
    const packed = Buffer.from(sid, 'base64url')
    expect(plain.unpackMultiple(payloadOf([['touch', first]]).payload)[1]).toEqual([
      4,
      packed,
      now,
      2 ** 40,
      0,
    ])
    const used = first.stamp
    expect(told(first, { ...first, used: used + 1 })[1]).toEqual([0, 0, 1, 0, now])
    expect(told(first, { ...first, cookieExpires: NaN })[1]).toEqual([0, 0, 0, 0, null])
    expect(told(first, { ...first, cookie: other, cookieExpires: NaN })[1]).toEqual([0, 0, 1])
    expect(told(first, { ...first, cookie: other })[1]).toEqual([0, 0, 0, 1, now])
    expect(told(first, { ...first, cookie: undefined, cookieExpires: NaN })[1]).toEqual([
      0,
      0,
      null,
    ])
  })

  test('tell how far a time and a stamp are past the ones before, where that is short', () => {
    const now = 1795392000000
    const forms = (expires: number, before = now) => {
      const one = { sid: '', cookie: undefined, cookieExpires: NaN, stamp: 1, used: 1 }
      const { payload } = payloadOf([
        ['touch', recordOf({ ...one, expires: before })],
        ['touch', recordOf({ ...one, expires })],
      ])
      // Behind the head and an empty sid; before the stamp and the cookie.
      return payload.subarray(payload.lastIndexOf(Buffer.from([0x95, 4])) + 4, -2).toString('hex')
    }
    expect([0, 127, 128, -32, -33].map((past) => forms(now + past))).toEqual([
      '00',
      '7f',
      'd10080',
      'e0',
      'd1ffdf',
    ])
    expect([32767, 32768, -32768, -32769].map((past) => forms(now + past))).toEqual([
      'd17fff',
      'd200008000',
      'd18000',
      'd2ffff7fff',
    ])
    expect([2 ** 31 - 1, -(2 ** 31)].map((past) => forms(now + past))).toEqual([
      'd27fffffff',
      'd280000000',
    ])
    expect([2 ** 31, -(2 ** 31) - 1].map((past) => forms(now + past).slice(0, 2))).toEqual([
      'cf',
      'cf',
    ])
    expect([forms(-1, now), forms(0.5, 0), forms(1e300, 1e300)].map((x) => x.slice(0, 2))).toEqual([
      'cb',
      'cb',
      'cb',
    ])
  })

  test('tell a time exactly where it is near the largest safe integer', () => {
    const before = Number.MAX_SAFE_INTEGER
    for (const expires of [before, before - 14, before - 33, before - 70_000, before + 1]) {
      const writes = [before, expires].map((at) => ['touch', recordOf({ sid: 'a', expires: at })])
      const sink = new ListSink()
      new RecordReader(shapes).read(payloadOf(writes).payload, sink)
      const entries = sink.told as [string, EntryRecord][]
      expect(entries.map(([, entry]) => entry.expires)).toEqual([before, expires])
    }
  })

  test('carry a cookie shape once a frame, and once again in the next', () => {
    const record = recordOf({ sid: 'a', cookie: cookies[1] })
    const writer = new RecordWriter()
    const twice = [
      ['touch', record],
      ['touch', record],
    ]
    const once = payloadOf(twice.slice(1), writer).payload
    const { payload } = payloadOf(twice, writer)
    const touch = payload.length - once.length
    expect(payload.indexOf('path')).toBe(payload.lastIndexOf('path'))
    expect(once.length).toBeGreaterThan(touch)
    expect(payloadOf(twice.slice(1), writer).payload).toEqual(once)
  })

  test('larger than a frame make one of their own, and the memory goes back', () => {
    const writer = new RecordWriter()
    const body = 'z'.repeat(FRAME_TARGET * 40)
    const { payload, told } = payloadOf([['entry', recordOf({ sid: 'large' }), body]], writer)
    const sink = new ListSink()
    new RecordReader(shapes).read(payload, sink)
    expect(sink.told).toEqual(told)
    writer.reset()
    expect(writer.payload().buffer.byteLength).toBeLessThan(FRAME_TARGET * 16)
  })
})

describe('bytes that are not records', () => {
  /** Reads bytes that may be anything; all that may come of it is a MalformedError. */
  function survives(payload: Buffer): ListSink {
    const sink = new ListSink()
    try {
      new RecordReader(shapes).read(payload, sink)
    } catch (error) {
      expect(error).toBeInstanceOf(MalformedError)
    }
    return sink
  }

  test('are malformed, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void survives(Buffer.from(bytes))),
      { numRuns: 1000 },
    )
  })

  test('are malformed where one or two bytes of records are others', () => {
    const { payload } = payloadOf([
      ['structure', 0, ['user', 'name']],
      ['needs', 1],
      ['entry', recordOf({ sid: 'someone', stamp: 2 ** 40, cookie: cookies[1] }), 'x'.repeat(40)],
      ['touch', recordOf({ sid: 'x'.repeat(300), cookie: cookies[2], cookieExpires: 5 })],
      ['removal', 'gone', 5, 2 ** 40],
      ['clear', 7],
    ])
    const at = fc.nat(payload.length - 1)
    fc.assert(
      fc.property(at, at, fc.nat(255), fc.nat(255), (one, other, a, b) => {
        const bytes = Buffer.from(payload)
        bytes[one] = a
        bytes[other] = b
        for (const [kind, ...values] of survives(bytes).told as [string, unknown][]) {
          if (kind !== 'entry' && kind !== 'touch') continue
          const numbers = Object.values(values[0] as object).filter((v) => typeof v === 'number')
          // Infinity would outlive everybody; NaN stands for no moment in one place alone.
          expect(numbers.filter((number) => !Number.isFinite(number)).length).toBeLessThan(2)
        }
      }),
      { numRuns: 3000 },
    )
  })

  test('are malformed where there are more or fewer fields than records of the kind have', () => {
    for (const [head, kind] of [
      [0x97, 3],
      [0x95, 3],
      [0x96, 4],
      [0x94, 4],
      [0x92, 5],
      [0x91, 1],
      [0x90, 7],
      [0x90, 6],
    ] as const) {
      const bytes = Buffer.concat([Buffer.from([head, kind, 0xd9, 0]), Buffer.alloc(20)])
      const sink = new ListSink()
      expect(() => new RecordReader(shapes).read(bytes, sink)).toThrow(MalformedError)
      expect(sink.told).toEqual([])
    }
  })

  test('end where the payload ends: no length is believed beyond it', () => {
    const lengths = [
      [0x96, 3, 0xc4, 0xff, 0x00],
      [0x98, 3, 0xdb, 0xff, 0xff, 0xff, 0xff],
      [0x98, 3, 0xda, 0xff, 0xff],
      [0x98, 3, 0xd9, 0xff],
      [0x93, 1, 0, 0xdc, 0xff, 0xff],
      [0x92, 6, 0xcf, 1],
    ]
    for (const bytes of lengths) {
      const read = () => new RecordReader(shapes).read(Buffer.from(bytes), new ListSink())
      expect(read).toThrow(MalformedError)
    }
  })

  test('do not take the cookie shapes of the frame before', () => {
    const reader = new RecordReader(shapes)
    const touch = ['touch', recordOf({ sid: 'a', cookie: cookies[1] })]
    const { payload } = payloadOf([touch])
    const definition = payload.indexOf(Buffer.from([0x97, 4]))
    reader.read(payload, new ListSink())
    const alone = payload.subarray(definition)
    expect(() => reader.read(alone, new ListSink())).toThrow(MalformedError)
  })

  test.each([
    ['infinite', [0x92, 6, 0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0]],
    ['not a number', [0x92, 6, 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]],
    ['a time of a form that is for others', [0x95, 4, 0xd9, 0, 0xce, 0, 0, 0, 1, 0, 0xc0]],
    ['a stamp below the one before it and below zero', [0x95, 4, 0xd9, 0, 0, 0xff, 0xc0]],
    ['beyond the safe integers', [0x92, 6, 0xcf, 0xff, 0, 0, 0, 0, 0, 0, 0]],
    ['a text', [0x92, 6, 0xa1, 0x31]],
    ['a stamp below zero', [0x92, 6, 0xcb, 0xbf, 0xf0, 0, 0, 0, 0, 0, 0]],
    ['a stamp that no other could be higher than', [0x92, 6, 0xcf, 0, 0x1f, 0xff, 0, 0, 0, 0, 0]],
  ])('are malformed where a number is %s', (_, bytes) => {
    expect(() => new RecordReader(shapes).read(Buffer.from(bytes), new ListSink())).toThrow(
      MalformedError,
    )
  })
})
