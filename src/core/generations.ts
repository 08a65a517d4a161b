/**
 * The files of a store by generation: a snapshot, the journals that go with it, the one before.
 *
 * Knows which generation comes next, which files are still needed, and what order makes that safe:
 * the journal of a new generation is on disk before its snapshot is begun, the snapshot and its
 * folder are on disk before anything older goes. When to write is persistence.ts's to say.
 */
import { randomBytes } from 'node:crypto'
import type { KeyRing } from './cipher.js'
import type { Clock, Stamps } from './clock.js'
import { unlessMissing } from './file.js'
import { FILE_ID_LENGTH } from './format.js'
import { FrameEncoder } from './frames.js'
import type { FileHeader } from './header.js'
import { Journals, type JournalsContext } from './journals.js'
import type { KnownFiles } from './known-files.js'
import type { MergeTarget } from './merge.js'
import { corruptPath, previousPath } from './names.js'
import { inSlices } from './pace.js'
import type { Recovery } from './recover.js'
import { snapshotChunks, type SnapshotFooter, type SnapshotSource } from './snapshot.js'

/** What the files are made of. */
export interface GenerationsContext extends JournalsContext {
  clock: Clock
  keys: KeyRing
  target: MergeTarget
  stamps: Stamps
  encoding: FileHeader['encoding']
  /** Whether journals are written beside the snapshots. */
  journaling: boolean
  /** Which snapshots are ours. */
  known: KnownFiles
  /** Somebody put a file there: it is merged, or copied aside, before the promise resolves. */
  onForeign: (at: string) => Promise<void>
}

export class Generations {
  /** The journals beside the snapshots, of those before included. */
  readonly journals: Journals
  readonly #context: GenerationsContext
  readonly #store: Buffer
  /** The generation of new files; that of the snapshot at the path. */
  #generation: number
  #committed: number
  #snapshotBytes: number
  #rekey: boolean
  /** The generation before is not kept over the next snapshot. */
  #refused: boolean
  #aside: readonly string[]
  /** How often removals have been forgotten, and how often before the last snapshot was begun. */
  #forgotten = 0
  #forgottenBefore = 0

  constructor(context: GenerationsContext, recovery: Recovery) {
    this.#context = context
    this.#store = recovery.store ?? randomBytes(FILE_ID_LENGTH)
    this.#generation = recovery.generation
    this.#committed = recovery.committed
    this.journals = new Journals(context, recovery, () => this.#encoder('journal'))
    this.#snapshotBytes = recovery.snapshotBytes
    this.#rekey = recovery.rekey
    this.#refused = recovery.refused
    this.#aside = recovery.aside
  }

  /** Whether the files should be written anew: damaged, or not encrypted as they should be. */
  get #renew(): boolean {
    return this.#context.known.distrusted || this.#rekey
  }

  get snapshotBytes(): number {
    return this.#snapshotBytes
  }

  /** The journals since the snapshot: how many, and how large. */
  get sinceSnapshot(): { count: number; bytes: number } {
    return this.journals.since(this.#committed)
  }

  /**
   * Removals are noted no more that no journal has been told: the next snapshot alone knows of them.
   * It is read whole by those who follow, and the generation before is not to fill in for it.
   */
  forget(): void {
    this.#forgotten++
  }

  /**
   * Begins the next generation with its journal, durable before the snapshot's first byte.
   *
   * @param onBroken called where a sync of what had been appended has failed
   */
  async begin(onBroken: () => void): Promise<void> {
    // One that was begun and never finished goes on: its journal has all that came since.
    // Not when re-keying: a journal already begun for it may have the old key, and would be kept.
    if (this.#generation === this.#committed || this.#rekey) this.#generation++
    await this.#context.files.makeFolder(this.#context.path)
    if (!this.#context.journaling || this.journals.generation === this.#generation) return
    await this.journals.rotate(onBroken)
  }

  /**
   * Writes the snapshot of the generation that has begun and lets go of what it makes superfluous.
   *
   * @param abort asked between chunks; true: give up, everything stays as it was
   * @param whole journals may not tell all that it holds: whoever follows is to read it
   */
  async write(
    changes: SnapshotSource['changes'],
    abort: () => boolean,
    whole: boolean,
  ): Promise<{ footer: SnapshotFooter; bytes: number }> {
    const { files, path, known, lease } = this.#context
    const generation = this.#generation
    let footer!: SnapshotFooter
    await this.#setAside()
    await this.#unlink()
    const forgotten = this.#forgotten
    const encoder = this.#encoder('snapshot', whole || this.#untold)
    known.begin(encoder.header.id)
    const chunks = inSlices(snapshotChunks(this.#source(changes), encoder), abort, (done) => {
      footer = done
    })
    const previous = previousPath(path)
    let written!: string
    const bytes = await files.replace(path, chunks, async (glance) => {
      for (const at of known.disturbed()) await this.#context.onForeign(at)
      await lease.check()
      // Where it was removed, there is nothing to become the generation before.
      const standing = known.standing()
      written = glance
      // What must not stay readable is not kept as the generation before, nor what is damaged.
      if (this.#renew) return
      await files.keep(path, previous)
      if (standing !== '') known.know(previous, standing)
    })
    known.know(path, written)
    // Written over in the last moment, by what is now known by the other name.
    if (known.disturbed().includes(previous)) await this.#context.onForeign(previous)
    await this.#commit(generation, bytes)
    this.#forgottenBefore = forgotten
    return { footer, bytes }
  }

  /** Writes a snapshot while the process exits. */
  writeSync(): void {
    const { files, path, known, lease, clock } = this.#context
    files.makeFolderSync(path)
    lease.checkSync()
    for (const at of this.#aside) files.keepSync(at, corruptPath(at, clock.now()))
    this.#aside = []
    if (this.#generation === this.#committed) this.#generation++
    // Where there are journals, what they lack is why it is written.
    const encoder = this.#encoder('snapshot', true)
    let written!: string
    known.begin(encoder.header.id)
    files.replaceSync(path, snapshotChunks(this.#source(undefined), encoder), (glance) => {
      written = glance
      if (known.disturbed().includes(path)) files.keepSync(path, corruptPath(path, clock.now()))
      else if (!this.#renew) {
        const [standing, previous] = [known.standing(), previousPath(path)]
        files.keepSync(path, previous)
        if (standing !== '') known.know(previous, standing)
      }
    })
    known.know(path, written)
  }

  /** Whether a file has been taken away that a restart would need. */
  get orphaned(): boolean {
    return this.#context.known.taken || this.journals.missing
  }

  /** Whether removals have been forgotten that the last snapshot need not know of. */
  get #untold(): boolean {
    return this.#forgotten > this.#forgottenBefore
  }

  /** Copies what is about to be replaced or removed, where a restore could not. */
  async #setAside(): Promise<void> {
    const { files, clock } = this.#context
    while (this.#aside.length > 0) {
      const [path, ...others] = this.#aside
      // Somebody may have taken it away.
      await files.copy(path!, corruptPath(path!, clock.now())).catch(unlessMissing)
      this.#aside = others
    }
  }

  /** Takes away a link that somebody has put at the path: what it leads to is not to be written over. */
  async #unlink(): Promise<void> {
    const { files, path, known, onForeign } = this.#context
    if ((await files.kind(path)) !== 'link') return
    if (known.disturbed().includes(path)) await onForeign(path)
    await files.remove(path)
  }

  /** What a snapshot is made of. */
  #source(changes: SnapshotSource['changes']): SnapshotSource {
    const { target, clock } = this.#context
    return {
      table: target.table,
      tombstones: target.tombstones,
      now: clock.now(),
      structures: () => target.codec.structures,
      changes,
    }
  }

  #encoder(kind: FileHeader['kind'], tail = false): FrameEncoder {
    const { clock, keys, target, stamps, encoding, journaling, lease } = this.#context
    const id = randomBytes(FILE_ID_LENGTH)
    const sealing = keys.writer(id)
    const header: FileHeader = {
      kind,
      id,
      store: this.#store,
      lineage: target.lineage,
      generation: this.#generation,
      created: clock.now(),
      stamp: stamps.last,
      encoding,
      sessions: target.table.size,
      tail: kind === 'snapshot' && (tail || !journaling),
      pid: process.pid,
      term: lease.term,
      salt: sealing?.salt,
    }
    return new FrameEncoder(header, sealing?.cipher)
  }

  async #commit(generation: number, bytes: number): Promise<void> {
    const { files, path, known } = this.#context
    const alone = this.#rekey || this.#refused || this.#untold
    const previous = alone ? generation : this.#committed
    if (alone) await files.remove(previousPath(path))
    this.#committed = generation
    known.commit()
    this.#snapshotBytes = bytes
    this.#rekey = this.#refused = false
    await this.journals.removeBefore(previous)
  }
}
