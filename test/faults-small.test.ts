/**
 * The campaign of test/faults in a small size. `npm run test:faults` runs all of it.
 */
import { describe, expect, it } from 'vitest'
import * as clock from './faults/faults/clock.js'
import * as cutTail from './faults/faults/cut-tail.js'
import * as failedSync from './faults/faults/failed-sync.js'
import * as flippedByte from './faults/faults/flipped-byte.js'
import * as foreignFiles from './faults/faults/foreign-files.js'
import * as fullDisk from './faults/faults/full-disk.js'
import * as handover from './faults/faults/handover.js'
import * as hostileBytes from './faults/faults/hostile-bytes.js'
import * as powerLoss from './faults/faults/power-loss.js'
import * as reload from './faults/faults/reload.js'
import * as tornSector from './faults/faults/torn-sector.js'

/** Tries of each: a second or two. */
const SMALL = [
  [cutTail, 50],
  [flippedByte, 100],
  [tornSector, 60],
  [hostileBytes, 3000],
  [reload, 25],
  [clock, 40],
  [failedSync, 40],
  [powerLoss, 60],
  [foreignFiles, 17],
  [fullDisk, 6],
  [handover, 3],
] as const

describe('faults, in a small size', () => {
  for (const [fault, count] of SMALL) {
    it(`survives: ${fault.name}`, async () => {
      const tally = await fault.run(count, 1)
      expect(tally.problems).toEqual([])
      expect({ lost: tally.lost, wrong: tally.wrong }).toEqual({ lost: 0, wrong: 0 })
      expect(tally.survived).toBe(tally.tries)
      expect(tally.sessionsChecked).toBeGreaterThan(0)
    })
  }
})
