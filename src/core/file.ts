/**
 * What this package needs of a file system, and which of its errors it tells apart.
 *
 * The promises mean what they say: `replace` is on disk with its folder when it resolves, `append`
 * has written every byte, `sync` has reached the disk. Touches no file; node-files.ts does.
 */
import { dirname, join } from 'node:path'

/** A file that only grows. */
export interface LogFile {
  readonly path: string
  /** Whether what has been appended has reached the disk by then: `sync` need not be called. */
  readonly prompt: boolean
  /** Writes all of `data` behind what is there. After an error the tail is unknown. */
  append(data: Uint8Array): Promise<void>
  /** Resolves when everything appended has reached the disk. */
  sync(): Promise<void>
  close(): Promise<void>
  appendSync(data: Uint8Array): void
  syncSync(): void
}

/** A file being read. */
export interface ReadableFile {
  /** Bytes when it was opened. */
  readonly size: number
  /** Reads from `offset` until `room` is full. @returns how many bytes, fewer only at the end of the file */
  read(offset: number, room: Buffer): Promise<number>
  close(): Promise<void>
}

/** What kind of thing is at a path. */
export type PathKind = 'file' | 'folder' | 'link' | 'other' | 'none'

/** The file system as this package uses it; tests put models of failing disks in its place. */
export interface Files {
  /** Makes the folder that `path` is in. */
  makeFolder(path: string): Promise<void>
  makeFolderSync(path: string): void
  kind(path: string): Promise<PathKind>
  /** Names, without folder, of the files beside `path` that begin with its name and a dot. */
  siblings(path: string): Promise<string[]>
  open(path: string): Promise<ReadableFile>
  /**
   * Replaces `path` by `chunks` in one step: whatever happens, it holds all of the old or all of
   * the new. `beforeRename` runs when the new bytes are complete and on disk, and is told the
   * glance of them, which stays the same at their new name.
   *
   * @returns the bytes written
   */
  replace(
    path: string,
    chunks: AsyncIterable<Uint8Array>,
    beforeRename: (glance: string) => Promise<void>,
  ): Promise<number>
  /** The same while the process exits. */
  replaceSync(
    path: string,
    chunks: Iterable<Uint8Array>,
    beforeRename: (glance: string) => void,
  ): number
  /** Creates a log, prompt if that is asked for and can be; fails where the file exists. */
  createLog(path: string, prompt?: boolean): Promise<LogFile>
  createLogSync(path: string): LogFile
  /** Gives the file `path` the second name `kept`, replacing what had it. Nothing at `path`: nothing. */
  keep(path: string, kept: string): Promise<void>
  keepSync(path: string, kept: string): void
  copy(from: string, to: string): Promise<void>
  truncate(path: string, length: number): Promise<void>
  /** Resolves when everything written to the file has reached the disk. */
  sync(path: string): Promise<void>
  /** Removes a file; none there is fine. */
  remove(path: string): Promise<void>
  /** Makes creations, renames and removals beside `path` durable. */
  syncFolder(path: string): Promise<void>
  syncFolderSync(path: string): void
  /**
   * Tells apart states of a file or folder without reading it; empty where there is none, and
   * {@link UNSEEN} where the disk does not tell.
   */
  glanceSync(path: string): string
}

/** What a glance is at what can't be looked at: nothing follows from it. */
export const UNSEEN = '?'

/** Whether `error` says that there is no such file. */
export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'ENOENT'
}

/** For `catch`: throws what is no word of a missing file. */
export function unlessMissing(error: unknown): void {
  if (!isMissing(error)) throw error
}

/** Whether `error` says that there was no room to write to, which is no failure of a sync. */
export function isFull(error: unknown): boolean {
  const { code = '' } = error as NodeJS.ErrnoException
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code)
}

/** The path of the sibling of `path` with this name. */
export function siblingPath(path: string, name: string): string {
  return join(dirname(path), name)
}
