/** What a listener throws is its own affair: it comes up where nothing is under way, and spoils nothing. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  afterKill,
  begin,
  lettersIn,
  open,
  restart,
  sessionOf,
  setLetters,
} from '../support/stores.js'
import { errno } from '../support/memory-files.js'
import { MemoryNotes } from '../support/memory-notes.js'
import { settle } from '../support/stub-clock.js'

const fault = new Error('a listener')
const throws = () => {
  throw fault
}
/** What came up in the process. */
const uncaught = vi.fn()

beforeEach(() => {
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', uncaught)
  return () => {
    process.off('uncaughtException', uncaught)
    for (const other of others) process.on('uncaughtException', other)
  }
})

afterEach(() => uncaught.mockReset())

describe('where a listener throws', () => {
  test('an eviction is done, and the session that made it necessary is kept', async () => {
    const stage = await open({ max: 2, durability: 'always' })
    const { store } = stage
    store.on('evicted', throws)
    await setLetters(stage, 'abc')
    expect(await lettersIn(stage)).toBe('bc')
    expect(store.stats()).toMatchObject({ sessions: 2, evicted: 1 })
    expect(await lettersIn(await afterKill(stage))).toBe('bc')
    await settle()
    expect(uncaught.mock.calls.map(([error]) => error as unknown)).toEqual([fault])
  })

  test('a session that has expired is gone', async () => {
    const stage = await open()
    const { store, clock } = stage
    store.on('expired', throws)
    await setLetters(stage, 'ab')
    clock.jump(25 * 3_600_000)
    expect(await store.get('a')).toBeUndefined()
    await store.prune()
    expect(store.stats()).toMatchObject({ sessions: 0, expired: 2 })
    await settle()
    expect(uncaught).toHaveBeenCalledTimes(2)
  })

  test('a start is a start, though it evicts', async () => {
    const stage = await open()
    await setLetters(stage, 'abc')
    await stage.store.close()
    const again = begin({ max: 2 }, stage)
    for (const event of ['ready', 'evicted']) again.store.on(event, throws)
    expect(await again.store.ready()).toMatchObject({ sessions: 2 })
    await settle()
    expect(uncaught).toHaveBeenCalledTimes(2)
  })

  test('a snapshot that was written counts as written, once', async () => {
    const stage = await open({ durability: 'snapshot', snapshotInterval: 1000 })
    const { store, clock, errors } = stage
    store.on('snapshot', throws)
    await setLetters(stage, 'ab')
    await clock.advance(10_000)
    expect(uncaught).toHaveBeenCalledTimes(1)
    expect(errors).toEqual([])
    expect(store.stats()).toMatchObject({ unsaved: false, writeError: undefined })
  })

  test('an error is told to whoever waits for the write as well', async () => {
    const { store, files } = await open({ durability: 'always' })
    store.on('error', throws)
    files.fail = () => errno('EIO')
    await expect(store.destroy('a').then(() => store.clear())).rejects.toMatchObject({
      code: 'ERR_WRITE',
    })
    files.fail = () => undefined
    await store.flush()
    expect(uncaught).toHaveBeenCalled()
  })

  test('a close writes what is unsaved', async () => {
    const notes = new MemoryNotes()
    const create = vi.spyOn(notes, 'create').mockRejectedValue(errno('ENOSPC'))
    const stage = await open({}, { notes })
    await setLetters(stage, 'a')
    create.mockRestore()
    for (const event of ['owner', 'error']) stage.store.on(event, throws)
    await stage.store.close()
    expect(uncaught).toHaveBeenCalledTimes(1)
    expect(await lettersIn(await open({}, { files: stage.files }))).toBe('a')
  })

  test('another one that clears the store at an eviction has each session disposed of once', async () => {
    const gone: string[] = []
    const { store } = await open({ max: 2, dispose: (sid) => void gone.push(sid) })
    store.on('evicted', () => void store.clear())
    for (const sid of 'abc') await store.set(sid, sessionOf())
    expect(gone.sort()).toEqual(['a', 'b', 'c'])
    expect(await store.ids()).toEqual([])
  })

  test('another one that clears the store while it restores is obeyed', async () => {
    const stage = await open()
    await setLetters(stage, 'abc')
    const again = await restart(stage, { max: 3 })
    again.store.on('evicted', () => void again.store.clear())
    await setLetters(again, 'd')
    expect(await lettersIn(again)).toBe('')
  })
})
