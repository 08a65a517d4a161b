/**
 * The store behind its doors: sessions, the files they come from and go to, and when each is used.
 *
 * While the files are being read operations wait their turn, in order; where they can't be, every
 * one fails with the reason. What is asked before the store is closed is still done. Knows no
 * callbacks and no Express: the doors are in src/.
 */
import { type Clock, systemClock } from './clock.js'
import { counted, StoreError } from './errors.js'
import type { Files } from './file.js'
import type { MergeReport } from './follow.js'
import { nodeFiles } from './node-files.js'
import { nodeNotes, type Notes } from './notes.js'
import type { ResolvedOptions } from './options.js'
import type { Ownership } from './ownership.js'
import type { Persistence, SnapshotReport } from './persistence.js'
import type { RestoreReport } from './recover.js'
import { type SessionEvents, Sessions } from './sessions.js'
import { Tenure } from './tenure.js'

/** What happens in the background and somebody may want to know. */
export interface EngineEvents extends SessionEvents {
  ready(report: RestoreReport): void
  snapshot(report: SnapshotReport): void
  owner(ownership: Ownership): void
  follow(ownership: Ownership): void
  merge(report: MergeReport): void
}

/** What tests put in place of the world. */
export interface Surroundings {
  clock: Clock
  files: Files
  notes: Notes
}

export class Engine {
  readonly #options: ResolvedOptions
  readonly #events: EngineEvents
  readonly #clock: Clock
  readonly #files: Files
  readonly #notes: Notes
  readonly #sessions: Sessions
  #tenure: Tenure | undefined
  #opening: Promise<RestoreReport> | undefined
  /** Whether anybody wants to hear how opening went. */
  #awaited = false
  #waiting: (() => void)[] = []
  /** How many of those that wait would change something. */
  #early = 0
  #failure: StoreError | undefined
  #closing: Promise<void> | undefined
  #report: RestoreReport

  constructor(
    options: ResolvedOptions,
    events: EngineEvents,
    { clock = systemClock, files = nodeFiles, notes = nodeNotes }: Partial<Surroundings> = {},
  ) {
    this.#options = options
    this.#events = events
    this.#clock = clock
    this.#files = files
    this.#notes = notes
    this.#sessions = new Sessions(options, events, clock)
    this.#report = {
      path: options.snapshotPath || '',
      sessions: 0,
      expired: 0,
      damaged: 0,
      filledIn: false,
      bytes: 0,
      durationMs: 0,
      files: [],
    }
  }

  /** Begins to read the files. Call once. */
  open(): void {
    const { snapshotPath } = this.#options
    if (snapshotPath === false) return
    const { recorder, stamps, shapes, target, disposals } = this.#sessions
    this.#tenure = recorder.tenure = new Tenure({
      path: snapshotPath,
      options: this.#options,
      files: this.#files,
      notes: this.#notes,
      clock: this.#clock,
      stamps,
      shapes,
      target,
      onSnapshot: (report) => this.#events.snapshot(report),
      onOwner: (ownership) => this.#events.owner(ownership),
      onFollow: (ownership) => this.#events.follow(ownership),
      onMerge: (report) => this.#events.merge(report),
      onError: (error) => this.#events.error(error),
      removing: (slot) => {
        disposals.add(target.table, slot, 'destroyed')
        void disposals.tellSoon()
      },
      emptied: (gone) => void disposals.tellAllSoon(gone),
    })
    this.#opening = this.#restore(this.#tenure, snapshotPath)
    this.#opening.catch(ignore)
  }

  /** Whether operations act at once; otherwise {@link whenReady} calls back when they do. */
  get isReady(): boolean {
    return this.#opening === undefined
  }

  /** Whether the sessions can be read at once, and are all that anybody has written. */
  get isCurrent(): boolean {
    const able = !this.#opening && !this.#closing && !this.#failure
    return able && !this.#tenure?.isBehind
  }

  /** The sessions, for operations on them; throws where the store could not open. */
  get sessions(): Sessions {
    this.requireWorking()
    return this.#sessions
  }

  /** The sessions, for their figures. */
  get figures(): Pick<Sessions, 'size' | 'bytes' | 'counters'> {
    return this.#sessions
  }

  get restored(): RestoreReport {
    return this.#report
  }

  get persistence(): Persistence | undefined {
    return this.#tenure?.persistence
  }

  /** Whether the files lack anything that was asked for. */
  get unsaved(): boolean {
    return this.#early > 0 || (this.#tenure?.unsaved ?? false)
  }

  /** Why the last attempt to write, or to come to that, failed, until one succeeds. */
  get writeError(): StoreError | undefined {
    return this.#tenure?.failure
  }

  get ownership(): Ownership | undefined {
    return this.#tenure?.ownership
  }

  /** What a read has to wait for before it can see what another process has written; rarely anything. */
  catchUp(): Promise<void> | undefined {
    return this.#tenure?.catchUp()
  }

  /** Resolves with what the restore found; rejects where the store can't open. */
  async ready(): Promise<RestoreReport> {
    this.#awaited = true
    await this.#opening
    this.requireWorking()
    return this.#report
  }

  /**
   * Calls back when the files have been read, in the order of the calls.
   *
   * @param change whether that changes anything
   */
  whenReady(callback: () => void, change: boolean): void {
    if (change) this.#early++
    this.#waiting.push(callback)
  }

  /** Throws where the store has been closed: what was asked before that is still done. */
  requireOpen(): void {
    if (this.#closing) throw new StoreError('ERR_CLOSED', 'Expected an open store, found it closed')
  }

  /** Throws where the store could not open. */
  requireWorking(): void {
    if (this.#failure) throw this.#failure
  }

  /** Resolves when everything so far is as durable as `durability: 'always'` promises. */
  acknowledged(): Promise<void> | undefined {
    return this.#tenure?.acknowledged()
  }

  async snapshot(): Promise<SnapshotReport> {
    this.requireOpen()
    await this.ready()
    if (!this.#tenure) return { sessions: await this.#sessions.length(), bytes: 0, durationMs: 0 }
    return (await this.#tenure.writer()).snapshot()
  }

  async flush(): Promise<void> {
    this.requireOpen()
    await this.ready()
    const tenure = this.#tenure
    // A successor that has changed nothing has nothing to lose.
    if (tenure && (tenure.persistence || tenure.unsaved)) await (await tenure.writer()).flush()
  }

  /** Flushes and lets go of everything. Idempotent; rejects where the flush failed. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Writes what is unsaved while the process exits. */
  flushSync(lives: boolean): void {
    const early = this.#early
    if (early === 0 || lives) this.#tenure?.flushSync(lives)
    else throw earlyError(this.#report.path, early)
  }

  async #restore(tenure: Tenure, path: string): Promise<RestoreReport> {
    try {
      this.#report = await tenure.open()
    } catch (cause) {
      const message = `Expected to open ${path}, found an unforeseen error`
      this.#failure =
        cause instanceof StoreError ? cause : new StoreError('ERR_OPEN', message, { path, cause })
      this.#proceed()
      // An app that waits for nothing would say nothing until somebody visits it.
      if (!this.#awaited) this.#events.error(this.#failure)
      throw this.#failure
    }
    // Of what limits have pushed out meanwhile.
    void this.#sessions.disposals.tellSoon()
    this.#proceed()
    this.#events.ready(this.#report)
    this.#tellDamage()
    this.#tellForeign()
    return this.#report
  }

  #proceed(): void {
    this.#opening = undefined
    const waiting = this.#waiting
    this.#waiting = []
    this.#early = 0
    for (const callback of waiting) callback()
  }

  #tellDamage(): void {
    const damaged = this.#report.files.find(({ state }) => state === 'damaged')
    if (!damaged) return
    this.#events.error(
      new StoreError(
        'ERR_DAMAGED',
        `Expected whole files, found ${damaged.path} damaged. What was whole is being served` +
          (this.#report.filledIn ? ', the generation before has filled in the rest' : '') +
          (damaged.setAside ? `; the damaged file has been copied to ${damaged.setAside}` : ''),
        { path: damaged.path, offset: damaged.damage[0]?.offset },
      ),
    )
  }

  #tellForeign(): void {
    const { path, files } = this.#report
    const foreign = files.find(({ state, setAside }) => state === 'foreign' && setAside)
    if (!foreign) return
    this.#events.error(
      new StoreError(
        'ERR_FORMAT_FOREIGN',
        `Expected journals of the store at ${path}, found ${foreign.path} to be of another one. ` +
          `It has not been read and is ${foreign.setAside} now`,
        { path: foreign.path },
      ),
    )
  }

  async #close(): Promise<void> {
    this.#sessions.closed = true
    await this.#opening?.catch(ignore)
    await this.#tenure?.close()
  }
}

function earlyError(path: string, changes: number): StoreError {
  const message = `Expected to write ${counted(changes, 'change')} to ${path}, found that it has not been read yet`
  return new StoreError('ERR_WRITE', message, { path })
}

function ignore(): void {
  // Told where it happened.
}
