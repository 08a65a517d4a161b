/**
 * A file that somebody else puts at the path of a running store → this table.
 *
 * An operator restores a backup, or brings sessions from another machine. What the file holds is
 * merged by the same rules as ever, memory losing nothing and nothing destroyed coming back; then a
 * generation of everything is written in its place. A file that can't be read whole is copied aside
 * first and told. Our own snapshots are recognised by their ids.
 */
import type { CookieShapes } from './cookie.js'
import type { KeyRing } from './cipher.js'
import type { Clock, Stamps } from './clock.js'
import { StoreError } from './errors.js'
import type { Files } from './file.js'
import type { MergeReport } from './follow.js'
import { FrameKind } from './format.js'
import { FramedFile } from './framed-file.js'
import type { FileHeader } from './header.js'
import type { KnownFiles } from './known-files.js'
import { Merge, type MergeTarget } from './merge.js'
import { corruptPath, previousPath } from './names.js'
import type { Persistence } from './persistence.js'
import { IGNORING, readRecords } from './reading.js'

export interface IntakeContext {
  files: Files
  path: string
  keys: KeyRing
  shapes: CookieShapes
  target: MergeTarget
  encoding: FileHeader['encoding']
  clock: Clock
  stamps: Pick<Stamps, 'observe'>
  /** A merge is about to drop the entry in `slot`. */
  removing: (slot: number) => void
  onMerge: (report: MergeReport) => void
  onError: (error: StoreError) => void
}

/** A file counts as complete when it has not changed for this long, in ms. */
const SETTLED = 250
/** A snapshot waits this often for that: ten seconds. */
const SETTLED_WAITS = 40

export class Intake {
  readonly #context: IntakeContext
  readonly #persistence: Persistence
  readonly #known: KnownFiles
  #looking: Promise<void> | undefined
  #cancel: (() => void) | undefined
  #stopped = false

  constructor(context: IntakeContext, persistence: Persistence, known: KnownFiles) {
    this.#context = context
    this.#persistence = persistence
    this.#known = known
  }

  /** Looks at what was written there once it has settled. */
  notice(): void {
    if (this.#stopped) return
    const { files, path, clock } = this.#context
    const glance = () => [path, previousPath(path)].map((one) => files.glanceSync(one)).join(' ')
    const before = glance()
    this.#cancel?.()
    this.#cancel = clock.after(SETTLED, () => {
      this.#cancel = undefined
      // What came during a look may have come too late for it.
      if (this.#looking || glance() !== before) this.notice()
      else this.#looking = this.#look().finally(() => (this.#looking = undefined))
    })
  }

  /** Looks no more by itself; resolves when a look under way is over. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#looking
  }

  /**
   * Merges what is there, at the path or by the name it was given since, where it is not ours and
   * another file is to take its place. Whoever is still writing it is waited for, within reason.
   */
  async take(at: string): Promise<void> {
    const { files, clock } = this.#context
    let before: string | undefined
    for (let left = SETTLED_WAITS; left > 0 && before !== (before = files.glanceSync(at)); left--) {
      await clock.sleep(SETTLED)
    }
    // The snapshot that is being written may have passed what this has changed.
    if (await this.#take(at)) this.#persistence.distrust()
  }

  async #look(): Promise<void> {
    const { path, onError } = this.#context
    try {
      let taken = false
      for (const at of this.#known.disturbed()) {
        if (await this.#take(at)) taken = true
      }
      if (taken) await this.#persistence.renew()
    } catch (cause) {
      const message = `Expected to merge what was put at ${path}, found that it could not be done`
      onError(
        cause instanceof StoreError ? cause : new StoreError('ERR_OPEN', message, { path, cause }),
      )
    }
  }

  /** @returns whether a generation has to be written in the place of what was found */
  async #take(at: string): Promise<boolean> {
    const { files, path } = this.#context
    const glance = files.glanceSync(at)
    if (glance === '') return at === path && this.#known.hasSnapshot
    const taken = await this.#read(at)
    // What it became meanwhile is looked at again.
    this.#known.know(at, glance)
    return taken
  }

  /** @returns whether it was somebody else's */
  async #read(at: string): Promise<boolean> {
    const { files, path, keys, encoding } = this.#context
    let file: FramedFile
    try {
      file = await FramedFile.open(files, at, keys)
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      if (at === path) this.#known.distrust()
      await this.#setAside(at, error)
      return true
    }
    try {
      if (this.#known.isOwn(file.header.id)) return false
      if (at === path) this.#known.distrust()
      if (file.header.encoding === encoding) await this.#merge(at, file)
      else await this.#setAside(at, this.#otherEncoding())
      return true
    } finally {
      await file.close()
    }
  }

  async #merge(at: string, file: FramedFile): Promise<void> {
    const { path, target, clock, stamps, removing, onMerge } = this.#context
    const merge = new Merge(target, {
      now: () => clock.now(),
      cleared: await this.#clearedIn(file),
      events: { changed: (slot) => this.#persistence.set(slot), removing },
    })
    const frames = { complete: false }
    const scan = await readRecords(this.#context, file, merge, (kind) => {
      if (kind === FrameKind.footer) frames.complete = true
    })
    stamps.observe(Math.max(merge.stamp, file.header.stamp))
    if (!frames.complete || scan.damage.length > 0 || scan.torn) {
      const { offset } = scan.damage[0] ?? scan.torn ?? { offset: scan.end }
      const message = `Expected a whole snapshot, found the one put at ${path} damaged. What was whole has been merged`
      await this.#setAside(at, new StoreError('ERR_DAMAGED', message, { path, offset }))
    }
    onMerge({ applied: merge.counts.applied, removed: merge.counts.removed })
  }

  /** The stamp of the last clear that a file tells of; 0: none. */
  async #clearedIn(file: FramedFile): Promise<number> {
    let cleared = 0
    const clear = (stamp: number) => void (cleared = Math.max(cleared, stamp))
    await readRecords(this.#context, file, { ...IGNORING, clear })
    return cleared
  }

  #otherEncoding(): StoreError {
    const { path } = this.#context
    const message = `Expected sessions encoded as those in memory, found others in the file put at ${path}`
    return new StoreError('ERR_ENCODING', message, { path })
  }

  async #setAside(at: string, error: StoreError): Promise<void> {
    const { files, path, clock, onError } = this.#context
    await files.copy(at, corruptPath(path, clock.now()))
    onError(error)
  }
}
