/**
 * The files of a store: in which order they come and go, what any moment leaves of them, and that
 * no plain text stays behind where it should not.
 */
import { describe, expect, test } from 'vitest'
import { flipEntries } from '../support/damage.js'
import { errno, type MemoryFiles, PATH } from '../support/memory-files.js'
import { settle } from '../support/stub-clock.js'
import {
  afterKill,
  begin,
  lettersIn,
  open,
  restart,
  sessionOf,
  setLetters,
  sidsIn,
  type Stage,
} from '../support/stores.js'

describe('a new generation', () => {
  test('takes nothing away before it is on disk with its folder', async () => {
    const { store, files } = await open()
    await store.set('a', sessionOf())
    await store.flush()
    await store.snapshot()
    await store.set('b', sessionOf())
    await store.flush()
    files.calls = []
    await store.snapshot()
    const [snapshot, journal] = ['s.snapshot', 's.snapshot.journal-3']
    expect(files.calls).toEqual([
      `create ${journal}`,
      `append ${journal}`,
      `sync ${journal}`,
      'syncFolder sessions',
      `write ${snapshot}`,
      `sync ${snapshot}`,
      `keep ${snapshot}.1`,
      `rename ${snapshot}`,
      'syncFolder sessions',
      `remove ${snapshot}.journal-1`,
      'syncFolder sessions',
    ])
    expect(files.names()).toEqual([
      snapshot,
      `${snapshot}.1`,
      `${snapshot}.journal-2`,
      `${snapshot}.journal-3`,
    ])
  })

  test('leaves all that was acknowledged at whatever moment it is cut off', async () => {
    const stage = await open({ durability: 'always' })
    const { store, files } = stage
    const moments: { disk: MemoryFiles; live: string[]; gone: string[]; call: string }[] = []
    const live = new Set<string>()
    const gone = new Set<string>()
    files.hold = (operation, name) => {
      if (operation === 'read' || operation === 'open') return undefined
      const call = `${operation} ${name}`
      moments.push({ disk: files.fork(), live: [...live], gone: [...gone], call })
      return undefined
    }
    for (let i = 0; i < 12; i++) {
      await store.set(`${i}`, sessionOf({ i }))
      live.add(`${i}`)
      if (i % 3 === 2) {
        // Neither there nor gone for certain until it is answered.
        live.delete(`${i - 1}`)
        await store.destroy(`${i - 1}`)
        gone.add(`${i - 1}`)
      }
      if (i % 4 === 3) await store.snapshot()
    }
    expect(moments.length).toBeGreaterThan(60)
    for (const { disk, live, gone, call } of moments) {
      const found = await open({}, { files: disk })
      const sids = await sidsIn(found)
      expect(sids, call).toEqual(expect.arrayContaining(live))
      expect(
        sids.filter((sid) => gone.includes(sid)),
        call,
      ).toEqual([])
      expect(found.errors, call).toEqual([])
      await found.store.close()
    }
  })
})

test('a generation that was begun and not finished goes on after a restart, and none fills in less', async () => {
  const stage = await open()
  await setLetters(stage, 'ab')
  await stage.store.snapshot()
  await setLetters(stage, 'c')
  await stage.store.flush()
  stage.files.fail = (operation) => (operation === 'rename' ? errno('ENOSPC') : undefined)
  await expect(stage.store.snapshot()).rejects.toMatchObject({ code: 'ERR_WRITE' })
  stage.files.fail = () => undefined
  await setLetters(stage, 'd')
  const next = await restart(stage)
  await next.store.snapshot()
  flipEntries(next.files, PATH)
  expect(await lettersIn(await afterKill(next))).toBe('abcd')
})

describe('what a killed process left', () => {
  test('temporary files go, and nothing else does', async () => {
    const stage = await open()
    await stage.store.set('a', sessionOf())
    await stage.store.snapshot()
    await stage.store.close()
    const { files } = stage
    const left = ['1234567890', '1.1234567890', '987654321']
    for (const suffix of left) files.contents.set(`${PATH}.${suffix}`, Buffer.from('half'))
    const theirs = ['backup', '1.gz', '2', '12', 'corrupt-2024', 'journal-x', '2024']
    for (const suffix of theirs) files.contents.set(`${PATH}.${suffix}`, Buffer.from('theirs'))
    await open({}, { files })
    const suffixes = files.names().map((name) => name.slice('s.snapshot.'.length))
    for (const suffix of left) expect(suffixes).not.toContain(suffix)
    expect(suffixes).toEqual(expect.arrayContaining(theirs))
  })
})

describe('encryption', () => {
  const secret = 'what-nobody-may-read'

  /** The names of files in which a text stands. */
  const showing = ({ files }: Stage, text = secret) =>
    files.names().filter((name) => files.get(`/sessions/${name}`).includes(text))
  /** Lets what a start sets off come to its end; keys take their time. */
  const renewed = async ({ store }: Stage) => {
    await store.ready()
    for (let i = 0; i < 200 && store.stats().snapshot === undefined; i++) await settle(5)
  }
  const filled = async (options: Parameters<typeof open>[0] = {}) => {
    const stage = await open(options)
    await stage.store.set(`sid ${secret}`, sessionOf({ secret }))
    await stage.store.snapshot()
    await stage.store.set('b', sessionOf({ secret }, { domain: secret }))
    await stage.store.snapshot()
    await stage.store.set('c', sessionOf({ secret }))
    await stage.store.destroy('b')
    await stage.store.flush()
    return stage
  }

  test.each(['snapshot', 'everysec', 'always'] as const)(
    'with durability %s no file shows anything of a session',
    async (durability) => {
      const stage = await filled({ durability, encryptionKey: 'a key' })
      await stage.store.close()
      expect(showing(stage)).toEqual([])
      expect(showing(stage, 'domain')).toEqual([])
      const again = await open({ durability, encryptionKey: 'a key' }, stage)
      expect(await sidsIn(again)).toEqual(['c', `sid ${secret}`])
    },
  )

  test('switched on leaves no plain text in any file, though nothing is ever set', async () => {
    const plain = await filled()
    const stage = await restart(plain, { encryptionKey: 'a key' })
    expect(showing(plain).length).toBeGreaterThan(0)
    await renewed(stage)
    expect(showing(stage)).toEqual([])
    expect(await sidsIn(await restart(stage, { encryptionKey: 'a key' }))).toEqual([
      'c',
      `sid ${secret}`,
    ])
  })

  test('with a new key, the old one is of no use from the next generation on', async () => {
    const old = await filled({ encryptionKey: 'old' })
    const rotated = await restart(old, { encryptionKey: ['new', 'old'] })
    await renewed(rotated)
    const alone = await restart(rotated, { encryptionKey: 'new' })
    expect(await sidsIn(alone)).toEqual(['c', `sid ${secret}`])
    await alone.store.close()
    const { store } = begin({ encryptionKey: 'old' }, { files: alone.files })
    await expect(store.ready()).rejects.toMatchObject({ code: 'ERR_KEY' })
  })

  test('switched off, files are plain from the next generation on', async () => {
    const sealed = await filled({ encryptionKey: 'a key' })
    const found = new Map(sealed.files.contents)
    await sealed.store.close()
    const { store } = begin({}, sealed)
    await expect(store.ready()).rejects.toMatchObject({ code: 'ERR_KEY', path: PATH })
    await store.close()
    expect(sealed.files.contents).toEqual(found)
  })

  test.each([
    ['a wrong key', { encryptionKey: 'wrong' }],
    ['no key', {}],
    ['two wrong keys', { encryptionKey: ['wrong', 'too'] }],
  ])('%s: nothing is served, nothing is touched', async (_, options) => {
    const sealed = await filled({ encryptionKey: 'a key' })
    await sealed.store.close()
    const found = new Map(sealed.files.contents)
    const { store } = begin(options, sealed)
    await expect(store.get('c')).rejects.toMatchObject({ code: 'ERR_KEY', path: PATH })
    await store.close()
    expect(sealed.files.contents).toEqual(found)
  })

  test('a kill while the files are renewed leaves them readable with either key', async () => {
    const old = await filled({ encryptionKey: 'old' })
    await old.store.close()
    const disks: MemoryFiles[] = []
    old.files.hold = (operation) => {
      if (operation !== 'read' && operation !== 'open') disks.push(old.files.fork())
      return undefined
    }
    const rotating = await open({ encryptionKey: ['new', 'old'] }, old)
    await renewed(rotating)
    expect(disks.length).toBeGreaterThan(5)
    // Keys take a tenth of a second each.
    for (const disk of disks.filter((_, i) => i % 3 === 0)) {
      const found = await open({ encryptionKey: ['new', 'old'] }, { files: disk })
      expect(await sidsIn(found)).toEqual(['c', `sid ${secret}`])
      await renewed(found)
      await found.store.close()
    }
    const last = await afterKill(rotating, { encryptionKey: 'new' })
    expect(await last.store.length()).toBe(2)
  })
})
