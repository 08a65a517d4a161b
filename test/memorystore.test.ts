/**
 * The drop-in beside memorystore itself: the first part runs every check against both, so that what
 * is asserted is what memorystore does. The second part is what only the drop-in has. Time is moved,
 * never waited for.
 */
import { execFileSync } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import express from 'express'
import session, { type SessionData } from 'express-session'
import createTheirs from 'memorystore'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import createMemoryStore, {
  type MemoryStore,
  type MemoryStoreConstructor,
  type MemoryStoreOptions,
} from '../src/memorystore.js'
import { Stage, visit } from './http/stage.js'

const Ours = createMemoryStore(session)
const Theirs = createTheirs(session) as unknown as MemoryStoreConstructor
const Cookie = (session as unknown as { Cookie: new (options: object) => object }).Cookie

const day = 86_400_000
const sessionOf = (data: object = {}, cookie: object = {}) =>
  ({ cookie, ...data }) as unknown as SessionData

/** What a method answers its callback. */
function ask<T>(start: (callback: (error: unknown, value?: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    void start((error, value) => {
      if (error) reject(error instanceof Error ? error : new Error('not an Error'))
      else resolve(value as T)
    })
  })
}
const get = (store: MemoryStore, sid = 'a') =>
  ask<(SessionData & Record<string, unknown>) | undefined>((done) => store.get(sid, done as never))
const set = (store: MemoryStore, sid: string, value: SessionData) =>
  ask((done) => store.set(sid, value, done))
const ids = (store: MemoryStore) => ask<string[]>((done) => store.ids(done))
const lengthOf = (store: MemoryStore) => ask<number>((done) => store.length(done))
const later = (ms: number) => vi.advanceTimersByTime(ms)

/** Lets work be finished that is done in slices. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] })
})
afterEach(() => {
  vi.useRealTimers()
})

describe.each([
  ['memorystore', Theirs],
  ['the drop-in', Ours],
])('%s', (_name, Store) => {
  const open = (options?: MemoryStoreOptions) => new Store(options)

  test('shows its options, with max completed', () => {
    const given = { checkPeriod: 5, ttl: 36_000, stale: true, noDisposeOnSet: true }
    const store = open({ ...given, dispose: null })
    expect(store.options).toStrictEqual({ ...given, max: Infinity, dispose: null })
    expect(open({ max: 0 }).options.max).toBe(0)
    expect(Object.keys(open().options)).toEqual(
      'checkPeriod max ttl dispose stale noDisposeOnSet'.split(' '),
    )
    expect(open().serializer).toBe(JSON)
    store.stopInterval()
  })

  test('is the Store it was given, and works without arguments and callbacks', async () => {
    const store = open()
    expect(store).toBeInstanceOf(session.Store)
    expect(store.constructor.name).toBe('MemoryStore')
    store.set('a', sessionOf(), undefined as never)
    store.touch('a', sessionOf(), undefined as never)
    store.destroy('a', undefined as never)
    store.clear(undefined as never)
    // A rejection that nobody handles would fail this test.
    const loop: Record<string, unknown> = {}
    loop['self'] = loop
    store.set('b', sessionOf(loop), undefined as never)
    expect(await get(store, 'b')).toBeUndefined()
  })

  describe('ttl', () => {
    test('a number is milliseconds', async () => {
      const store = open({ ttl: 1000 })
      await set(store, 'a', sessionOf())
      later(999)
      expect(await get(store)).toBeDefined()
      later(2)
      expect(await get(store)).toBeUndefined()
    })

    test('a function gets options, session and sid, and gives milliseconds', async () => {
      const ttl = vi.fn(() => 500)
      const store = open({ ttl })
      const given = sessionOf({ n: 1 })
      await set(store, 'a', given)
      expect(ttl).toHaveBeenCalledExactlyOnceWith(store.options, given, 'a')
      later(400)
      await ask((done) => store.touch('a', given, done))
      later(400)
      expect(await get(store)).toMatchObject({ n: 1 })
      later(101)
      expect(await get(store)).toBeUndefined()
    })

    test.each([
      ['0', 0],
      ['NaN', NaN],
      ['a function without a result', () => undefined as never],
    ])('%s is no limit', async (_what, ttl) => {
      const store = open({ ttl })
      await set(store, 'a', sessionOf())
      later(1000 * day)
      expect(await get(store)).toBeDefined()
    })

    test('below 0 it is over', async () => {
      const store = open({ ttl: -1 })
      await set(store, 'a', sessionOf())
      expect(await get(store)).toBeUndefined()
    })

    test('without one, the maxAge of a plain cookie counts, and that of a Cookie', async () => {
      const store = open()
      await set(store, 'a', sessionOf({}, { maxAge: 1000.9 }))
      await set(store, 'b', sessionOf({}, new Cookie({ maxAge: 2000 })))
      later(1000)
      expect(await get(store, 'b')).toBeDefined()
      later(1)
      expect(await get(store, 'a')).toBeUndefined()
      expect(await get(store, 'b')).toBeDefined()
      later(1000)
      expect(await get(store, 'b')).toBeUndefined()
    })

    test.each([
      ['no maxAge', {}],
      ['null', new Cookie({})],
      ['a moment in two days', { expires: new Date(Date.now() + 1000 * day) }],
    ])('without one and with %s in the cookie it is a day', async (_what, cookie) => {
      const store = open({ ttl: null })
      await set(store, 'a', sessionOf({}, cookie))
      later(day - 1)
      expect(await get(store)).toBeDefined()
      later(2)
      expect(await get(store)).toBeUndefined()
    })

    test.each([
      ['NaN', { maxAge: NaN }],
      ['Infinity', { maxAge: Infinity }],
      ['Infinity in a Cookie', new Cookie({ maxAge: Infinity })],
      ['more than a Date can hold', { maxAge: 1e16 }],
    ])('without one a maxAge of %s is no limit', async (_what, cookie) => {
      const store = open()
      await set(store, 'a', sessionOf({}, cookie))
      await ask((done) => store.touch('a', sessionOf({}, cookie), done))
      later(1000 * day)
      expect(await get(store)).toBeDefined()
    })

    test.each([
      ['a ttl', { ttl: -Infinity }, {}],
      ['a maxAge', {}, { maxAge: -Infinity }],
    ])('-Infinity as %s is over', async (_what, options, cookie) => {
      const store = open(options)
      await set(store, 'a', sessionOf({}, cookie))
      expect(await get(store)).toBeUndefined()
    })

    test('one that is put into the options later counts from then on', async () => {
      const store = open()
      store.options.ttl = 10
      await set(store, 'a', sessionOf())
      later(11)
      expect(await get(store)).toBeUndefined()
    })

    test('a text is a TypeError', () => {
      expect(() => open({ ttl: '30m' as never }).set('a', sessionOf())).toThrow(TypeError)
    })
  })

  describe('pruning', () => {
    test('there is none by default', async () => {
      const store = open()
      expect(store._checkInterval).toBeUndefined()
      store.startInterval()
      expect(store._checkInterval).toBeUndefined()
      await set(store, 'a', sessionOf({}, { maxAge: 10 }))
      later(30 * day)
      expect(await lengthOf(store)).toBe(1)
      expect(store.store.itemCount).toBe(1)
      expect(store.store.length).toBe(1)
      void store.prune()
      await turns()
      expect(await lengthOf(store)).toBe(0)
    })

    test.each([null, 0, -5, NaN, Infinity, '100'])('nor with checkPeriod %s', (checkPeriod) => {
      expect(open({ checkPeriod: checkPeriod as never })._checkInterval).toBeUndefined()
    })

    test('checkPeriod is in milliseconds; it can be stopped and started', async () => {
      const store = open({ checkPeriod: 300 })
      expect(store._checkInterval).toBeDefined()
      await set(store, 'a', sessionOf({}, { maxAge: 100 }))
      await set(store, 'b', sessionOf({}, { maxAge: 500 }))
      later(299)
      expect(await lengthOf(store)).toBe(2)
      later(1)
      await turns()
      expect(await lengthOf(store)).toBe(1)
      store.stopInterval()
      expect(store._checkInterval).toBeUndefined()
      later(3000)
      expect(await lengthOf(store)).toBe(1)
      store.startInterval()
      later(300)
      await turns()
      expect(await lengthOf(store)).toBe(0)
      store.stopInterval()
    })
  })

  describe('max', () => {
    test('the least recently used goes', async () => {
      const store = open({ max: 2 })
      expect(store.store.max).toBe(2)
      await set(store, 'a', sessionOf())
      await set(store, 'b', sessionOf())
      await get(store, 'a')
      await set(store, 'c', sessionOf())
      expect((await ids(store)).sort()).toEqual(['a', 'c'])
    })

    test.each([0, null, undefined, Infinity, -1, NaN, '2', 1e300])('%s is none', async (max) => {
      const store = open({ max: max as never })
      for (let i = 0; i < 20; i++) await set(store, `${i}`, sessionOf())
      expect(await lengthOf(store)).toBe(20)
    })

    test('a fraction counts as what fits under it', async () => {
      const store = open({ max: 2.9 })
      for (let i = 0; i < 5; i++) await set(store, `${i}`, sessionOf())
      expect(await lengthOf(store)).toBe(2)
    })
  })

  describe('dispose', () => {
    test('gets the sid and the session as text, whatever the reason', async () => {
      const gone: [string, unknown][] = []
      const store = open({
        max: 2,
        dispose: (sid, text) => gone.push([sid, (JSON.parse(text) as { n: number }).n]),
      })
      await set(store, 'a', sessionOf({ n: 1 }))
      await set(store, 'a', sessionOf({ n: 2 }))
      await set(store, 'b', sessionOf({ n: 3 }, { maxAge: 10 }))
      await set(store, 'c', sessionOf({ n: 4 }))
      later(20)
      await get(store, 'b')
      void store.destroy('c')
      await set(store, 'd', sessionOf({ n: 5 }))
      void store.clear()
      expect(gone).toEqual([
        ['a', 1],
        ['a', 2],
        ['b', 3],
        ['c', 4],
        ['d', 5],
      ])
    })

    test('not for a set, with noDisposeOnSet, of whatever truth', async () => {
      const dispose = vi.fn()
      const store = open({ dispose, noDisposeOnSet: 1 as never })
      await set(store, 'a', sessionOf())
      await set(store, 'a', sessionOf())
      expect(dispose).not.toHaveBeenCalled()
      void store.destroy('a')
      expect(dispose).toHaveBeenCalledTimes(1)
    })

    test.each([null, false, undefined, 0])('%s is none', async (dispose) => {
      const store = open({ dispose: dispose as never })
      await set(store, 'a', sessionOf())
      void store.destroy('a')
      expect(await get(store)).toBeUndefined()
    })
  })

  test('stale gives an expired session once more', async () => {
    const store = open({ stale: 1 as never, ttl: 10 })
    await set(store, 'a', sessionOf({ n: 1 }))
    later(20)
    expect(await get(store)).toMatchObject({ n: 1 })
    expect(await get(store)).toBeUndefined()
  })

  describe('a serializer', () => {
    class Wrapping {
      readonly seen: unknown[] = []
      stringify(value: SessionData) {
        this.seen.push(value)
        // What a serializer may do that knows sessions: it would fail without the cookie.
        return JSON.stringify({ path: value.cookie.path, value })
      }
      parse(text: string) {
        const { path, value } = JSON.parse(text) as { path: string; value: SessionData }
        return { ...value, parsed: path } as unknown as SessionData
      }
    }

    test('gets the session itself, cookie included, and its result is what get returns', async () => {
      const serializer = new Wrapping()
      const store = open({ serializer })
      expect(store.serializer).toBe(serializer)
      const given = sessionOf({ n: 1, at: new Date(0) }, new Cookie({ path: '/shop' }))
      await set(store, 'a', given)
      expect(serializer.seen).toEqual([given])
      expect(serializer.seen[0]).toBe(given)
      expect(await get(store)).toEqual({
        ...(JSON.parse(JSON.stringify(given)) as object),
        parsed: '/shop',
      })
      const all = await ask<Record<string, object>>((done) => store.all(done as never))
      expect(all['a']).toEqual(await get(store))
    })

    test('gets the session itself also where another one is set meanwhile', async () => {
      const serializer = new Wrapping()
      const other = sessionOf({ n: 2 }, { path: '/audit' })
      const ttl = (_: unknown, given: unknown) => {
        if (given !== other) void set(store, 'b', other)
        return day
      }
      const store = open({ serializer, ttl })
      const given = sessionOf({ n: 1 }, { path: '/shop' })
      await set(store, 'a', given)
      expect(serializer.seen).toEqual([other, given])
      expect([await get(store), await get(store, 'b')]).toMatchObject([
        { n: 1, parsed: '/shop' },
        { n: 2, parsed: '/audit' },
      ])
    })

    test('after a touch its result has the new cookie and the old data', async () => {
      const store = open({ serializer: new Wrapping() })
      await set(store, 'a', sessionOf({ n: 1 }, new Cookie({ maxAge: 1000 })))
      const touched = new Cookie({ maxAge: 9000 })
      await ask((done) => store.touch('a', sessionOf({ n: 2 }, touched), done))
      const { cookie, n } = (await get(store))!
      expect(n).toBe(1)
      expect(cookie).toEqual(JSON.parse(JSON.stringify(touched)))
    })

    test('JSON brings back what JSON does', async () => {
      const store = open({ serializer: JSON })
      await set(store, 'a', sessionOf({ at: new Date(0), nan: NaN }))
      expect(await get(store)).toMatchObject({ at: '1970-01-01T00:00:00.000Z', nan: null })
    })

    test('one that throws tells the caller', async () => {
      const store = open({
        serializer: { ...JSON, stringify: () => '{', parse: (text) => JSON.parse(text) as never },
      })
      await set(store, 'a', sessionOf())
      await expect(get(store)).rejects.toBeInstanceOf(Error)
      const failing = open({
        serializer: {
          ...JSON,
          stringify: () => {
            throw new RangeError('too much')
          },
        },
      })
      await expect(set(failing, 'a', sessionOf())).rejects.toThrow('too much')
    })
  })

  test('ids come most recent first, several are destroyed at once', async () => {
    const store = open()
    for (const sid of ['a', 'b', 'c', 'd']) await set(store, sid, sessionOf())
    expect(await ids(store)).toEqual(['d', 'c', 'b', 'a'])
    await ask((done) => store.destroy(['a', 'c', 'none'], done))
    expect(await ids(store)).toEqual(['d', 'b'])
  })

  test('all gives an object like any other', async () => {
    const store = open()
    await set(store, 'a', sessionOf({ n: 1 }))
    const all = await ask<Record<string, object>>((done) => store.all(done as never))
    // eslint-disable-next-line no-prototype-builtins -- old code has it
    expect([all.hasOwnProperty('a'), Object.keys(all)]).toEqual([true, ['a']])
  })

  test('length is that of the moment it was asked', async () => {
    const store = open()
    void set(store, 'a', sessionOf())
    const asked = lengthOf(store)
    void set(store, 'b', sessionOf())
    expect([await asked, await lengthOf(store)]).toEqual([1, 2])
  })

  test('what stands for its cache can be emptied', async () => {
    const store = open()
    for (const sid of ['a', 'b', 'c']) await set(store, sid, sessionOf({}, { maxAge: 100 }))
    store.store.del('a')
    expect(store.store.itemCount).toBe(2)
    later(200)
    await set(store, 'd', sessionOf())
    store.store.prune()
    await turns()
    expect(store.store.itemCount).toBe(1)
    store.store.reset()
    expect(store.store.itemCount).toBe(0)
  })
})

describe('the drop-in alone', () => {
  let stage: Stage
  let warnings: Error[]
  const warn = (warning: Error) => warnings.push(warning)
  beforeEach(async () => {
    vi.useRealTimers()
    stage = await Stage.set()
    warnings = []
    process.on('warning', warn)
  })
  afterEach(async () => {
    process.off('warning', warn)
    await stage.clear()
  })

  async function open(options: MemoryStoreOptions = {}): Promise<MemoryStore> {
    const store = new Ours({ snapshotPath: stage.path, ...options })
    stage.finally(() => store.close())
    await store.ready()
    return store
  }

  test('require gives the factory, import the same', () => {
    const path = fileURLToPath(new URL('../dist/memorystore.js', import.meta.url))
    const script = `
      const factory = require(${JSON.stringify(path)})
      import(${JSON.stringify(path)}).then((module) => {
        console.log(typeof factory, factory === module.default)
      })`
    const options = { cwd: stage.folder, encoding: 'utf8', stdio: 'pipe' } as const
    expect(execFileSync(process.execPath, ['-e', script], options)).toBe('function true\n')
  })

  test('touches no file without snapshotPath', async () => {
    const store = await open({ snapshotPath: null })
    await store.set('a', sessionOf())
    expect(await store.ready()).toMatchObject({ path: '' })
    expect(await store.snapshot()).toMatchObject({ bytes: 0 })
    await store.close()
    expect(await readdir(stage.folder)).toEqual([])
    expect(await readdir('.')).not.toContain('sessions.snapshot')
  })

  test('with snapshotPath it has its sessions after a restart', async () => {
    const options = { ttl: 60_000, durability: 'snapshot' } as const
    const first = await open(options)
    const at = new Date(0)
    const cookie = new Cookie({ maxAge: 50_000 })
    await first.set('a', sessionOf({ n: 1, at }, cookie))
    await first.set('b', sessionOf({}, { maxAge: 50_000 }))
    await first.destroy('b')
    await first.close()
    const next = await open(options)
    expect((await next.ready()).sessions).toBe(1)
    expect(await next.get('a')).toEqual({ n: 1, at, cookie: JSON.parse(JSON.stringify(cookie)) })
    expect(await next.length()).toBe(1)
    expect(await next.ids()).toEqual(['a'])
    expect(next.stats()).toMatchObject({ hits: 1, restored: { sessions: 1 } })
  })

  test('a serializer and what it wrote survive a restart, touches included', async () => {
    const serializer = {
      stringify: (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64'),
      parse: (text: string) => JSON.parse(Buffer.from(text, 'base64').toString()) as SessionData,
    }
    const first = await open({ serializer })
    await first.set('a', sessionOf({ n: 'ü' }, new Cookie({ maxAge: 50_000 })))
    const touched = new Cookie({ maxAge: 90_000 })
    await first.touch('a', sessionOf({}, touched))
    await first.close()
    const next = await open({ serializer })
    const cookie: unknown = JSON.parse(JSON.stringify(touched))
    expect(await next.get('a')).toEqual({ n: 'ü', cookie })
  })

  test('length and ids wait for the restore', async () => {
    const first = await open()
    await first.set('a', sessionOf())
    await first.close()
    const store = new Ours({ snapshotPath: stage.path })
    stage.finally(() => store.close())
    expect(await Promise.all([store.length(), store.ids()])).toEqual([1, ['a']])
    expect(await ask((done) => store.length(done))).toBe(1)
  })

  test('dispose gets a reason as well', async () => {
    const reasons: string[] = []
    const store = await open({ max: 1, dispose: (_sid, _text, reason) => reasons.push(reason) })
    await store.set('a', sessionOf())
    await store.set('a', sessionOf())
    await store.set('b', sessionOf())
    await store.destroy('b')
    await store.set('c', sessionOf({}, { maxAge: 1000 }))
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 1001 })
    await store.prune()
    expect(reasons).toEqual(['replaced', 'evicted', 'destroyed', 'expired'])
  })

  test('unless JSON is asked for, more than JSON comes back', async () => {
    const store = await open({ snapshotPath: false })
    const data = { at: new Date(0), seen: new Set([1]) }
    await store.set('a', sessionOf(data))
    expect(await store.get('a')).toMatchObject(data)
  })

  test('a session ends with its cookie, however long its ttl', async () => {
    const store = await open({ snapshotPath: false, ttl: day })
    await store.set('a', sessionOf({}, new Cookie({ maxAge: 1000 })))
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 1001 })
    expect(await store.get('a')).toBeUndefined()
  })

  test('a touch brings no expired session back, stale or not', async () => {
    const store = await open({ snapshotPath: false, ttl: 1000, stale: true })
    await store.set('a', sessionOf())
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 1001 })
    await store.touch('a', sessionOf())
    expect(await store.get('a')).toBeUndefined()
  })

  test('without a callback it answers with a promise, which rejects for who takes it', async () => {
    const store = await open({ snapshotPath: false })
    await store.set('a', sessionOf({ n: 1 }))
    expect(await store.all()).toMatchObject({ a: { n: 1 } })
    const loop: Record<string, unknown> = {}
    loop['self'] = loop
    await expect(store.set('b', sessionOf(loop))).rejects.toThrow('"self')
  })

  test('a Store without events will do, and need not be express-session’s', async () => {
    class Store {
      generate = 'theirs'
    }
    const Class = createMemoryStore({ Store })
    const store = new Class(null)
    expect(store).toBeInstanceOf(Store)
    expect(store).not.toBeInstanceOf(EventEmitter)
    await store.set('a', sessionOf({ n: 1 }))
    expect(await store.get('a')).toMatchObject({ n: 1 })
  })

  test('tells what happens, and thirty middlewares share it without a warning', async () => {
    const store = await open({ snapshotPath: false, max: 1 })
    const told: unknown[] = []
    store.on('evicted', (sid) => told.push(['evicted', sid]))
    store.on('expired', (sid) => told.push(['expired', sid]))
    for (let i = 0; i < 30; i++) {
      session({ store, secret: 'a secret', resave: false, saveUninitialized: false })
    }
    await store.set('a', sessionOf())
    await store.set('b', sessionOf({}, { maxAge: 1000 }))
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 1001 })
    await store.get('b')
    expect(told).toEqual([
      ['evicted', 'a'],
      ['expired', 'b'],
    ])
    await turns()
    expect(warnings).toEqual([])
  })

  test('ready and snapshot are told too', async () => {
    const store = new Ours({ snapshotPath: stage.path })
    stage.finally(() => store.close())
    const told: string[] = []
    store.on('ready', ({ sessions }) => told.push(`ready ${sessions}`))
    store.on('snapshot', ({ sessions }) => told.push(`snapshot ${sessions}`))
    await store.set('a', sessionOf())
    await store.snapshot()
    expect(told).toEqual(['ready 0', 'snapshot 1'])
  })

  test('an error goes to who listens, and is a warning where nobody does', async () => {
    const dispose = () => {
      throw new Error('no')
    }
    const store = await open({ snapshotPath: false, dispose })
    const destroyOne = async () => {
      await store.set('a', sessionOf())
      await store.destroy('a')
      await turns()
    }
    const heard: unknown[] = []
    const listener = ({ code }: { code: string }) => heard.push(code)
    store.on('error', listener)
    await destroyOne()
    expect([heard, warnings]).toEqual([['ERR_HOOK'], []])
    store.once('error', listener)
    store.off('error', listener)
    store.off('error', listener)
    await destroyOne()
    expect(heard).toEqual(['ERR_HOOK'])
    expect(warnings).toMatchObject([{ code: 'ERR_HOOK' }])
  })

  test.each(['somebody listens', 'nobody does'])(
    'a store that cannot open says so though nobody asks: %s',
    async (listens) => {
      await writeFile(stage.path, 'a file of somebody else, and no small one')
      const store = new Ours({ snapshotPath: stage.path })
      stage.finally(() => store.close())
      const told = new Promise((resolve) => {
        if (listens === 'somebody listens') store.on('error', resolve)
        else process.once('warning', resolve)
      })
      expect(await told).toMatchObject({ code: 'ERR_FORMAT_FOREIGN' })
      await turns()
      expect(warnings).toHaveLength(listens === 'somebody listens' ? 0 : 1)
    },
  )

  test('an option that nobody knows is ignored and told, once', async () => {
    await open({ snapshotPath: false, snapshotpath: './x', expires: 1 } as never)
    await open({ snapshotPath: false, snapshotpath: './x' } as never)
    await turns()
    expect(warnings.map(({ message }) => /`(\w+)` is ignored/.exec(message)?.[1])).toEqual([
      'snapshotpath',
      'expires',
    ])
    expect(warnings[0]).toMatchObject({ code: 'PMS_OPTION_UNKNOWN' })
    expect(warnings[0]!.message).toContain('did you mean `snapshotPath`?')
  })

  test('options about files without any are told, once: they keep nothing', async () => {
    const make = (options: ConstructorParameters<typeof Ours>[0]) => {
      const store = new Ours(options)
      stage.finally(() => store.close())
    }
    make({ durability: 'always', encryptionKey: 'a key' })
    make({ durability: 'everysec' })
    make({ snapshotPath: false, durability: 'always' })
    make({ max: 5, maxBytes: 500, flushOnExit: false, watch: undefined })
    await turns()
    expect(warnings).toMatchObject([
      {
        code: 'PMS_MEMORY_ONLY',
        message: '`durability` without `snapshotPath`: sessions are kept in memory only',
      },
    ])
  })

  test('an impossible value of an option of ours is an error, as it is there', () => {
    expect(() => new Ours({ durability: 'never' as never })).toThrow(/`durability`/)
    expect(() => new Ours({ snapshotInterval: -1 })).toThrow(RangeError)
  })

  test('a checkPeriod longer than a timer can wait is the longest there is', async () => {
    const every = vi.spyOn(globalThis, 'setInterval')
    const store = await open({ snapshotPath: false, checkPeriod: 60 * day })
    expect(every).toHaveBeenCalledWith(expect.any(Function), 2 ** 31 - 1)
    every.mockRestore()
    await turns()
    expect(warnings).toEqual([])
    await store[Symbol.asyncDispose]()
    expect(store._checkInterval).toBeUndefined()
  })

  test('behind express-session a visitor is known again after a restart', async () => {
    const serve = async (store: MemoryStore) =>
      stage.serve(express, { store }, (req, res) => {
        const seen = visit(req)
        seen.count = (seen.count ?? 0) + 1
        res.json(seen.count)
      })
    const store = await open({ checkPeriod: day })
    const { client, stop } = await serve(store)
    expect((await client.get()).json()).toBe(1)
    expect((await client.get()).json()).toBe(2)
    await stop()
    await store.close()
    const next = await serve(await open())
    for (const [name, value] of client.jar) next.client.jar.set(name, value)
    expect((await next.client.get()).json()).toBe(3)
  })
})
