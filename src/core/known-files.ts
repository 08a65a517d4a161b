/**
 * Which snapshots are this process's own: those that it last read or wrote, at the path and as the
 * generation before.
 *
 * Knows their ids, and by a glance whether somebody else has written there since. Only looks: what
 * is done about it is generations.ts's and intake.ts's to say.
 */
import { type Files, UNSEEN } from './file.js'
import { previousPath } from './names.js'
import type { Recovery } from './recover.js'

export class KnownFiles {
  readonly #files: Files
  readonly #path: string
  /** Ids of snapshots that are ours: the last ones written, or about to be. */
  #ids: Buffer[] = []
  /** What the snapshot, and the one before, looked like when they were last ours. */
  #glance: string
  #previousGlance: string
  #distrusted: boolean

  constructor(files: Files, path: string, recovery: Recovery) {
    this.#files = files
    this.#path = path
    if (recovery.snapshotId) this.#ids.push(recovery.snapshotId)
    this.#glance = recovery.glance
    this.#previousGlance = recovery.previousGlance
    this.#distrusted = recovery.damaged
  }

  /** Whether there is a snapshot that this process read or wrote. */
  get hasSnapshot(): boolean {
    return this.#ids.length > 0
  }

  /** Whether the snapshot with this id is one that this process read or wrote. */
  isOwn(id: Buffer): boolean {
    return this.#ids.some((own) => own.equals(id))
  }

  /**
   * Where somebody else has written: what is there is not what this process last read or wrote.
   * A writer that opened the snapshot before it was rotated goes on writing into what is now `.1`.
   */
  disturbed(): string[] {
    const previous = previousPath(this.#path)
    const here = this.#files.glanceSync(this.#path)
    const there = this.#files.glanceSync(previous)
    const paths = []
    if (here !== UNSEEN && here !== this.#glance) paths.push(this.#path)
    if (there !== UNSEEN && there !== '' && there !== this.#previousGlance) paths.push(previous)
    return paths
  }

  /** Whether a snapshot of ours has been taken away. */
  get taken(): boolean {
    return this.#glance !== '' && this.#files.glanceSync(this.#path) === ''
  }

  /** What the snapshot at the path looked like when it was last ours; empty where none is there. */
  standing(): string {
    return this.#files.glanceSync(this.#path) === '' ? '' : this.#glance
  }

  /** Accepts this glance of what is at `at` as known, so that it no longer counts as disturbed. */
  know(at: string, glance: string): void {
    if (at === this.#path) this.#glance = glance
    else this.#previousGlance = glance
  }

  /** Whether what stands at the path is damaged or somebody else's. */
  get distrusted(): boolean {
    return this.#distrusted
  }

  /** What stands at the path is not to become the generation before. */
  distrust(): void {
    this.#distrusted = true
  }

  /** A snapshot with this id is about to be written. */
  begin(id: Buffer): void {
    this.#ids.push(id)
  }

  /** The snapshot that was begun last stands at the path. */
  commit(): void {
    this.#ids = this.#ids.slice(-1)
    this.#distrusted = false
  }
}
