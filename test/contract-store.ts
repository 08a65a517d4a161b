/**
 * What the contract's tests share: stores in memory only and stores on a file, each in a folder of
 * its own, and ways to ask them. In: the kind of store. Out: stores that are closed after the test.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SessionData } from 'express-session'
import { afterEach, beforeEach, vi } from 'vitest'
import { PersistentMemoryStore } from '../src/index.js'

export type StoreOptions = NonNullable<ConstructorParameters<typeof PersistentMemoryStore>[0]>
export type Store = PersistentMemoryStore

/** For `describe.each`: every rule holds for both. */
export const kinds = [
  { kind: 'in memory only', onFile: false },
  { kind: 'on a file', onFile: true },
]

/** Noon of some day, for tests that hold the clock. */
export const noon = Date.UTC(2024, 4, 5, 12)
export const day = 86_400_000

/** A session as an app would hand it over; any data will do. */
export const sessionOf = (data: object = {}, cookie: object = {}) =>
  ({ cookie, ...data }) as unknown as SessionData

/** A cookie that ends this many milliseconds from now. */
export const endsIn = (ms: number) => ({
  originalMaxAge: ms,
  expires: new Date(Date.now() + ms),
  path: '/',
})

/** The arguments a callback is answered with. */
export const answerOf = (start: (answer: (...args: unknown[]) => void) => unknown) =>
  new Promise<unknown[]>((resolve) => void start((...args) => resolve(args)))

/** Every method that takes a callback, called so that it has something to do. */
export const calls: [string, (store: Store, answer?: () => void) => unknown][] = [
  ['get', (store, answer) => store.get('a', answer!)],
  ['set', (store, answer) => store.set('b', sessionOf({ n: 2 }), answer!)],
  ['touch', (store, answer) => store.touch('a', sessionOf(), answer!)],
  ['destroy', (store, answer) => store.destroy('a', answer!)],
  ['destroy of several', (store, answer) => store.destroy(['a', 'b'], answer!)],
  ['all', (store, answer) => store.all(answer!)],
  ['length', (store, answer) => store.length(answer!)],
  ['ids', (store, answer) => store.ids(answer!)],
  ['clear', (store, answer) => store.clear(answer!)],
]

/** Lets everything happen that is due, without waiting for any time to pass. */
export async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Opens stores of one kind on one place, call after call, for the test that is running. */
export function storesOf({ onFile }: { onFile: boolean }) {
  let folder = ''
  let opened: Store[] = []
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'contract-'))
  })
  afterEach(async () => {
    vi.useRealTimers()
    await Promise.all(opened.map((store) => store.close()))
    opened = []
    await rm(folder, { recursive: true, force: true })
  })

  /** Constructs a store and does not wait for it. */
  const begin = (options: StoreOptions = {}): Store => {
    const snapshotPath = onFile && join(folder, 'sessions.snapshot')
    const store = new PersistentMemoryStore({ snapshotPath, ...options })
    opened.push(store)
    return store
  }
  const open = async (options: StoreOptions = {}): Promise<Store> => {
    const store = begin(options)
    await store.ready()
    return store
  }
  /** Runs a check on a store, and on the one that comes after a restart. */
  const nowAndAfterRestart = async (
    store: Store,
    check: (store: Store) => unknown,
    options: StoreOptions = {},
  ): Promise<void> => {
    await check(store)
    if (!onFile) return
    await store.close()
    await check(await open(options))
  }
  return { begin, open, nowAndAfterRestart, path: () => join(folder, 'sessions.snapshot') }
}
