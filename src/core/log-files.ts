/**
 * Files that only grow, over node:fs: appended to, synced, never read here.
 *
 * Appends are whole or fail; what an error leaves behind the last one is the caller's to cut.
 */
import { constants } from 'node:fs'
import * as fs from 'node:fs'
import * as fsp from 'node:fs/promises'
import type { LogFile } from './file.js'

// Every write goes to the end as it is then: a second writer could not overwrite the first.
const LOG_FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL

/**
 * Makes write and sync one call, whose end the loop has to notice once instead of twice. Elsewhere
 * the flag does not exist, or, as on macOS, does not reach the platters as a sync does.
 */
const PROMPT_FLAG = process.platform === 'linux' ? constants.O_DSYNC : 0

/** Creates a log, prompt if that is asked for and can be; fails where the file exists. */
export async function createLog(path: string, mode: number, wanted: boolean): Promise<LogFile> {
  const flag = wanted ? PROMPT_FLAG : 0
  const handle = await fsp.open(path, LOG_FLAGS | flag, mode)
  return {
    path,
    prompt: flag !== 0,
    append: (data) => writeAll(handle.fd, data),
    sync: () => handle.datasync(),
    close: () => handle.close(),
    appendSync: (data) => writeAllSync(handle.fd, data),
    syncSync: () => fs.fdatasyncSync(handle.fd),
  }
}

/** The same while the process exits. */
export function createLogSync(path: string, mode: number): LogFile {
  const fd = fs.openSync(path, LOG_FLAGS, mode)
  return {
    path,
    prompt: false,
    append: settled((data: Uint8Array) => writeAllSync(fd, data)),
    sync: settled(() => fs.fdatasyncSync(fd)),
    close: settled(() => fs.closeSync(fd)),
    appendSync: (data) => writeAllSync(fd, data),
    syncSync: () => fs.fdatasyncSync(fd),
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

/** Writes all of it, in as many pieces as the disk takes it. */
export function writeAllSync(fd: number, data: Uint8Array): void {
  let written = 0
  while (written < data.length) written += fs.writeSync(fd, data, written, data.length - written)
}
