import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SlotNotes } from '../../src/core/slot-notes.js'

const slot = fc.oneof(fc.nat(70), fc.nat(40_000), fc.constantFrom(2047, 2048, 15, 16))
const step = fc.oneof(
  { weight: 9, arbitrary: fc.tuple(slot, fc.nat(3)) },
  { weight: 1, arbitrary: fc.constant('clear' as const) },
)

test('notes are those of a map, in the order of their slots', () => {
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const notes = new SlotNotes()
      const model = new Map<number, number>()
      for (const one of steps) {
        if (one === 'clear') {
          notes.clear()
          model.clear()
          continue
        }
        const [at, note] = one
        notes.set(at, note)
        if (note === 0) model.delete(at)
        else model.set(at, note)
        expect(notes.get(at)).toBe(note)
      }
      const slots = [...model.keys()].sort((a, b) => a - b)
      expect([...notes.slots()]).toEqual(slots)
      expect(slots.map((one) => notes.get(one))).toEqual(slots.map((one) => model.get(one)))
      expect(notes.size).toBe(model.size)
    }),
    { numRuns: 300 },
  )
})

test('two of them merge into the larger note of each slot', () => {
  const notesOf = (pairs: readonly (readonly [number, number])[]) => {
    const notes = new SlotNotes()
    for (const [at, note] of pairs) notes.set(at, note)
    return notes
  }
  const pairs = fc.array(fc.tuple(slot, fc.nat(3)))
  fc.assert(
    fc.property(pairs, pairs, (ours, theirs) => {
      const [notes, others, before] = [notesOf(ours), notesOf(theirs), notesOf(ours)]
      notes.merge(others)
      const slots = [...new Set([...before.slots(), ...others.slots()])].sort((a, b) => a - b)
      expect([...notes.slots()]).toEqual(slots)
      expect(notes.size).toBe(slots.length)
      for (const one of slots) {
        expect(notes.get(one)).toBe(Math.max(before.get(one), others.get(one)))
      }
      expect([...others.slots()]).toEqual([...notesOf(theirs).slots()])
    }),
    { numRuns: 300 },
  )
})

test('of slots that are not there are 0', () => {
  const notes = new SlotNotes()
  expect([notes.get(-1), notes.get(0), notes.get(1e9), [...notes.slots()]]).toEqual([0, 0, 0, []])
})

test('a walk sees what is noted by the time it gets there', () => {
  const notes = new SlotNotes()
  for (const one of [1, 2, 3, 20_000, 30_000]) notes.set(one, 1)
  const seen: number[] = []
  for (const one of notes.slots()) {
    seen.push(one)
    if (one === 1) {
      notes.set(2, 0)
      notes.set(40_000, 3)
    }
    if (one === 20_000) notes.clear()
  }
  expect(seen).toEqual([1, 3, 20_000])
})
