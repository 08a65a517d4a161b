/**
 * The campaign's eye for two writers, over files as one writer leaves them and as two would.
 */
import { describe, expect, test } from 'vitest'
import { twoWriters } from './faults/lib/handover-files.js'

interface Kept {
  id: string
  name: string
  kind: string
  generation: number
  term: number
  pid: number
  stamp: number
  tail: boolean
  highest: number
  ino: number
  size: number
  before: Map<number, number>
}

/** A file as the campaign keeps it; `size` of those that were there before it. */
function file(fields: Partial<Kept>, before: [Kept, number][] = []): Kept {
  const { ino = 1, kind = 'journal', generation = 1 } = fields
  return {
    id: `id-${ino}`,
    name: kind === 'journal' ? `s.journal-${ino}` : 's',
    kind,
    generation,
    term: 1,
    pid: 100,
    stamp: 0,
    tail: false,
    highest: 10,
    ino,
    size: 2000,
    before: new Map(before.map(([one, size]) => [one.ino, size])),
    ...fields,
  }
}

const first = file({})
const next = file({ ino: 2, term: 2, pid: 200, stamp: 10, highest: 20 }, [[first, 2000]])

describe('two writers', () => {
  test('are not seen where one followed the other', () => {
    expect(twoWriters([first, next])).toEqual([])
  })

  test('are not seen where a kill has kept from a journal what the snapshot has', () => {
    const snapshot = file({ kind: 'snapshot', ino: 3, highest: 15 })
    expect(twoWriters([first, snapshot, next])).toEqual([])
    expect(twoWriters([first, { ...snapshot, tail: true }, next])).toEqual([
      expect.stringContaining('written after the next'),
    ])
  })

  test.each([
    ['wrote without a lease', [file({ term: 0 })], 'without a lease'],
    ['used one lease', [first, file({ ino: 2, pid: 200 })], 'was used by 2 processes'],
    [
      'wrote at a time, as the stamps tell',
      [file({ highest: 15 }), next],
      'written after the next',
    ],
    [
      'wrote at a time, as the sizes tell',
      [first, { ...next, before: new Map([[first.ino, 1990]]) }],
      'grew under the next',
    ],
    [
      'wrote one snapshot',
      [
        file({ kind: 'snapshot', highest: 0 }),
        file({ kind: 'snapshot', ino: 2, term: 2, highest: 0 }),
      ],
      'was written twice',
    ],
    ['wrote one journal', [first, file({ id: 'other', name: first.name })], 'was written twice'],
  ])('are seen where they %s', (_name, files, told) => {
    expect(twoWriters(files)).toContainEqual(expect.stringContaining(told))
  })
})
