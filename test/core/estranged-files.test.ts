/**
 * Files that somebody has taken away or written over: what was acknowledged is in memory, and a clean
 * stop leaves it on disk, whether anybody has noticed by then or not.
 */
import { describe, expect, test } from 'vitest'
import { flipEntries } from '../support/damage.js'
import { errno, gate, type MemoryFiles, PATH } from '../support/memory-files.js'
import {
  closed,
  endsIn,
  lettersIn,
  open,
  restart,
  sessionOf,
  setLetters,
  type Stage,
} from '../support/stores.js'
import { HOUR } from '../support/records.js'
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

test('a file put there in the moment in which a snapshot takes its place is taken in', async () => {
  const stage = await filled({})
  const put = await foreign()
  stage.files.hold = (operation) => {
    if (operation === 'keep') stage.files.contents.set(PATH, put)
    return undefined
  }
  await meanwhile(stage.clock, stage.store.snapshot())
  stage.files.hold = () => undefined
  expect(await lettersIn(stage)).toBe('abcdxyz')
})

test('a backup put in the place of a damaged snapshot is taken in, not written over', async () => {
  const before = await filled({})
  await before.store.close()
  flipEntries(before.files, PATH)
  before.files.fail = (operation) => (operation === 'write' ? errno('ENOSPC') : undefined)
  const stage = await open({}, before)
  await settle()
  stage.files.contents.set(PATH, await foreign())
  stage.files.fail = () => undefined
  await meanwhile(stage.clock, stage.store.snapshot())
  expect(await lettersIn(stage)).toBe('abcdxyz')
})

test('a generation before that is of another store is kept under another name', async () => {
  const before = await filled({})
  await before.store.close()
  const other = await foreign()
  before.files.contents.set(`${PATH}.1`, other)
  const { store, files } = await open({}, before)
  await store.snapshot()
  expect([...files.contents.values()].some((bytes) => bytes.equals(other))).toBe(true)
})

test('a snapshot that is removed is written again, whether anybody watches or not', async () => {
  for (const watch of [false, true]) {
    const stage = await filled({ watch })
    remove(stage.files, /snapshot$/)
    await stage.clock.advance(5000)
    expect(stage.files.contents.has(PATH)).toBe(true)
  }
})

test('what a link leads to that somebody has put there is taken in before the link goes', async () => {
  const stage = await filled({})
  const put = await foreign()
  stage.files.contents.set(PATH, put)
  stage.files.kind = (path) =>
    Promise.resolve(stage.files.contents.get(path) === put ? 'link' : 'file')
  await meanwhile(stage.clock, stage.store.snapshot())
  expect(await lettersIn(stage)).toBe('abcdxyz')
})

test('a generation before that can not be looked at for a moment is nobody else’s', async () => {
  const stage = await open()
  await setLetters(stage, 'a')
  stage.files.fail = (operation, name) =>
    operation === 'stat' && name.endsWith('.1') ? errno('EIO') : undefined
  expect(await meanwhile(stage.clock, stage.store.snapshot())).toMatchObject({ sessions: 1 })
})

test('a session that has ended does not come back from a backup by which it was to live on', async () => {
  const stage = await open()
  const { store, files, clock } = stage
  await store.set('a', sessionOf({}, endsIn(clock, 24 * HOUR)))
  await store.snapshot()
  const backup = files.get(PATH)
  await store.touch('a', sessionOf({}, endsIn(clock, HOUR)))
  await store.close()
  clock.jump(2 * HOUR)
  const next = await open({}, stage)
  await setLetters(next, 'b')
  await next.store.snapshot()
  files.contents.set(PATH, backup)
  await meanwhile(clock, next.store.snapshot())
  expect(await lettersIn(next)).toBe('b')
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

test('a change on its way when a journal is seen to be gone waits for a whole generation', async () => {
  const before = await open({ durability: 'always' })
  await setLetters(before, 'a')
  const stage = await restart(before, { durability: 'always' })
  const { store, files, clock } = stage
  const { opened, open: release } = gate()
  files.hold = (operation, name) =>
    operation === 'sync' && name.includes('journal') ? opened : undefined
  const answered = setLetters(stage, 'b').then(() => afterwards(stage))
  await settle()
  remove(files, /journal-1/)
  await clock.advance(3000)
  files.hold = () => undefined
  release()
  expect(await answered).toBe('ab')
  await store.flush()
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
