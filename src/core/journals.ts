/**
 * The journals of a store: those that a restart would read, and the one that is appended to.
 *
 * Knows which number comes next and gives up a journal of which an append or a sync has failed. Which
 * generation a journal is of, and how long it is needed, is generations.ts's to say; when to append
 * is journaling.ts's.
 */
import type { Files } from './file.js'
import type { FrameEncoder } from './frames.js'
import type { JournalFile } from './inventory.js'
import { Journal } from './journal.js'
import type { Lease } from './lease.js'
import { journalPath } from './names.js'
import type { Recovery } from './recover.js'

export interface JournalsContext {
  files: Files
  path: string
  durability: 'snapshot' | 'everysec' | 'always'
  /** The right to write. Its checks throw where it has been lost. */
  lease: Lease
}

export class Journals {
  readonly #context: JournalsContext
  readonly #encoder: () => FrameEncoder
  #current: Journal | undefined
  #all: JournalFile[]
  #number: number

  /** @param encoder of a journal that begins now */
  constructor(
    context: JournalsContext,
    { journals, journal }: Pick<Recovery, 'journals' | 'journal'>,
    encoder: () => FrameEncoder,
  ) {
    this.#context = context
    this.#encoder = encoder
    this.#number = journal
    // A journal that was cut off in its header is copied aside and removed.
    this.#all = journals.filter(({ path }) => context.files.glanceSync(path) !== '')
  }

  /** The generation of the journal that is appended to; `undefined`: there is none. */
  get generation(): number | undefined {
    return this.#current?.generation
  }

  /** Whether the journal has been appended to since it was synced. */
  get unsynced(): boolean {
    return this.#current?.unsynced ?? false
  }

  /** Whether one has been taken away that a restart would need. */
  get missing(): boolean {
    return this.#all.some(({ path }) => this.#context.files.glanceSync(path) === '')
  }

  /** Those of a generation and later ones: how many, and how large. */
  since(generation: number): { count: number; bytes: number } {
    const since = this.#all.filter((journal) => journal.generation >= generation)
    const bytes = since.reduce((sum, journal) => sum + journal.bytes, 0)
    return { count: since.length, bytes }
  }

  /** The journal to append to. */
  async current(): Promise<Journal> {
    this.#current ??= await this.#create()
    return this.#current
  }

  /**
   * Goes on in a new journal, which is on disk by then, as is all that was appended before.
   *
   * @param onBroken called where a sync of what had been appended has failed
   */
  async rotate(onBroken: () => void): Promise<void> {
    const before = this.#current
    try {
      // What the journal before holds is needed until the snapshot stands.
      if (before?.unsynced) {
        await before.sync().catch((error: unknown) => {
          onBroken()
          throw error
        })
      }
      this.#current = undefined
      const journal = await this.current()
      await journal.sync()
    } catch (error) {
      await this.abandon(false)
      throw error
    } finally {
      await before?.close().catch(ignore)
    }
  }

  /**
   * Gives the current journal up, after an append or a sync that failed, or for good.
   *
   * @param cut its end is not whole, and is cut
   * @returns whether what had been appended before is on disk
   */
  async abandon(cut: boolean): Promise<boolean> {
    const journal = this.#current
    this.#current = undefined
    if (!journal) return true
    await journal.close().catch(ignore)
    if (!cut) return false
    return this.#context.files.truncate(journal.path, journal.bytes).then(
      () => true,
      () => false,
    )
  }

  /**
   * Appends while the process exits, or may.
   *
   * @param idle the current one has no append under way, which may land before or after
   */
  appendSync(idle: boolean, frames: (journal: Journal) => Iterable<Buffer>): void {
    this.#context.lease.checkSync()
    const journal = (idle ? this.#current : undefined) ?? this.#createSync()
    try {
      for (const frame of frames(journal)) journal.appendSync(frame)
      journal.syncSync()
    } catch (error) {
      // Should the process live on, nothing may stand behind what an error left.
      if (journal === this.#current) this.#current = undefined
      throw error
    } finally {
      if (journal !== this.#current) void journal.close().catch(ignore)
    }
  }

  /** Removes those of generations before this one. */
  async removeBefore(generation: number): Promise<void> {
    const { files, path } = this.#context
    const superfluous = this.#all.filter((journal) => journal.generation < generation)
    this.#all = this.#all.filter((journal) => journal.generation >= generation)
    for (const journal of superfluous) {
      // One that stays is read again and changes nothing.
      await files.remove(journal.path).catch(() => this.#all.push(journal))
    }
    if (superfluous.length > 0) await files.syncFolder(path).catch(ignore)
  }

  async close(): Promise<void> {
    await this.#current?.close()
    this.#current = undefined
  }

  async #create(): Promise<Journal> {
    const { files, path, lease, durability } = this.#context
    await files.makeFolder(path)
    await lease.check()
    const journal = await Journal.create(
      files,
      this.#nextPath(),
      this.#encoder(),
      durability === 'always',
    )
    this.#all.push(journal)
    return journal
  }

  #createSync(): Journal {
    const journal = Journal.createSync(this.#context.files, this.#nextPath(), this.#encoder())
    this.#all.push(journal)
    return journal
  }

  #nextPath(): string {
    return journalPath(this.#context.path, ++this.#number)
  }
}

function ignore(): void {
  // What led here, or what follows, tells more than this.
}
