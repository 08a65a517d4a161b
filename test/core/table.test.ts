import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import type { CookieShape } from '../../src/core/cookie.js'
import type { EntryRecord } from '../../src/core/format.js'
import { Table } from '../../src/core/table.js'
import { recordOf, shapes } from '../support/records.js'
import { bodyOf, textOf } from '../support/bodies.js'

const letters = (length: number) => 'x'.repeat(length)

/** The table as a list from the least to the most recently used, and nothing clever. */
class Model {
  readonly limits: { max: number; maxBytes: number }
  entries: { record: EntryRecord; body: string }[] = []
  evicted: string[] = []

  constructor(limits: { max: number; maxBytes: number }) {
    this.limits = limits
  }

  get bytes(): number {
    return this.entries.reduce((sum, { record, body }) => sum + record.sid.length + body.length, 0)
  }

  find(sid: string) {
    return this.entries.find(({ record }) => record.sid === sid)
  }

  put(record: EntryRecord, body: string): void {
    this.remove(record.sid)
    this.entries.push({ record: { ...record }, body })
    this.#shrink()
  }

  use(sid: string, used: number): void {
    const entry = this.find(sid)
    if (!entry) return
    this.remove(sid)
    this.entries.push({ ...entry, record: { ...entry.record, used } })
  }

  remove(sid: string): void {
    this.entries = this.entries.filter(({ record }) => record.sid !== sid)
  }

  load(records: { record: EntryRecord; body: string }[]): void {
    for (const { record, body } of records) {
      this.remove(record.sid)
      this.entries.push({ record: { ...record }, body })
    }
    this.entries.sort((a, b) => a.record.used - b.record.used)
    this.#shrink()
  }

  #shrink(): void {
    const { max, maxBytes } = this.limits
    while ((max > 0 && this.entries.length > max) || (maxBytes > 0 && this.bytes > maxBytes)) {
      this.evicted.push(this.entries.shift()!.record.sid)
    }
  }
}

type Step =
  | { do: 'put'; sid: string; length: number }
  | { do: 'use' | 'touch' | 'remove'; sid: string }
  | { do: 'clear' }
  | { do: 'load'; sids: string[] }

const packable = ['A'.repeat(32), '-_'.repeat(16)]
const sid = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'longer', '', ...packable, '+'.repeat(32))
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('put'), sid, length: fc.nat(24) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('use', 'touch', 'remove'), sid }) },
  { weight: 1, arbitrary: fc.constant({ do: 'clear' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('load'), sids: fc.array(sid) }) },
)
const limits = fc.record({
  max: fc.constantFrom(0, 1, 3),
  maxBytes: fc.constantFrom(0, 30, 60, 90),
})

/** Takes every step on a table and on the model. */
function run(steps: Step[], bounds: { max: number; maxBytes: number }) {
  const model = new Model(bounds)
  const evicted: string[] = []
  const table = new Table(bounds, (slot) => evicted.push(table.sid(slot)))
  let stamp = 0
  for (const one of steps) {
    stamp++
    if (one.do === 'put') {
      const body = letters(one.length)
      if (!table.fits(one.sid, body.length)) continue
      table.put(recordOf({ sid: one.sid, stamp }), bodyOf(body))
      model.put(recordOf({ sid: one.sid, stamp }), body)
    } else if (one.do === 'clear') {
      table.clear()
      model.entries = []
    } else if (one.do === 'load') {
      // Files are read into an empty table.
      table.clear()
      model.entries = []
      table.beginLoad()
      const records = one.sids.map((sid, i) => {
        // Files tell entries in any order; what was used last is told by the records.
        const record = recordOf({ sid, stamp, used: stamp + 100 - i })
        return { record, body: letters((i % 20) + 1) }
      })
      for (const { record, body } of records)
        if (table.fits(record.sid, body.length)) table.put(record, bodyOf(body))
      table.endLoad()
      model.load(records.filter(({ record, body }) => table.fits(record.sid, body.length)))
      // Uses from here on are later than all that was loaded.
      stamp += 200
    } else {
      const slot = table.find(one.sid)
      expect(slot >= 0).toBe(model.find(one.sid) !== undefined)
      if (slot < 0) continue
      if (one.do === 'remove') {
        table.remove(slot)
        model.remove(one.sid)
      } else {
        table.use(one.sid, stamp)
        model.use(one.sid, stamp)
        if (one.do === 'touch') {
          table.touch(slot, recordOf({ sid: one.sid, stamp, expires: stamp * 1000 }))
          model.find(one.sid)!.record = recordOf({ sid: one.sid, stamp, expires: stamp * 1000 })
        }
      }
    }
  }
  return { table, model, evicted }
}

/** The entries by slot: every one once. */
function walk(table: Table) {
  const found = []
  for (let slot = 0; slot < table.slots; slot++) {
    if (!table.has(slot)) continue
    const record = recordOf({ sid: table.sid(slot) })
    table.read(slot, record)
    expect(table.find(record.sid)).toBe(slot)
    found.push({ record, body: textOf(table.body(slot)) })
  }
  return found
}

const bySid = (a: { record: EntryRecord }, b: { record: EntryRecord }) =>
  a.record.sid < b.record.sid ? -1 : 1

describe('against a list in the order of use', () => {
  test('the same entries, the same bytes, the same evictions in the same order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), limits, (steps, bounds) => {
        const { table, model, evicted } = run(steps, bounds)
        expect(table.size).toBe(model.entries.length)
        expect(table.bytes).toBe(model.bytes)
        expect(evicted).toEqual(model.evicted)
        expect(walk(table).sort(bySid)).toEqual([...model.entries].sort(bySid))
      }),
      { numRuns: 600 },
    )
  })

  test('whoever was used least recently goes first, by count and by bytes', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), limits, (steps, bounds) => {
        const { table, model, evicted } = run(steps, bounds)
        const before = evicted.length
        for (let i = 0; i < 8; i++) {
          const record = recordOf({ sid: `new-${i}`, stamp: 1e6 + i })
          table.put(record, bodyOf(letters(10)))
          model.put(record, letters(10))
        }
        expect(evicted.slice(before)).toEqual(model.evicted.slice(before))
      }),
      { numRuns: 500 },
    )
  })

  test('slots are used again: as many as were ever held at once, and one', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const few = steps.filter((one) => one.do !== 'load')
        const { table } = run(few, { max: 3, maxBytes: 0 })
        expect(table.slots).toBeLessThanOrEqual(4)
      }),
    )
  })
})

test('a cookie and when it expires come back, whether that is when its session does or not', () => {
  const cookie = fc.constantFrom(
    undefined,
    shapes.parse('["date",{"path":"/"}]'),
    shapes.parse('["null",{"path":"/"}]'),
    shapes.parse('["other",{"expires":"tomorrow"}]'),
  )
  const step = fc.record({
    sid,
    touch: fc.boolean(),
    cookie,
    expires: fc.constantFrom(1, 1e12, 2e12),
    cookieExpires: fc.constantFrom(NaN, 1e12, 2e12, -0),
    asSession: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const table = new Table({ max: 0, maxBytes: 0 }, () => undefined)
      const model = new Map<string, EntryRecord>()
      for (const { sid, touch, asSession, ...fields } of steps) {
        const cookieExpires = asSession ? fields.expires : fields.cookieExpires
        const record = recordOf({ sid, ...fields, cookieExpires })
        const slot = table.find(sid)
        if (touch && slot >= 0) table.touch(slot, record)
        else table.put(record, bodyOf('x'))
        model.set(sid, record)
        for (const [known, record] of model) {
          expect(table.cookie(table.find(known))).toBe(record.cookie)
          expect(table.cookieExpires(table.find(known))).toBe(record.cookieExpires)
          expect(table.expires(table.find(known))).toBe(record.expires)
        }
      }
    }),
  )
})

test('each entry keeps its cookie, whether they have a few or one each', () => {
  const table = new Table({ max: 0, maxBytes: 0 }, () => undefined)
  const cookieOf = (n: number) => shapes.parse(`["date",{"originalMaxAge":${n}}]`)
  const put = (n: number, cookie: CookieShape | undefined) =>
    table.put(recordOf({ sid: `${n}`, cookie, expires: 1, cookieExpires: NaN }), bodyOf('x'))
  const model: (CookieShape | undefined)[] = []
  const check = () => {
    const found = model.map((_, n) => table.cookie(table.find(`${n}`)))
    expect(found).toEqual(model)
  }
  for (let n = 0; n < 255; n++) put(n, (model[n] = n % 3 === 0 ? undefined : cookieOf(n % 90)))
  check()
  for (let n = 0; n < 300; n++) put(n, (model[n] = cookieOf(n)))
  check()
  for (let n = 0; n < 300; n += 2) put(n, (model[n] = n % 4 === 0 ? undefined : cookieOf(n + 1000)))
  check()
  table.remove(table.find('299'))
  table.put(recordOf({ sid: 'new', cookie: undefined }), bodyOf('x'))
  expect(table.cookie(table.find('new'))).toBeUndefined()
})

test('an entry that grows makes others go where `maxBytes` says so', () => {
  const evicted: string[] = []
  const table = new Table({ max: 0, maxBytes: 100 }, (slot) => evicted.push(table.sid(slot)))
  table.put(recordOf({ sid: 'a', stamp: 1 }), bodyOf(letters(20)))
  table.put(recordOf({ sid: 'b', stamp: 2 }), bodyOf(letters(20)))
  table.put(recordOf({ sid: 'b', stamp: 3 }), bodyOf(letters(90)))
  expect(evicted).toEqual(['a'])
  expect(table.bytes).toBe(91)
})

test('no map holds more than a small part of the entries, so none stops the loop to grow', () => {
  let largest = 0
  const { set } = Map.prototype
  const spy = vi.spyOn(Map.prototype, 'set').mockImplementation(function (
    this: Map<unknown, unknown>,
    key,
    value,
  ) {
    set.call(this, key, value)
    if (typeof key === 'number') largest = Math.max(largest, this.size)
    return this
  })
  try {
    const table = new Table({ max: 8000, maxBytes: 0 }, () => undefined)
    for (let i = 0; i < 10_000; i++)
      table.put(recordOf({ sid: `one of many ${i}`, stamp: i }), bodyOf(''))
    expect(table.size).toBe(8000)
  } finally {
    spy.mockRestore()
  }
  expect(largest).toBeGreaterThan(0)
  expect(largest).toBeLessThan(800)
})

test('a limit takes no memory before there are sessions', () => {
  const table = new Table({ max: 2 ** 40, maxBytes: 0 }, () => undefined)
  const slot = table.put(recordOf({ sid: 'a' }), bodyOf('body of a'))
  expect(table.find('a')).toBe(slot)
})

test('those that files say were used at the same moment go in the order of their slots', () => {
  const evicted: string[] = []
  const table = new Table({ max: 2, maxBytes: 0 }, (slot) => evicted.push(table.sid(slot)))
  table.beginLoad()
  for (const sid of ['c', 'a', 'd', 'b'])
    table.put(recordOf({ sid, used: sid === 'd' ? 1 : 5 }), bodyOf(''))
  table.endLoad()
  expect(evicted).toEqual(['d', 'c'])
})

test('an evicted entry can still be read when its eviction is told', () => {
  const told: unknown[] = []
  const table = new Table({ max: 1, maxBytes: 0 }, (slot) =>
    told.push([table.sid(slot), textOf(table.body(slot)), table.expires(slot)]),
  )
  table.put(recordOf({ sid: 'a', expires: 7 }), bodyOf('body of a'))
  table.put(recordOf({ sid: 'b' }), bodyOf('body of b'))
  expect(told).toEqual([['a', 'body of a', 7]])
})

test('a walk by slot that pauses meets every entry that stays, and those once', () => {
  const stays = fc.array(fc.constantFrom('use', 'replace', 'touch'), { maxLength: 8 })
  fc.assert(
    fc.property(fc.array(stays, { minLength: 1, maxLength: 30 }), fc.nat(29), (doings, gone) => {
      const table = new Table({ max: 0, maxBytes: 0 }, () => undefined)
      const sids = Array.from({ length: 30 }, (_, i) => `sid-${i}`)
      sids.forEach((sid, i) => table.put(recordOf({ sid, stamp: i }), bodyOf('body')))
      const met: string[] = []
      for (let slot = 0; slot < table.slots; slot++) {
        if (table.has(slot)) met.push(table.sid(slot))
        // What others do while the walk pauses.
        for (const doing of doings[slot] ?? []) {
          const sid = sids[(slot * 7 + met.length) % 30]!
          const at = table.find(sid)
          if (at < 0) continue
          if (doing === 'use') table.use(sid, 1000 + slot)
          else if (doing === 'touch') table.touch(at, recordOf({ sid, stamp: 1000 + slot }))
          else table.put(recordOf({ sid, stamp: 1000 + slot }), bodyOf('another body'))
        }
        const drop = table.find(sids[gone]!)
        if (slot === gone && drop >= 0) table.remove(drop)
        table.put(recordOf({ sid: `late-${slot % 3}` }), bodyOf(''))
      }
      const first = met.filter((sid) => sid.startsWith('sid-'))
      expect(new Set(first).size).toBe(first.length)
      expect(first).toEqual(expect.arrayContaining(sids.filter((_, i) => i !== gone)))
    }),
  )
})

test('the expiry that files hold is noted to the second, and forgotten with the entry', () => {
  const table = new Table({ max: 0, maxBytes: 0 }, () => undefined)
  const expires = Date.UTC(2033, 1, 1) + 999
  const slot = table.put(recordOf({ sid: 'a', expires }), bodyOf(''))
  expect(table.saved(slot)).toBe(0)
  table.markSaved(slot)
  expect(table.saved(slot)).toBe(expires - 999)
  table.remove(slot)
  const again = table.put(recordOf({ sid: 'b', expires }), bodyOf(''))
  expect(again).toBe(slot)
  expect(table.saved(again)).toBe(0)
})

test('a session is told of before it goes, evicted ones too, and none that a clear takes', () => {
  const table = new Table({ max: 2, maxBytes: 0 }, () => undefined)
  const left: [string, number][] = []
  table.onLeave = (slot) => left.push([table.sid(slot), slot])
  const [a, b] = ['a', 'b'].map((sid) => table.put(recordOf({ sid }), bodyOf('')))
  table.put(recordOf({ sid: 'b' }), bodyOf('longer than before'))
  table.put(recordOf({ sid: 'c' }), bodyOf(''))
  table.remove(b!)
  table.clear()
  expect(left).toEqual([
    ['a', a],
    ['b', b],
  ])
})
