/** When a file that somebody puts at the path is looked at: what it holds is handover-restore's. */
import { beforeEach, describe, expect, test } from 'vitest'
import { Intake, type IntakeContext } from '../../src/core/intake.js'
import type { StoreError } from '../../src/core/errors.js'
import type { KnownFiles } from '../../src/core/known-files.js'
import type { Persistence } from '../../src/core/persistence.js'
import { gate, MemoryFiles, PATH } from '../support/memory-files.js'
import { settle, StubClock } from '../support/stub-clock.js'

let files: MemoryFiles
let clock: StubClock
let intake: Intake
let errors: StoreError[]
/** When each look began. */
let looks: number[]
/** What a look waits for. */
let hold: Promise<void>

beforeEach(() => {
  files = new MemoryFiles()
  clock = new StubClock(0)
  looks = []
  errors = []
  hold = Promise.resolve()
  const quiet = () => undefined
  const persistence = {
    distrust: quiet,
    renew: () => {
      looks.push(clock.time)
      return hold
    },
  }
  // Nothing is there where there was something: a snapshot takes its place.
  const known = { disturbed: () => [PATH], hasSnapshot: true, know: quiet, distrust: quiet }
  const onError = (error: StoreError) => errors.push(error)
  const context = { files, path: PATH, clock, onError } as unknown as IntakeContext
  intake = new Intake(
    context,
    persistence as unknown as Persistence,
    known as unknown as KnownFiles,
  )
})

describe('what was noticed', () => {
  test('is looked at when it has come to rest', async () => {
    intake.notice()
    await clock.advance(200)
    files.contents.set(`${PATH}.1`, Buffer.from('half'))
    await clock.advance(200)
    files.contents.set(`${PATH}.1`, Buffer.from('whole'))
    await clock.advance(200)
    expect(looks).toEqual([])
    await clock.advance(400)
    expect(looks).toEqual([750])
    await clock.advance(10_000)
    expect(looks).toHaveLength(1)
  })

  test('while a look is under way is looked at after it', async () => {
    const { opened, open } = gate()
    hold = opened
    intake.notice()
    await clock.advance(250)
    intake.notice()
    await clock.advance(1000)
    expect(looks).toEqual([250])
    open()
    await clock.advance(250)
    expect(looks).toHaveLength(2)
    await clock.advance(10_000)
    expect(looks).toHaveLength(2)
  })

  test('is looked at no more when it has stopped, once a look under way is over', async () => {
    const { opened, open } = gate()
    hold = opened
    intake.notice()
    await clock.advance(250)
    intake.notice()
    let stopped = false
    void intake.stop().then(() => (stopped = true))
    await settle()
    expect(stopped).toBe(false)
    open()
    await settle()
    expect(stopped).toBe(true)
    // The lease is kept, and told, until the files have been closed.
    intake.notice()
    await clock.advance(10_000)
    expect([looks, clock.timers]).toEqual([[250], 0])
  })
})

describe('what is there when another file is to take its place', () => {
  const grow = () => files.contents.set(PATH, Buffer.alloc(files.get(PATH).length + 1))
  const codes = () => errors.map(({ code }) => code)

  beforeEach(() => void files.contents.set(PATH, Buffer.alloc(1)))

  test('is taken when it has come to rest, a stop meanwhile or not', async () => {
    void intake.take(PATH)
    for (let i = 0; i < 10; i++) {
      await clock.advance(249)
      grow()
      await clock.advance(1)
    }
    await intake.stop()
    expect(codes()).toEqual([])
    await clock.advance(250)
    expect(codes()).toEqual(['ERR_FORMAT_FOREIGN'])
    expect(clock.timers).toBe(0)
  })

  test('is taken after ten seconds though it still grows', async () => {
    void intake.take(PATH)
    for (let i = 0; i < 39; i++) {
      await clock.advance(249)
      grow()
      await clock.advance(1)
    }
    grow()
    expect(codes()).toEqual([])
    await clock.advance(250)
    expect(codes()).toEqual(['ERR_FORMAT_FOREIGN'])
  })
})
