/**
 * What is kept of sessions that have ended while another process owned the files.
 */
import { expect, test } from 'vitest'
import { Lapsed } from '../../src/core/lapsed.js'
import { spanOf } from '../../src/core/span.js'
import { Table } from '../../src/core/table.js'
import { recordOf } from '../support/records.js'
import { NOON } from '../support/stub-clock.js'

/** Keeps a session that ended at noon, or when it is said, with a body of so many bytes. */
function lapse(lapsed: Lapsed, sid: string, now: number, bytes = 10, expires = NOON): void {
  const table = new Table({ max: 0, maxBytes: 0 }, () => undefined)
  const body = spanOf(Buffer.alloc(bytes, sid))
  lapsed.add(table, table.put(recordOf({ sid, stamp: 7, expires }), body), now)
}

test('a session that has ended is kept with all it was, until it is taken back', () => {
  const lapsed = new Lapsed()
  lapse(lapsed, 'a', NOON)
  const { record, body } = lapsed.get('a')!
  expect(record).toMatchObject({ sid: 'a', stamp: 7, expires: NOON })
  expect(body.bytes.subarray(body.start, body.end)).toEqual(Buffer.alloc(10, 'a'))
  lapsed.delete('a')
  expect(lapsed.get('a')).toBeUndefined()
})

test('one that ended a while ago is not, nor any longer when the next one comes', () => {
  const lapsed = new Lapsed()
  lapse(lapsed, 'a', NOON + 64_999)
  expect(lapsed.get('a')).toBeDefined()
  lapse(lapsed, 'b', NOON + 65_000)
  expect(lapsed.get('b')).toBeUndefined()
  lapse(lapsed, 'c', NOON + 65_000, 10, NOON + 1000)
  expect(['a', 'c'].map((sid) => lapsed.get(sid) !== undefined)).toEqual([false, true])
})

test('of many the last ones are kept, in 16 MiB', () => {
  const lapsed = new Lapsed()
  const held = () => [...'abcdef'].filter((sid) => lapsed.get(sid)).join('')
  for (const sid of 'abcd') lapse(lapsed, sid, NOON, 4 * 1024 * 1024)
  expect(held()).toBe('abcd')
  lapse(lapsed, 'b', NOON, 4 * 1024 * 1024)
  expect(held()).toBe('abcd')
  lapse(lapsed, 'e', NOON)
  expect(held()).toBe('bcde')
  lapsed.clear()
  expect(held()).toBe('')
  for (const sid of 'abcd') lapse(lapsed, sid, NOON, 4 * 1024 * 1024)
  expect(held()).toBe('abcd')
})
