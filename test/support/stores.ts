/**
 * Stores on a disk, a clock and notes that tests hold: opened, closed after the test, killed by
 * opening another one on a copy of the disk.
 */
import type { SessionData } from 'express-session'
import { afterEach } from 'vitest'
import { PersistentMemoryStore, type StoreError } from '../../src/index.js'
import { MemoryFiles, PATH } from './memory-files.js'
import { MemoryNotes } from './memory-notes.js'
import { meanwhile, StubClock } from './stub-clock.js'

type StoreOptions = NonNullable<ConstructorParameters<typeof PersistentMemoryStore>[0]>

/** A store and all that surrounds it. */
export interface Stage {
  store: PersistentMemoryStore
  files: MemoryFiles
  clock: StubClock
  notes: MemoryNotes
  /** The errors it told in the background. */
  errors: StoreError[]
}

const opened = new Set<Pick<Stage, 'store' | 'clock'>>()

afterEach(async () => {
  // What a test made fail goes on failing.
  await Promise.allSettled([...opened].map(closed))
  opened.clear()
})

/** Closes a store, which may wait for a file to come to rest. */
export async function closed({ store, clock }: Pick<Stage, 'store' | 'clock'>): Promise<void> {
  await meanwhile(clock, store.close())
}

/** Constructs a store on what is given of its surroundings and does not wait for it. */
export function begin(
  options: StoreOptions = {},
  { files = new MemoryFiles(), clock = new StubClock(), notes = new MemoryNotes() } = {},
): Stage {
  const quiet = { snapshotPath: PATH, checkPeriod: 0, snapshotInterval: 0 } as const
  const store = new PersistentMemoryStore(
    { ...quiet, flushOnExit: false, watch: false, ...options },
    { clock, files, notes },
  )
  const errors: StoreError[] = []
  store.on('error', (error: StoreError) => errors.push(error))
  opened.add({ store, clock })
  return { store, files, clock, notes, errors }
}

export async function open(
  options: StoreOptions = {},
  surroundings: Partial<Omit<Stage, 'store'>> = {},
): Promise<Stage> {
  const stage = begin(options, surroundings)
  await stage.store.ready()
  return stage
}

/** A store with a session `a` on disk, and `b` appended and not synced yet. */
export async function halfSynced(): Promise<Stage> {
  const stage = await open()
  const { store, clock } = stage
  await store.set('a', sessionOf())
  await clock.advance(0)
  await store.set('b', sessionOf())
  await clock.advance(300)
  return stage
}

/** Another store on what a kill at this moment leaves on the disk. */
export function afterKill({ files, clock }: Stage, options: StoreOptions = {}): Promise<Stage> {
  const later = new StubClock(clock.time)
  return open(options, { files: files.fork(), clock: later })
}

/** A store on what a power cut leaves: files as they were last synced. */
export function afterPowerCut({ files }: Stage, options = {}): Promise<Stage> {
  const disk = files.fork()
  for (const path of disk.contents.keys()) {
    const left = files.synced.get(path) ?? Buffer.alloc(0)
    disk.contents.set(path, left)
    disk.synced.set(path, left)
  }
  return open(options, { files: disk })
}

/** Closes a store and opens another one on its disk. */
export async function restart(stage: Stage, options: StoreOptions = {}): Promise<Stage> {
  await closed(stage)
  return open(options, { files: stage.files, clock: stage.clock })
}

/** A session with these data; without more it lives for a day. */
export function sessionOf(data: object = {}, cookie: object = {}): SessionData {
  return { cookie, ...data } as unknown as SessionData
}

/** A cookie that ends `ms` from now, by the test's clock. */
export function endsIn(clock: StubClock, ms: number): object {
  return { originalMaxAge: ms, expires: new Date(clock.time + ms), path: '/' }
}

/** All sessions of a store, as `all` gives them, in an ordinary object. */
export async function sessionsIn({ store }: Pick<Stage, 'store'>) {
  return { ...(await store.all()) } as unknown as Record<string, Record<string, unknown>>
}

/** The sids of all sessions, sorted. */
export async function sidsIn(stage: Pick<Stage, 'store'>): Promise<string[]> {
  return Object.keys(await sessionsIn(stage)).sort()
}

/** Sets sessions, one a letter, whose data is that letter and what else is given. */
export async function setLetters({ store }: Stage, sids: string, data: object = {}): Promise<void> {
  for (const sid of sids) await store.set(sid, sessionOf({ n: sid, ...data }))
}

/** The letters of all sessions. */
export async function lettersIn(stage: Pick<Stage, 'store'>): Promise<string> {
  return (await sidsIn(stage)).join('')
}

/** A store with two generations and changes in both journals: a, d and e live; b and c are gone. */
export async function twoGenerations(): Promise<Stage> {
  const stage = await open()
  const { store } = stage
  await setLetters(stage, 'abc')
  await store.snapshot()
  await setLetters(stage, 'd')
  await store.destroy('b')
  await store.flush()
  await store.snapshot()
  await store.destroy('c')
  await setLetters(stage, 'e')
  await store.close()
  return stage
}
