/**
 * A disk in memory: files by path, a list of what was done to them and in which order, and errors
 * on demand. It keeps what a file held when it was last synced apart from what it holds.
 */
import { basename, dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import {
  type Files,
  type LogFile,
  type PathKind,
  type ReadableFile,
  UNSEEN,
} from '../../src/core/file.js'

/** What can be done to a file; `hold` and `fail` are asked before it is. */
export type Operation =
  | 'append'
  | 'copy'
  | 'create'
  | 'keep'
  | 'open'
  | 'read'
  | 'remove'
  | 'rename'
  | 'stat'
  | 'sync'
  | 'syncFolder'
  | 'truncate'
  | 'write'

/** The folder that stores in tests live in. */
const FOLDER = '/sessions'
export const PATH = `${FOLDER}/s.snapshot`

export class MemoryFiles implements Files {
  readonly contents = new Map<string, Buffer>()
  /** What each file held when it was last synced. */
  readonly synced = new Map<string, Buffer>()
  /** Whether it can make logs prompt, as some systems can. */
  prompt = false
  /** What was done, as `operation name`; reads are not listed. */
  calls: string[] = []
  /** Bytes that reads gave. */
  bytesRead = 0
  /** The most bytes that one read asked for. */
  longestRead = 0
  /** The error of an operation, where it is to fail. */
  fail: (operation: Operation, name: string) => NodeJS.ErrnoException | undefined = () => undefined
  /** How many bytes an append that fails leaves all the same. */
  partial = 0
  /** What an operation waits for before it is done. */
  hold: (operation: Operation, name: string) => Promise<void> | undefined = () => undefined

  /** A copy to open another store on, as a restart or a kill would find it. */
  fork(): MemoryFiles {
    const files = new MemoryFiles()
    for (const [path, bytes] of this.contents) files.contents.set(path, Buffer.from(bytes))
    for (const [path, bytes] of this.synced) files.synced.set(path, Buffer.from(bytes))
    return files
  }

  /** What a cheap look at a file tells: whether it is the one it was. */
  glanceSync(path: string): string {
    if (this.fail('stat', basename(path))) return UNSEEN
    const bytes = this.contents.get(path)
    return bytes ? glanceOf(bytes) : ''
  }

  /** The names in the folder, sorted. */
  names(): string[] {
    return [...this.contents.keys()].map((path) => basename(path)).sort()
  }

  get(path: string): Buffer {
    const bytes = this.contents.get(path)
    if (!bytes) throw errno('ENOENT')
    return bytes
  }

  /** How often an operation was done, on files whose name has `part` in it. */
  count(operation: Operation, part = ''): number {
    return this.calls.filter((call) => call.startsWith(`${operation} `) && call.includes(part))
      .length
  }

  makeFolderSync(): void {
    // There is one.
  }

  makeFolder(): Promise<void> {
    return Promise.resolve()
  }

  kind(path: string): Promise<PathKind> {
    return Promise.resolve(this.contents.has(path) ? 'file' : 'none')
  }

  siblings(path: string): Promise<string[]> {
    const prefix = `${path}.`
    const found = [...this.contents.keys()].filter((one) => one.startsWith(prefix))
    return Promise.resolve(found.map((one) => basename(one)))
  }

  async open(path: string): Promise<ReadableFile> {
    await this.#before('open', path)
    const bytes = this.get(path)
    return {
      size: bytes.length,
      read: async (offset, room) => {
        await this.#before('read', path)
        const found = bytes.copy(room, 0, offset, offset + room.length)
        this.bytesRead += found
        this.longestRead = Math.max(this.longestRead, room.length)
        return found
      },
      close: () => Promise.resolve(),
    }
  }

  async replace(
    path: string,
    chunks: AsyncIterable<Uint8Array>,
    beforeRename: (glance: string) => Promise<void>,
  ): Promise<number> {
    const written: Uint8Array[] = []
    for await (const chunk of chunks) {
      await this.#does('write', path)
      written.push(Buffer.from(chunk))
    }
    await this.#does('sync', path)
    const bytes = Buffer.concat(written)
    await beforeRename(glanceOf(bytes))
    await this.#does('rename', path)
    this.contents.set(path, bytes)
    this.synced.set(path, bytes)
    await this.syncFolder(path)
    return bytes.length
  }

  replaceSync(
    path: string,
    chunks: Iterable<Uint8Array>,
    beforeRename: (glance: string) => void,
  ): number {
    const bytes = Buffer.concat(Array.from(chunks, (chunk) => Buffer.from(chunk)))
    this.#doesSync('write', path)
    this.#doesSync('sync', path)
    beforeRename(glanceOf(bytes))
    this.#doesSync('rename', path)
    this.contents.set(path, bytes)
    this.synced.set(path, bytes)
    this.syncFolderSync(path)
    return bytes.length
  }

  async createLog(path: string, prompt = false): Promise<LogFile> {
    await this.#before('create', path)
    const log = this.createLogSync(path)
    if (!prompt || !this.prompt) return log
    const append = async (data: Uint8Array) => {
      await log.append(data)
      this.synced.set(path, this.get(path))
    }
    return { ...log, prompt: true, append }
  }

  createLogSync(path: string): LogFile {
    if (this.contents.has(path)) throw errno('EEXIST')
    this.#doesSync('create', path)
    this.contents.set(path, Buffer.alloc(0))
    const append = (data: Uint8Array) => {
      this.contents.set(path, Buffer.concat([this.get(path), data]))
    }
    const appendSync = (data: Uint8Array) => {
      try {
        this.#doesSync('append', path)
      } catch (error) {
        append(data.subarray(0, this.partial))
        throw error
      }
      append(data)
    }
    const sync = () => void this.synced.set(path, this.get(path))
    return {
      path,
      prompt: false,
      append: async (data) => {
        await this.#before('append', path)
        appendSync(data)
      },
      sync: async () => {
        await this.#does('sync', path)
        sync()
      },
      close: () => Promise.resolve(),
      appendSync,
      syncSync: () => {
        this.#doesSync('sync', path)
        sync()
      },
    }
  }

  async keep(path: string, kept: string): Promise<void> {
    await this.#before('keep', path)
    this.keepSync(path, kept)
  }

  keepSync(path: string, kept: string): void {
    this.#doesSync('keep', kept)
    const bytes = this.contents.get(path)
    if (bytes) this.contents.set(kept, bytes)
  }

  async copy(from: string, to: string): Promise<void> {
    await this.#does('copy', to)
    if (this.contents.has(to)) throw errno('EEXIST')
    this.contents.set(to, this.get(from))
  }

  async truncate(path: string, length: number): Promise<void> {
    await this.#does('truncate', path)
    this.contents.set(path, this.get(path).subarray(0, length))
    await this.sync(path)
  }

  async sync(path: string): Promise<void> {
    await this.#does('sync', path)
    this.synced.set(path, this.get(path))
  }

  async remove(path: string): Promise<void> {
    await this.#before('remove', path)
    this.removeSync(path)
  }

  removeSync(path: string): void {
    this.#doesSync('remove', path)
    this.contents.delete(path)
  }

  async syncFolder(path: string): Promise<void> {
    await this.#does('syncFolder', dirname(path))
  }

  syncFolderSync(path: string): void {
    this.#doesSync('syncFolder', dirname(path))
  }

  async #before(operation: Operation, path: string): Promise<void> {
    await this.hold(operation, basename(path))
    if (operation === 'open' || operation === 'read') this.#throws(operation, path)
  }

  async #does(operation: Operation, path: string): Promise<void> {
    await this.#before(operation, path)
    this.#doesSync(operation, path)
  }

  #doesSync(operation: Operation, path: string): void {
    this.#throws(operation, path)
    this.calls.push(`${operation} ${basename(path)}`)
  }

  #throws(operation: Operation, path: string): void {
    const error = this.fail(operation, basename(path))
    if (error) throw error
  }
}

/** An error as the file system makes it. */
export function errno(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: as the test wants it`), { code })
}

/** A promise and what resolves it. */
export function gate(): { opened: Promise<void>; open: () => void } {
  let open!: () => void
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open }
}

function glanceOf(bytes: Buffer): string {
  return `${bytes.length}:${crc32(bytes)}`
}
