/** The slab allocator against a list of cells, and what becomes of its pages. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PLACE, Slab } from '../../src/core/slab.js'
import { textOf } from '../support/bodies.js'

const SLOTS = 40

/** Some length of every kind: none, within the fine classes, beyond them, with a page to itself. */
const length = fc.oneof(
  fc.integer({ min: 0, max: 80 }),
  fc.integer({ min: 0, max: 1100 }),
  fc.integer({ min: 1000, max: 70_000 }),
  fc.constantFrom(15, 16, 17, 1023, 1024, 1025, 1152, 1153, 65_535, 65_536, 65_537),
)
const step = fc.record({ slot: fc.nat(SLOTS - 1), length: fc.option(length) })

function write(slab: Slab, places: Uint32Array, at: number, text: string): void {
  const { bytes, start } = slab.at(places, at)
  bytes.write(text, start, 'latin1')
}

/** Bytes that tell whose they are and how long. */
function content(slot: number, turn: number, size: number): string {
  return `${slot}.${turn}.${size}/`.repeat(size / 6 + 1).slice(0, size)
}

test('holds what was put into it, whatever is put, replaced and removed', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const slab = new Slab()
      const places = new Uint32Array(SLOTS * PLACE)
      const model = new Map<number, string>()
      steps.forEach(({ slot, length: size }, turn) => {
        const at = slot * PLACE
        if (size === null) {
          if (model.delete(slot)) slab.remove(places, at)
        } else {
          const text = content(slot, turn, size)
          const before = model.get(slot)
          if (before === undefined) slab.add(size, places, at)
          else {
            const kept = Math.min(size, before.length, turn)
            slab.resize(size, kept, places, at)
            expect(textOf(slab.at(places, at)).slice(0, kept)).toBe(before.slice(0, kept))
          }
          write(slab, places, at, text)
          model.set(slot, text)
        }
        for (const [known, text] of model) {
          if (textOf(slab.at(places, known * PLACE)) !== text) throw new Error(`${known} is spoilt`)
        }
      })
    }),
    { numRuns: 200 },
  )
})

test('holds what is of one size, however many of its pages come and go', () => {
  const many = 60
  fc.assert(
    fc.property(fc.array(fc.nat(many - 1), { maxLength: 400, size: 'max' }), (slots) => {
      const slab = new Slab()
      const places = new Uint32Array(many * PLACE)
      const model = new Map<number, string>()
      slots.forEach((slot, turn) => {
        const at = slot * PLACE
        if (model.delete(slot)) slab.remove(places, at)
        else {
          const text = `${slot}.${turn}`.padEnd(60_000, '/')
          slab.add(text.length, places, at)
          write(slab, places, at, text.slice(0, 8))
          model.set(slot, text.slice(0, 8))
        }
      })
      for (const [known, text] of model) {
        expect(textOf(slab.at(places, known * PLACE)).slice(0, 8)).toBe(text)
      }
    }),
    { numRuns: 50 },
  )
})

describe('pages', () => {
  const many = 5000
  const fill = (slab: Slab, places: Uint32Array, size: number) => {
    for (let i = 0; i < many; i++) slab.add(size, places, i * PLACE)
  }
  const empty = (slab: Slab, places: Uint32Array) => {
    for (let i = 0; i < many; i++) slab.remove(places, i * PLACE)
  }

  test.each([1, 16, 100, 500, 1024, 3000])('of bodies of %d bytes waste little', (size) => {
    const slab = new Slab()
    const places = new Uint32Array(many * PLACE)
    fill(slab, places, size)
    const cells = many * Math.ceil(size / 16) * 16
    expect(slab.reserved).toBeLessThan(cells * 1.07 + 512 * 1024)
  })

  test('are given back when their bodies have gone, and used again', () => {
    const slab = new Slab()
    const places = new Uint32Array(many * PLACE)
    fill(slab, places, 900)
    const full = slab.reserved
    empty(slab, places)
    expect(slab.reserved).toBeLessThan(full / 10)
    fill(slab, places, 900)
    expect(slab.reserved).toBeLessThan(full * 1.1)
  })

  test('follow the sessions to another size', () => {
    const slab = new Slab()
    const places = new Uint32Array(many * PLACE)
    fill(slab, places, 1000)
    for (let i = 0; i < many; i++) slab.resize(200, 33, places, i * PLACE)
    expect(slab.reserved).toBeLessThan(many * 208 + 1024 * 1024)
  })

  test('are used to their last cell', () => {
    const slab = new Slab()
    const places = new Uint32Array(4 * PLACE)
    for (let i = 0; i < 4; i++) slab.add(104, places, i * PLACE)
    expect(slab.reserved).toBe(4 * 104)
  })

  test('of large bodies are theirs alone', () => {
    const slab = new Slab()
    const places = new Uint32Array(2 * PLACE)
    slab.add(1_000_000, places, 0)
    slab.add(70_000, places, PLACE)
    expect(slab.reserved).toBe(1_070_000)
    slab.remove(places, 0)
    expect(slab.reserved).toBe(70_000)
    slab.resize(1, 1, places, PLACE)
    expect(slab.reserved).toBeLessThan(1000)
  })

  test('of a small store are small', () => {
    const slab = new Slab()
    const places = new Uint32Array(100 * PLACE)
    for (let i = 0; i < 100; i++) slab.add(i * 10, places, i * PLACE)
    expect(slab.reserved).toBeLessThan(200_000)
  })
})
