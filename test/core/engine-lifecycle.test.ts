/**
 * From the start to the end: what waits for the restore, what a failed one means, what closing and
 * exiting leave.
 */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Engine, type EngineEvents } from '../../src/core/engine.js'
import { FrameKind } from '../../src/core/format.js'
import { resolveOptions } from '../../src/core/options.js'
import type { PersistentMemoryStore } from '../../src/index.js'
import { flipFrames } from '../support/damage.js'
import { errno, gate, MemoryFiles, PATH } from '../support/memory-files.js'
import { MemoryNotes } from '../support/memory-notes.js'
import { HOUR } from '../support/records.js'
import { NOON, settle, StubClock } from '../support/stub-clock.js'
import { begin, endsIn, open, restart, sessionOf, sessionsIn, sidsIn } from '../support/stores.js'

/** A disk that holds sessions a and b. */
async function filled(): Promise<MemoryFiles> {
  const { store, files } = await open()
  await store.set('a', sessionOf({ n: 1 }))
  await store.set('b', sessionOf({ n: 2 }))
  await store.close()
  return files
}

/** Every operation on sessions. */
const operations: [name: string, run: (store: PersistentMemoryStore) => Promise<unknown>][] = [
  ['get', (store) => store.get('a')],
  ['set', (store) => store.set('c', sessionOf())],
  ['touch', (store) => store.touch('a', sessionOf())],
  ['destroy', (store) => store.destroy('a')],
  ['destroy of several', (store) => store.destroy(['a', 'b'])],
  ['clear', (store) => store.clear()],
  ['all', (store) => store.all()],
  ['ids', (store) => store.ids()],
  ['length', (store) => store.length()],
  ['prune', (store) => store.prune()],
  ['snapshot', (store) => store.snapshot()],
  ['flush', (store) => store.flush()],
]

describe('while the files are being read', () => {
  /** A store whose restore waits for `release`. */
  const waiting = async () => {
    const files = await filled()
    const { opened, open: release } = gate()
    files.hold = (operation) => (operation === 'read' ? opened : undefined)
    return { ...begin({}, { files }), release }
  }

  test('reads wait, and see what the files hold', async () => {
    const { store, release } = await waiting()
    const answers: unknown[] = []
    store.get('a', (error, session) => answers.push(error, session))
    const length = store.length()
    await settle()
    expect(answers).toEqual([])
    release()
    expect(await length).toBe(2)
    await settle()
    expect(answers).toMatchObject([null, { n: 1 }])
  })

  test('changes are made in the order in which they were asked for', async () => {
    const { store, release } = await waiting()
    const steps = [
      store.set('a', sessionOf({ n: 3 })),
      store.get('a'),
      store.destroy('a'),
      store.get('a'),
      store.set('a', sessionOf({ n: 4 })),
      store.touch('b', sessionOf({ n: 'of no matter' }, { maxAge: 5000 })),
      store.destroy('b'),
      store.set('c', sessionOf({ n: 5 })),
    ]
    release()
    const [, first, , second] = await Promise.all(steps)
    expect([first, second]).toMatchObject([{ n: 3 }, undefined])
    const all = await sessionsIn({ store })
    expect(all).toMatchObject({ a: { n: 4 }, c: { n: 5 } })
    expect(Object.keys(all)).toHaveLength(2)
  })

  test('a session is taken as it is when it is handed over', async () => {
    const { store, release } = await waiting()
    const session = sessionOf({ n: 3 }) as unknown as { n: number }
    const set = store.set('a', session as never)
    session.n = 4
    release()
    await set
    expect(await store.get('a')).toMatchObject({ n: 3 })
  })

  test('a session that can not be encoded is an error at once, to its caller alone', async () => {
    const { store, release } = await waiting()
    const cycle: Record<string, unknown> = {}
    cycle['self'] = cycle
    await expect(store.set('a', sessionOf(cycle))).rejects.toMatchObject({
      code: 'ERR_SESSION_ENCODE',
    })
    release()
    expect(await store.get('a')).toMatchObject({ n: 1 })
  })

  test('what was asked for before a close is still done, and stays', async () => {
    const { store, files, release } = await waiting()
    const set = store.set('c', sessionOf({ n: 3 }))
    const destroyed = store.destroy('a')
    const closed = store.close()
    release()
    await Promise.all([set, destroyed, closed])
    files.hold = () => undefined
    expect(await sidsIn(await open({}, { files }))).toEqual(['b', 'c'])
  })

  test('an exit says what it loses: changes wait, since what they change is not known yet', async () => {
    const files = await filled()
    const { opened, open: release } = gate()
    files.hold = (operation) => (operation === 'read' ? opened : undefined)
    const { store } = begin({}, { files })
    const destroyed = store.destroy('a')
    void store.get('b')
    expect(store.stats()).toMatchObject({ unsaved: true })
    release()
    await destroyed
    await store.flush()
    expect(store.stats()).toMatchObject({ unsaved: false })
  })

  test('nobody is told of it: there is no `disconnect`', async () => {
    const { store, release } = await waiting()
    const told: string[] = []
    for (const event of ['disconnect', 'connect', 'ready']) store.on(event, () => told.push(event))
    await settle()
    expect(told).toEqual([])
    release()
    await store.ready()
    await settle()
    expect(told).toEqual(['ready'])
  })
})

describe('where the files can not be opened', () => {
  test.each(operations)(
    '%s fails with the reason, as does `ready`, now and later',
    async (_, run) => {
      const files = new MemoryFiles()
      files.contents.set(PATH, Buffer.from('something else'))
      const { store } = begin({}, { files })
      const early = run(store)
      await expect(early).rejects.toMatchObject({ code: 'ERR_FORMAT_FOREIGN', path: PATH })
      await expect(run(store)).rejects.toMatchObject({ code: 'ERR_FORMAT_FOREIGN' })
      await expect(store.ready()).rejects.toMatchObject({ code: 'ERR_FORMAT_FOREIGN' })
      await store.close()
      expect(files.get(PATH).toString()).toBe('something else')
      expect(files.names()).toEqual(['s.snapshot'])
    },
  )

  test('a path that names a folder leaves nothing beside it', async () => {
    const files = new MemoryFiles()
    files.kind = () => Promise.resolve('folder')
    const { store, notes } = begin({}, { files })
    await expect(store.ready()).rejects.toMatchObject({ code: 'ERR_OPEN', path: PATH })
    await store.close()
    expect([...notes.notes.keys()]).toEqual([])
  })

  test('they are nobody’s: another store has them as soon as they can be', async () => {
    const files = new MemoryFiles()
    files.contents.set(PATH, Buffer.from('something else'))
    const { store, notes } = begin({}, { files })
    await expect(store.ready()).rejects.toMatchObject({ code: 'ERR_FORMAT_FOREIGN' })
    files.contents.delete(PATH)
    const next = await open({}, { files, notes })
    expect(next.store.stats().ownership?.role).toBe('owner')
  })

  test('an error of the disk has the code of one, and tells the cause', async () => {
    const files = await filled()
    files.fail = (operation) => (operation === 'open' ? errno('EACCES') : undefined)
    await expect(begin({}, { files }).store.ready()).rejects.toMatchObject({
      code: 'ERR_OPEN',
      cause: { code: 'EACCES' },
    })
  })
})

describe('after closing', () => {
  test.each(operations)('%s fails with ERR_CLOSED', async (_, run) => {
    for (const options of [{}, { snapshotPath: false as const }]) {
      const { store } = await open(options)
      await store.set('a', sessionOf())
      await store.close()
      await expect(run(store)).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    }
  })

  test('closing again is fine, at once and later, with a callback and without', async () => {
    const { store, clock } = await open({ checkPeriod: 1000, snapshotInterval: 1000 })
    await store.set('a', sessionOf())
    const closing = [store.close(), store.close(), store[Symbol.asyncDispose]()]
    await Promise.all(closing)
    expect(await new Promise((resolve) => store.close(resolve))).toBeNull()
    expect(clock.timers).toBe(0)
    expect(store.stats()).toMatchObject({ unsaved: false, ownership: { role: 'none' } })
  })

  test('nothing is written, whatever was still to come', async () => {
    const { store, files, clock } = await open({ checkPeriod: 1000 })
    for (let i = 0; i < 2000; i++) await store.set(`${i}`, sessionOf({}, endsIn(clock, 500 + i)))
    clock.jump(1000)
    const pruning = store.prune()
    await store.close()
    await pruning.catch(() => undefined)
    const { length } = files.calls
    store.startInterval()
    await clock.advance(HOUR)
    expect(files.calls).toHaveLength(length)
    store.stopInterval()
  })
})

describe('while the process exits', () => {
  const quiet = () => undefined
  const events = new Proxy({}, { get: () => quiet }) as EngineEvents

  async function engineOn(
    files: MemoryFiles,
    options: object = {},
    others: { clock?: StubClock; notes?: MemoryNotes } = {},
  ) {
    const resolved = resolveOptions({ snapshotPath: PATH, watch: false, ...options })
    const surroundings = { files, clock: new StubClock(), notes: new MemoryNotes(), ...others }
    const engine = new Engine(resolved, events, surroundings)
    engine.open()
    await engine.ready()
    return engine
  }
  const set = (engine: Engine, sid: string) => engine.sessions.prepareSet(sid, { n: sid }, false)()

  test.each(['snapshot', 'everysec', 'always'])(
    'with durability %s what is unsaved is written in one go',
    async (durability) => {
      const files = await filled()
      const engine = await engineOn(files, { durability })
      set(engine, 'c')
      engine.sessions.destroy('a')
      engine.flushSync(false)
      expect(await sidsIn(await open({}, { files: files.fork() }))).toEqual(['b', 'c'])
    },
  )

  test('what a close has begun to write and not finished is written', async () => {
    const files = new MemoryFiles()
    const engine = await engineOn(files)
    set(engine, 'a')
    files.hold = () => new Promise(() => undefined)
    void engine.close()
    await settle()
    engine.flushSync(false)
    files.hold = () => undefined
    expect(await sidsIn(await open({}, { files: files.fork() }))).toEqual(['a'])
  })

  test.each(['append', 'sync', 'write', 'rename'] as const)(
    'what is being written, at the moment of a %s, gets no company in its file',
    async (moment) => {
      const files = new MemoryFiles()
      const engine = await engineOn(files)
      set(engine, 'a')
      files.hold = (operation) => (operation === moment ? new Promise(quiet) : undefined)
      void engine.flush().catch(quiet)
      if (moment === 'write' || moment === 'rename') void engine.snapshot().catch(quiet)
      await settle(40)
      set(engine, 'b')
      engine.sessions.destroy('a')
      engine.flushSync(false)
      const found = await open({}, { files: files.fork() })
      expect([await sidsIn(found), found.errors]).toEqual([['b'], []])
    },
  )

  test('a successor reads what was written so where journals could not be', async () => {
    const [files, clock, notes] = [new MemoryFiles(), new StubClock(), new MemoryNotes()]
    const engine = await engineOn(files, {}, { clock, notes })
    for (const sid of 'abc') set(engine, sid)
    await engine.snapshot()
    const successor = await open({}, { files, clock, notes })
    files.fail = (operation, name) =>
      operation === 'sync' && name.includes('journal') ? errno('EIO') : undefined
    set(engine, 'd')
    await engine.flush().catch(quiet)
    engine.sessions.destroy('b')
    files.fail = () => undefined
    engine.flushSync(false)
    await clock.advance(3000)
    expect(successor.store.stats().ownership?.role).toBe('owner')
    expect(await sidsIn(successor)).toEqual(['a', 'c', 'd'])
  })

  test('what was written so is not filled in where its removals are lost: no journal has them', async () => {
    const files = new MemoryFiles()
    const engine = await engineOn(files)
    for (const sid of 'ab') set(engine, sid)
    await engine.snapshot()
    files.fail = (operation, name) => {
      if (operation !== 'sync' || !name.includes('journal')) return undefined
      // What a sync could not write, the kernel may drop.
      for (const [path, bytes] of files.synced) files.contents.set(path, bytes)
      return errno('EIO')
    }
    engine.sessions.destroy('b')
    await engine.flush().catch(quiet)
    files.fail = () => undefined
    engine.flushSync(false)
    flipFrames(files, PATH, ({ kind }) => kind === FrameKind.removals)
    const { store } = await open({}, { files: files.fork() })
    expect(store.stats().restored).toMatchObject({ damaged: 1, filledIn: false })
    expect(await sidsIn({ store })).toEqual(['a'])
  })

  test.each(['an exit', 'a close'])(
    'a journal takes what no snapshot has room for at %s, and that is an error all the same',
    async (end) => {
      const files = new MemoryFiles()
      const engine = await engineOn(files)
      set(engine, 'a')
      await engine.snapshot()
      files.fail = (operation) => (operation === 'sync' ? errno('EIO') : undefined)
      set(engine, 'b')
      await engine.flush().catch(quiet)
      set(engine, 'c')
      files.fail = (operation) => (operation === 'write' ? errno('ENOSPC') : undefined)
      if (end === 'a close')
        await expect(engine.close()).rejects.toMatchObject({ code: 'ERR_WRITE' })
      else expect(() => engine.flushSync(false)).toThrow('ENOSPC')
      files.fail = () => undefined
      expect(await sidsIn(await open({}, { files: files.fork() }))).toEqual(['a', 'b', 'c'])
    },
  )

  test('a change of key leaves no plain text behind', async () => {
    const files = await filled()
    const { store } = await open({}, { files })
    await store.snapshot()
    await store.set('secret-sid', sessionOf())
    await store.snapshot()
    await store.close()
    const engine = await engineOn(files, { durability: 'snapshot', encryptionKey: 'a key' })
    set(engine, 'c')
    engine.flushSync(false)
    const again = await open({ encryptionKey: 'a key' }, { files: files.fork() })
    for (let i = 0; i < 200 && again.store.stats().snapshot === undefined; i++) await settle(5)
    const showing = again.files
      .names()
      .filter((name) => again.files.get(`/sessions/${name}`).includes('secret-sid'))
    expect(showing).toEqual([])
  })

  test('nothing is written where nothing changed, nor after a close', async () => {
    const files = await filled()
    const engine = await engineOn(files)
    const found = new Map(files.contents)
    engine.flushSync(false)
    expect(files.contents).toEqual(found)
    const closed = await engineOn(files)
    set(closed, 'c')
    await closed.close()
    const { length } = files.calls
    closed.flushSync(false)
    expect(files.calls).toHaveLength(length)
  })

  test('changes that wait for the files to be read are told by throwing', async () => {
    const files = await filled()
    files.hold = (operation) => (operation === 'read' ? new Promise(quiet) : undefined)
    const resolved = resolveOptions({ snapshotPath: PATH, watch: false })
    const surroundings = { files, clock: new StubClock(), notes: new MemoryNotes() }
    const engine = new Engine(resolved, events, surroundings)
    engine.open()
    engine.whenReady(quiet, false)
    expect(() => engine.flushSync(false)).not.toThrow()
    engine.whenReady(quiet, true)
    expect(() => engine.flushSync(false)).toThrow(
      expect.objectContaining({ code: 'ERR_WRITE', path: PATH }),
    )
  })

  test('what was changed on a disk that takes no lease is told by throwing', async () => {
    const notes = new MemoryNotes()
    notes.create = () => Promise.reject(errno('ENOSPC'))
    const engine = await engineOn(new MemoryFiles(), {}, { notes })
    set(engine, 'a')
    expect(() => engine.flushSync(false)).toThrow(expect.objectContaining({ code: 'ERR_WRITE' }))
  })

  test('a damaged snapshot that could not be copied aside before is kept', async () => {
    const files = await filled()
    const { store } = await open({ durability: 'snapshot' }, { files })
    await store.snapshot()
    await store.close()
    const rotten = Buffer.from(files.get(PATH)).fill(0xff, 1100, 1130)
    files.contents.set(PATH, rotten)
    files.fail = (operation) => (operation === 'copy' ? errno('ENOSPC') : undefined)
    const engine = await engineOn(files, { durability: 'snapshot' })
    await settle(40)
    files.fail = () => undefined
    set(engine, 'c')
    engine.flushSync(false)
    expect([...files.contents.values()].some((bytes) => bytes.equals(rotten))).toBe(true)
    // Nor is it what would fill in the next one.
    expect(files.contents.get(`${PATH}.1`)).not.toEqual(rotten)
  })

  test('a disk that does not say what there is, and takes what is written, is written to', async () => {
    const files = new MemoryFiles()
    const engine = await engineOn(files)
    set(engine, 'a')
    await engine.flush()
    files.fail = (operation) => (operation === 'stat' ? errno('EIO') : undefined)
    set(engine, 'b')
    engine.flushSync(false)
    expect(await sidsIn(await open({}, { files: files.fork() }))).toEqual(['a', 'b'])
  })

  test('a process without room for another open file writes to the ones it has', async () => {
    const files = new MemoryFiles()
    const notes = new MemoryNotes()
    const engine = await engineOn(files, {}, { notes })
    set(engine, 'a')
    await engine.flush()
    notes.siblingsSync = () => {
      throw errno('EMFILE')
    }
    set(engine, 'b')
    engine.flushSync(false)
    expect(await sidsIn(await open({}, { files: files.fork() }))).toEqual(['a', 'b'])
  })

  test.each(['snapshot', 'everysec', 'always'])(
    'with durability %s files that are another process’s by now are left alone',
    async (durability) => {
      const files = new MemoryFiles()
      const notes = new MemoryNotes()
      const engine = await engineOn(files, { durability }, { notes })
      set(engine, 'a')
      await engine.flush()
      await notes.create(`${PATH}.lease-2`, () => '')
      set(engine, 'b')
      const { length } = files.calls
      expect(() => engine.flushSync(false)).toThrow(
        expect.objectContaining({ code: 'ERR_LEASE_LOST' }),
      )
      expect(files.calls).toHaveLength(length)
    },
  )

  test('what somebody has put at the path is kept', async () => {
    const files = await filled()
    const engine = await engineOn(files, { durability: 'snapshot' })
    set(engine, 'c')
    const put = Buffer.from('something of an operator')
    files.contents.set(PATH, put)
    engine.flushSync(false)
    const kept = files.names().filter((name) => name.includes('.corrupt-'))
    expect(kept.map((name) => files.get(`/sessions/${name}`))).toEqual([put])
  })

  test('a disk that fails is told by throwing', async () => {
    const files = new MemoryFiles()
    const engine = await engineOn(files)
    set(engine, 'a')
    files.fail = () => errno('ENOSPC')
    expect(() => engine.flushSync(false)).toThrow('ENOSPC')
  })

  describe('where it lives on all the same', () => {
    test.each(['an append', 'a sync'] as const)(
      'nothing is written behind what %s that failed has left',
      async (moment) => {
        const files = new MemoryFiles()
        const engine = await engineOn(files, { durability: 'always' })
        set(engine, 'a')
        await engine.flush()
        set(engine, 'b')
        files.fail = (operation) => (moment.endsWith(operation) ? errno('EIO') : undefined)
        files.partial = 20
        expect(() => engine.flushSync(true)).toThrow('EIO')
        files.fail = () => undefined
        // What a sync could not write, the kernel may drop.
        if (moment === 'a sync')
          for (const [path, bytes] of files.synced) files.contents.set(path, bytes)
        set(engine, 'c')
        await engine.flush()
        const found = await open({}, { files: files.fork() })
        expect([await sidsIn(found), found.errors]).toEqual([['a', 'b', 'c'], []])
      },
    )

    test('touches after it are not lost, though an append was under way', async () => {
      const files = new MemoryFiles()
      const engine = await engineOn(files, { durability: 'always' })
      const cookie = (ms: number) => ({ originalMaxAge: ms, expires: new Date(NOON + ms) })
      let land: () => void = quiet
      files.hold = (operation) =>
        operation === 'append' ? new Promise<void>((done) => (land = () => done())) : undefined
      set(engine, 'a')
      const flushing = engine.flush()
      await settle()
      engine.sessions.prepareSet('long', { cookie: cookie(60_000) }, false)()
      engine.flushSync(true)
      files.hold = () => undefined
      land()
      await flushing
      engine.sessions.prepareTouch('long', { cookie: cookie(3_600_000) }, false)()
      await engine.close()
      const later = new StubClock(NOON + 600_000)
      expect(await sidsIn(await open({}, { files: files.fork(), clock: later }))).toEqual([
        'a',
        'long',
      ])
    })

    test('what is acknowledged after it is found, though a generation was just finished', async () => {
      const files = new MemoryFiles()
      const engine = await engineOn(files, { durability: 'always' })
      set(engine, 'a')
      await engine.snapshot()
      set(engine, 'b')
      let failures = 1
      files.fail = (operation, name) =>
        operation === 'sync' && name.includes('journal') && failures-- > 0
          ? errno('EIO')
          : undefined
      await engine.flush().catch(quiet)
      const { opened, open: go } = gate()
      files.hold = (operation) => (operation === 'remove' ? opened : undefined)
      const mending = engine.snapshot()
      await settle(30)
      engine.flushSync(true)
      go()
      files.hold = () => undefined
      await mending
      set(engine, 'c')
      engine.sessions.destroy('a')
      await engine.acknowledged()
      const found = await open({}, { files: files.fork() })
      expect([await sidsIn(found), found.errors]).toEqual([['b', 'c'], []])
    })

    test('what an append under way kept out of its file goes with the next snapshot', async () => {
      const files = new MemoryFiles()
      const engine = await engineOn(files)
      set(engine, 'a')
      let land: () => void = quiet
      files.hold = (operation) =>
        operation === 'append' ? new Promise<void>((done) => (land = () => done())) : undefined
      const flushing = engine.flush()
      await settle()
      set(engine, 'b')
      engine.flushSync(true)
      files.hold = () => undefined
      land()
      await flushing
      await engine.snapshot()
      await engine.snapshot()
      expect(files.names().filter((name) => name.includes('journal'))).toHaveLength(2)
      expect(await sidsIn(await open({}, { files: files.fork() }))).toEqual(['a', 'b'])
    })
  })
})

describe('an error in the background', () => {
  afterEach(() => void vi.restoreAllMocks())

  test('is a warning of the process, once a kind, where nobody listens', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const { store, files, clock } = await open()
    store.removeAllListeners('error')
    files.fail = (operation) => (operation === 'append' ? errno('ENOSPC') : undefined)
    await store.set('a', sessionOf())
    await clock.advance(30_000)
    expect(warn).toHaveBeenCalledTimes(1)
    expect(warn.mock.calls[0]?.[1]).toMatchObject({ code: 'ERR_WRITE' })
    files.fail = () => undefined
  })

  test('never holds anything of a session', async () => {
    const secret = 'what-nobody-may-read'
    const stage = await open()
    stage.files.fail = (operation) => (operation === 'append' ? errno('EIO') : undefined)
    await stage.store.set(secret, sessionOf({ secret }))
    await stage.clock.advance(5000)
    stage.files.fail = () => undefined
    const again = await restart(stage)
    expect(stage.errors.length).toBeGreaterThan(0)
    for (const error of [...stage.errors, ...again.errors]) {
      expect(`${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`).not.toContain(secret)
    }
  })
})
