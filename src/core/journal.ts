/**
 * Changes → ordered appends.
 *
 * A journal is one file that only grows, written by one process: a restart begins a new one, and so
 * does any failure, because what an error left behind the last whole frame is unknown. Who appends
 * when, and what an acknowledgement waits for, is the owner's to say.
 */
import type { Changes } from './changes.js'
import type { Files, LogFile } from './file.js'
import { emptyFields, FRAME_TARGET, FrameKind } from './format.js'
import type { FrameEncoder } from './frames.js'
import type { MergeTarget } from './merge.js'
import { RecordWriter } from './record-writer.js'

/** What a disk may tear at once; no structure is told in one of these only. */
const SECTOR = 512

/** One journal file, open for appending. */
export class Journal {
  readonly path: string
  readonly generation: number
  /** Bytes known to be whole frames. */
  bytes = 0
  /** Whether anything has been appended since the last {@link sync}. */
  unsynced = false
  readonly #files: Files
  readonly #log: LogFile
  readonly #encoder: FrameEncoder
  /** Where the next frame begins. */
  #end = 0
  /** Where the frame begins in which the structures of {@link #again} were last told. */
  #toldAt = -1
  readonly #writer = new RecordWriter()
  readonly #fields = emptyFields()
  /** A buffer for each frame would have the garbage collector come again and again. */
  readonly #room = Buffer.allocUnsafeSlow(FRAME_TARGET * 2)
  #defined = 0
  /** Structures that are told again in each frame, until one begins a sector behind the first. */
  #again: { id: number; behind: number }[] = []
  #folderSynced = false

  private constructor(files: Files, path: string, log: LogFile, encoder: FrameEncoder) {
    this.#files = files
    this.path = path
    this.generation = encoder.header.generation
    this.#log = log
    this.#encoder = encoder
  }

  /**
   * Creates the file and writes its header. Durable with the first {@link sync}.
   *
   * @param prompt each append is going to be synced
   */
  static async create(
    files: Files,
    path: string,
    encoder: FrameEncoder,
    prompt = false,
  ): Promise<Journal> {
    const log = await files.createLog(path, prompt)
    const journal = new Journal(files, path, log, encoder)
    try {
      await journal.append(encoder.head())
    } catch (error) {
      await journal.close().catch(ignore)
      await files.remove(path).catch(ignore)
      throw error
    }
    return journal
  }

  /** The same while the process exits. */
  static createSync(files: Files, path: string, encoder: FrameEncoder): Journal {
    const log = files.createLogSync(path)
    const journal = new Journal(files, path, log, encoder)
    try {
      journal.appendSync(encoder.head())
    } catch (error) {
      void journal.close().catch(ignore)
      throw error
    }
    return journal
  }

  /**
   * The frames that tell `changes`, each made when it is asked for, by when the one before is gone;
   * to be appended in this order.
   */
  *frames(
    { table, tombstones, codec }: Pick<MergeTarget, 'table' | 'tombstones' | 'codec'>,
    changes: Changes,
  ): Generator<Buffer, void, void> {
    const writer = this.#writer
    const fields = this.#fields
    writer.reset()
    this.#end = this.bytes
    const define = () => {
      const known = codec.structures
      if (this.#end !== this.#toldAt) {
        this.#toldAt = this.#end
        for (const { id } of this.#again) writer.structure(id, known[id]!)
        this.#again = this.#again.filter(({ behind }) => this.#end < behind)
      }
      for (; this.#defined < known.length; this.#defined++) {
        writer.structure(this.#defined, known[this.#defined]!)
        this.#again.push({ id: this.#defined, behind: Infinity })
      }
      writer.needs(this.#defined)
    }
    const tell = (slot: number, whole: boolean) => {
      table.read(slot, fields)
      table.markSaved(slot)
      if (!whole) writer.touch(fields, table.packedSid(slot), table.cell(slot))
      else {
        define()
        writer.entry(fields, table.packedSid(slot), table.cell(slot))
      }
    }
    let cleared = changes.cleared
    if (cleared > 0) writer.clear(cleared)
    const tellClear = () => {
      if (tombstones.cleared <= cleared) return
      // Cleared since it was noted: what is acknowledged now must not leave an older state.
      cleared = tombstones.cleared
      writer.clear(cleared)
    }
    for (const slot of changes.slots()) {
      tell(slot, changes.whole(slot))
      if (writer.length >= FRAME_TARGET) yield this.#close()
    }
    if (changes.swept) tellClear()
    // Behind the slots: what goes while these are told is among them.
    for (const [sid, noted] of changes.gone) {
      const slot = noted ? -1 : table.find(sid)
      // Where no removal says that it is gone, its expiry does.
      const removal = noted ?? tombstones.get(sid)
      if (slot >= 0) tell(slot, true)
      else if (removal) writer.removal(sid, removal.stamp, removal.until)
      else tellClear()
      if (writer.length >= FRAME_TARGET) yield this.#close()
    }
    if (writer.records > 0) yield this.#close()
  }

  /** Appends one frame or several. */
  async append(frames: Buffer): Promise<void> {
    this.unsynced = true
    await this.#log.append(frames)
    this.bytes += frames.length
  }

  /** Resolves when everything appended is on disk, the file's name included. */
  async sync(): Promise<void> {
    if (!this.#log.prompt) await this.#log.sync()
    if (!this.#folderSynced) await this.#files.syncFolder(this.path)
    this.#folderSynced = true
    this.unsynced = false
  }

  appendSync(frame: Buffer): void {
    this.#log.appendSync(frame)
    this.bytes += frame.length
  }

  syncSync(): void {
    this.#log.syncSync()
    if (!this.#folderSynced) this.#files.syncFolderSync(this.path)
    this.#folderSynced = true
  }

  close(): Promise<void> {
    return this.#log.close()
  }

  #close(): Buffer {
    const frame = this.#encoder.frame(FrameKind.records, this.#writer.payload(), this.#room)
    this.#end += frame.length
    const behind = this.#end + SECTOR
    for (const one of this.#again) if (one.behind === Infinity) one.behind = behind
    this.#writer.reset()
    return frame
  }
}

function ignore(): void {
  // The error that led here is the one to tell.
}
