import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Successors } from '../../src/core/successors.js'
import { MemoryNotes } from '../support/memory-notes.js'
import { elapsed, StubClock } from '../support/stub-clock.js'

const PATH = '/sessions/s'

let notes: MemoryNotes
let clock: StubClock
let successors: Successors
let pass: (ms: number) => void

beforeEach(() => {
  notes = new MemoryNotes()
  clock = new StubClock()
  successors = new Successors(notes, PATH, clock)
  pass = elapsed()
})

afterEach(() => vi.restoreAllMocks())

/** Who is there, looked for every two seconds for as long. */
async function seenFor(seconds: number): Promise<string[]> {
  for (let i = 0; i < seconds; i += 2) {
    await successors.present()
    await clock.advance(2000)
    pass(2000)
  }
  return successors.present()
}

describe('successors', () => {
  test('are there as long as they date their notes', async () => {
    const { name, withdraw } = await new Successors(notes, PATH, clock).announce()
    expect(await seenFor(60)).toEqual([name])
    await withdraw()
    expect(await successors.present()).toEqual([])
    expect(clock.timers).toBe(0)
  })

  test('whose note was taken away leave it again, until they withdraw', async () => {
    const { name, withdraw } = await new Successors(notes, PATH, clock).announce()
    await notes.remove(`/sessions/${name}`)
    expect(await successors.present()).toEqual([])
    expect(await seenFor(10)).toEqual([name])
    await notes.remove(`/sessions/${name}`)
    const leaving = clock.advance(10_000)
    await withdraw()
    await leaving
    expect(notes.notes.size).toBe(0)
  })

  test('that have gone since their names were read are not there', async () => {
    const { withdraw } = await new Successors(notes, PATH, clock).announce()
    const siblings = notes.siblings.bind(notes)
    vi.spyOn(notes, 'siblings').mockImplementationOnce(async (path) => {
      const names = await siblings(path)
      await withdraw()
      return names
    })
    expect(await successors.present()).toEqual([])
  })

  test.each(['', '{', 'null', '{"pid":"1"}'])(
    'whose notes make no sense (%o) are gone when these are not dated',
    async (text) => {
      const name = 's.successor-999999-abcdefabcdef'
      await notes.create(`/sessions/${name}`, () => text)
      expect(await seenFor(8)).toEqual([name])
      expect(await seenFor(4)).toEqual([])
      expect(notes.notes.size).toBe(0)
    },
  )

  test('of this process are gone with their threads', async () => {
    await new Successors(notes, PATH, new StubClock()).announce()
    expect(await seenFor(8)).toHaveLength(1)
    expect(await seenFor(4)).toEqual([])
  })
})
