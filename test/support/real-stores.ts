/**
 * Stores on a real disk, each in a folder that goes with the test; several may be on one file, as
 * the processes of a deploy are.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import type { Clock } from '../../src/core/clock.js'
import type { Files } from '../../src/core/file.js'
import type { Notes } from '../../src/core/notes.js'
import {
  type MergeReport,
  type Ownership,
  PersistentMemoryStore,
  type StoreError,
} from '../../src/index.js'
import { meanwhile, StubClock } from './stub-clock.js'

type Options = NonNullable<ConstructorParameters<typeof PersistentMemoryStore>[0]>
/** A clock that the test moves, files to which something happens, where that is so. */
type Surroundings = Partial<{ clock: Clock; files: Files; notes: Notes }>

/** A store and what it told. */
export interface Opened {
  store: PersistentMemoryStore
  errors: StoreError[]
  merges: MergeReport[]
  /** The payloads of `owner` and `follow`, with their names. */
  owners: [event: 'owner' | 'follow', ownership: Ownership][]
}

const undo: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step().catch(() => {})
})

/** A path in a folder of its own. */
export async function newPath(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'handover-'))
  undo.push(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'sessions.snapshot')
}

/** A store on this path, ready; closed after the test. */
export async function openAt(
  path: string,
  options: Options = {},
  surroundings: Surroundings = {},
): Promise<Opened> {
  const opened = beginAt(path, options, surroundings)
  await opened.store.ready()
  return opened
}

/** The same without waiting for it. */
export function beginAt(
  path: string,
  options: Options = {},
  surroundings: Surroundings = {},
): Opened {
  const all = { snapshotPath: path, flushOnExit: false, ...options }
  const store = new PersistentMemoryStore(all, surroundings)
  const { clock } = surroundings
  const closing = () => store.close()
  undo.push(clock instanceof StubClock ? () => meanwhile(clock, closing()) : closing)
  const errors: StoreError[] = []
  const merges: MergeReport[] = []
  const owners: Opened['owners'] = []
  store.on('error', (error: StoreError) => errors.push(error))
  store.on('merge', (report: MergeReport) => merges.push(report))
  for (const event of ['owner', 'follow'] as const) {
    store.on(event, (ownership: Ownership) => owners.push([event, ownership]))
  }
  return { store, errors, merges, owners }
}

export const roleOf = ({ store }: Pick<Opened, 'store'>) => store.stats().ownership?.role

export async function sidsOf({ store }: Pick<Opened, 'store'>): Promise<string[]> {
  return (await store.ids()).sort()
}
