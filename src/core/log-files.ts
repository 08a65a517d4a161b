/**
 * Logs over node:fs: bytes behind bytes, each write after the other.
 *
 * Knows where the next bytes go and how room is made for those to come, and nothing of what they
 * say. It never tries again what has failed but for that room: what an error means is the caller's
 * to say.
 */
import { constants } from 'node:fs'
import * as fs from 'node:fs'
import * as fsp from 'node:fs/promises'
import { isFull, type LogFile } from './file.js'

// Every write goes to the end as it is then: a second writer could not overwrite the first.
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL

/**
 * Makes write and sync one call, whose end the loop has to notice once instead of twice. Elsewhere
 * the flag does not exist, or, as on macOS, does not reach the platters as a sync does.
 */
const PROMPT_FLAGS =
  process.platform === 'linux' ? (FLAGS & ~constants.O_APPEND) | constants.O_DSYNC : undefined

/**
 * What a prompt log is filled with ahead. A sync of bytes that were there has no new length to
 * record and takes half the time of one that makes the file longer (ext4; PostgreSQL fills its log
 * for that too). With more, the append that fills takes long; with less, too many do.
 */
const ROOM = Buffer.alloc(128 * 1024)

/** Creates a log; fails where the file exists. */
export async function createLog(path: string, mode: number, prompt: boolean): Promise<LogFile> {
  if (!prompt || PROMPT_FLAGS === undefined) return log(path, await fsp.open(path, FLAGS, mode))
  return new PromptLog(path, await fsp.open(path, PROMPT_FLAGS, mode))
}

/** The same while the process exits. */
export function createLogSync(path: string, mode: number): LogFile {
  const fd = fs.openSync(path, FLAGS, mode)
  return {
    path,
    prompt: false,
    append: settled((data: Uint8Array) => writeAllSync(fd, data)),
    sync: settled(() => fs.fdatasyncSync(fd)),
    close: settled(() => fs.closeSync(fd)),
    appendSync: (data) => writeAllSync(fd, data),
    syncSync: () => fs.fdatasyncSync(fd),
    closeSync: () => fs.closeSync(fd),
  }
}

/** Writes all of `data`, at the end or from `position` on. */
export function writeAllSync(fd: number, data: Uint8Array, position?: number): void {
  for (let from = 0; from < data.length;) {
    const at = position === undefined ? null : position + from
    from += fs.writeSync(fd, data, from, data.length - from, at)
  }
}

function log(path: string, handle: fsp.FileHandle): LogFile {
  return {
    path,
    prompt: false,
    append: (data) => writeAll(handle.fd, data),
    sync: () => handle.datasync(),
    close: () => handle.close(),
    appendSync: (data) => writeAllSync(handle.fd, data),
    syncSync: () => fs.fdatasyncSync(handle.fd),
    closeSync: () => fs.closeSync(handle.fd),
  }
}

/** A log whose every append is on disk when it is done, with zeros behind it. */
class PromptLog implements LogFile {
  readonly path: string
  readonly prompt = true
  readonly #handle: fsp.FileHandle
  /** Where the next bytes go. */
  #end = 0
  /** Up to where there are bytes or zeros. */
  #filled = 0
  /** Not once the disk had no room for zeros. */
  #fills = true

  constructor(path: string, handle: fsp.FileHandle) {
    this.path = path
    this.#handle = handle
  }

  append(data: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const write = (from: number) => {
        const rest = data.subarray(from)
        const at = this.#end + from
        // What is there first is short: a file of zeros alone would be none of ours.
        const fill = this.#fills && at > 0 && at + rest.length > this.#filled
        const done = (error: NodeJS.ErrnoException | null, written: number) => {
          if (error && fill && isFull(error)) {
            this.#fills = false
            write(from)
          } else if (error) reject(error)
          else {
            this.#filled = Math.max(this.#filled, at + written)
            if (written < rest.length) {
              write(from + written)
              return
            }
            this.#wrote(data)
            resolve()
          }
        }
        if (fill) fs.writev(this.#handle.fd, [rest, ROOM], at, done)
        else fs.write(this.#handle.fd, rest, 0, rest.length, at, done)
      }
      write(0)
    })
  }

  sync(): Promise<void> {
    return this.#handle.datasync()
  }

  close(): Promise<void> {
    return this.#handle.close()
  }

  appendSync(data: Uint8Array): void {
    writeAllSync(this.#handle.fd, data, this.#end)
    this.#wrote(data)
  }

  syncSync(): void {
    fs.fdatasyncSync(this.#handle.fd)
  }

  closeSync(): void {
    fs.closeSync(this.#handle.fd)
  }

  #wrote(data: Uint8Array): void {
    this.#end += data.length
    this.#filled = Math.max(this.#filled, this.#end)
  }
}

/** The same as a promise. */
function settled<A extends unknown[]>(act: (...args: A) => void): (...args: A) => Promise<void> {
  return (...args) =>
    new Promise((resolve) => {
      act(...args)
      resolve()
    })
}

function writeAll(fd: number, data: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const write = (from: number) => {
      fs.write(fd, data, from, data.length - from, null, (error, written) => {
        if (error) reject(error)
        else if (from + written < data.length) write(from + written)
        else resolve()
      })
    }
    write(0)
  })
}
