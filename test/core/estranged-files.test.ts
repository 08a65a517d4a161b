/**
 * Files that somebody has taken away or written over: what was acknowledged is in memory, and a clean
 * stop leaves it on disk, whether anybody has noticed by then or not.
 */
import { describe, expect, test } from 'vitest'
import { errno, gate, type MemoryFiles, PATH } from '../support/memory-files.js'
import { closed, lettersIn, open, restart, setLetters, type Stage } from '../support/stores.js'
import { meanwhile, settle, StubClock } from '../support/stub-clock.js'

const DURABILITIES = ['always', 'everysec', 'snapshot'] as const

/** Several generations, and changes since. */
async function filled(options: Parameters<typeof open>[0]): Promise<Stage> {
  const stage = await open(options)
  for (const sid of 'abc') {
    await setLetters(stage, sid)
    await stage.store.snapshot()
  }
  await setLetters(stage, 'd')
  await stage.store.flush()
  return stage
}

/** The snapshot of another store. */
async function foreign(): Promise<Buffer> {
  const stage = await open()
  await setLetters(stage, 'xyz')
  await stage.store.snapshot()
  return Buffer.from(stage.files.get(PATH))
}

function remove(files: MemoryFiles, which: RegExp): void {
  for (const path of files.contents.keys()) if (which.test(path)) files.contents.delete(path)
}

/** What a process finds that starts now. */
async function afterwards({ files, clock }: Stage): Promise<string> {
  return lettersIn(await open({}, { files: files.fork(), clock }))
}

describe.each(DURABILITIES)('with durability %s, a close', (durability) => {
  test('keeps everything where another file has just been put there, and takes it in', async () => {
    const stage = await filled({ durability })
    stage.files.contents.set(PATH, await foreign())
    await closed(stage)
    expect(await afterwards(stage)).toBe('abcdxyz')
  })

  test.each([
    ['the snapshot has', /snapshot$/],
    ['journals have', /journal/],
    ['all files have', /snapshot/],
  ])('keeps everything where %s just been removed', async (_, which) => {
    const stage = await filled({ durability })
    remove(stage.files, which)
    await closed(stage)
    expect(await afterwards(stage)).toBe('abcd')
  })
})

test('a close keeps what only journals of earlier processes held, and those have been removed', async () => {
  const before = await open()
  await setLetters(before, 'ab')
  const stage = await restart(before)
  remove(stage.files, /journal/)
  await closed(stage)
  expect(await afterwards(stage)).toBe('ab')
})

test('a merge whose snapshot fails is made good when there is room', async () => {
  const stage = await filled({ watch: true })
  stage.files.contents.set(PATH, await foreign())
  stage.files.fail = (operation) => (operation === 'write' ? errno('ENOSPC') : undefined)
  await stage.clock.advance(5000)
  expect(stage.store.stats()).toMatchObject({ unsaved: true, writeError: { code: 'ERR_WRITE' } })
  stage.files.fail = () => undefined
  await stage.clock.advance(120_000)
  expect(stage.store.stats()).toMatchObject({ unsaved: false, writeError: undefined })
  expect(await afterwards(stage)).toBe('abcdxyz')
})

test('what was destroyed in a file that is merged by a snapshot under way stays so', async () => {
  const stage = await open()
  await setLetters(stage, 'ab')
  await stage.store.snapshot()
  const other = await open({}, { files: stage.files.fork(), clock: stage.clock })
  await other.store.destroy('b')
  await other.store.snapshot()
  stage.files.contents.set(PATH, other.files.get(PATH))
  await meanwhile(stage.clock, stage.store.snapshot())
  await settle(40)
  expect(await lettersIn(stage)).toBe('a')
  expect(await afterwards(stage)).toBe('a')
})

test('journals that are removed while a snapshot is written are made good', async () => {
  const stage = await open({ durability: 'always' })
  await setLetters(stage, 'a')
  await stage.store.snapshot()
  const { opened, open: release } = gate()
  stage.files.hold = (operation) => (operation === 'write' ? opened : undefined)
  const snapshot = stage.store.snapshot()
  await settle()
  await setLetters(stage, 'l')
  remove(stage.files, /journal/)
  await stage.clock.advance(10_000)
  release()
  await snapshot
  await settle(40)
  expect(await afterwards(stage)).toBe('al')
})

test('files that can not be made good are tried again with growing pauses', async () => {
  const stage = await filled({})
  remove(stage.files, /journal/)
  let tries = 0
  stage.files.fail = (operation) => {
    if (operation !== 'write') return undefined
    tries++
    return errno('ENOSPC')
  }
  await stage.clock.advance(60_000)
  // At once, and 1, 2, 4 seconds later and so on.
  expect(tries).toBeGreaterThan(3)
  expect(tries).toBeLessThan(10)
  stage.files.fail = () => undefined
  await stage.clock.advance(60_000)
  expect(await afterwards(stage)).toBe('abcd')
})

test('a snapshot that is asked for right before a close is written', async () => {
  const stage = await open()
  await setLetters(stage, 'abc')
  const asked = [stage.store.snapshot(), stage.store.snapshot()]
  await stage.store.close()
  const { length } = stage.files.calls
  expect(await Promise.all(asked)).toMatchObject([{ sessions: 3 }, { sessions: 3 }])
  await settle()
  expect(stage.files.calls).toHaveLength(length)
})

test('what was cleared in a file that is merged was there alone', async () => {
  const stage = await filled({})
  const other = await open({}, { clock: new StubClock(stage.clock.time + 60_000) })
  await setLetters(other, 'x')
  await other.store.clear()
  await setLetters(other, 'yz')
  await other.store.snapshot()
  stage.files.contents.set(PATH, Buffer.from(other.files.get(PATH)))
  await meanwhile(stage.clock, stage.store.snapshot())
  expect(await lettersIn(stage)).toBe('abcdyz')
  expect(await afterwards(stage)).toBe('abcdyz')
})

test('a clock that was decades ahead for a while costs no session', async () => {
  const stage = await filled({})
  const ahead = Date.UTC(2120, 0) - stage.clock.time
  stage.clock.jump(ahead)
  await setLetters(stage, 'e')
  stage.clock.jump(-ahead)
  await setLetters(stage, 'fg')
  await stage.store.snapshot()
  await setLetters(stage, 'h')
  const next = await restart(stage)
  expect(await lettersIn(next)).toContain('fgh')
  expect(next.errors).toEqual([])
})
