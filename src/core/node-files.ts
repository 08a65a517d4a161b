/**
 * The files that hold sessions, over node:fs. The notes beside them are notes.ts's; watch.ts and
 * process-identity.ts only look.
 *
 * In come paths and bytes. It knows nothing of sessions or formats, and never retries: what an error
 * means is the caller's to say.
 */
import { constants } from 'node:fs'
import * as fs from 'node:fs'
import * as fsp from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { randomBytes } from 'node:crypto'
import writeFileAtomic from 'write-file-atomic'
import { type Files, isMissing, type LogFile, UNSEEN } from './file.js'

/** Only the owner may read what sessions hold. */
const MODE = 0o600
const FOLDER_MODE = 0o700
/** Unsynced bytes that a long write may pile up: more would stall other syncs on the same disk. */
const SYNC_EVERY = 16 * 1024 * 1024

/** {@link Files} over node:fs. */
export const nodeFiles: Files = {
  async makeFolder(path) {
    const folder = dirname(path)
    const first = await fsp.mkdir(folder, { recursive: true, mode: FOLDER_MODE })
    if (first === undefined) return
    // A folder is there after a power cut if the one above it has been synced.
    for (let made = folder; made.length >= first.length; made = dirname(made)) {
      await this.syncFolder(made)
    }
  },

  makeFolderSync(path) {
    fs.mkdirSync(dirname(path), { recursive: true, mode: FOLDER_MODE })
  },

  async kind(path) {
    try {
      const stats = await fsp.lstat(path)
      if (stats.isFile()) return 'file'
      if (stats.isDirectory()) return 'folder'
      return stats.isSymbolicLink() ? 'link' : 'other'
    } catch (error) {
      if (isMissing(error)) return 'none'
      throw error
    }
  },

  async siblings(path) {
    const prefix = `${basename(path)}.`
    return (await fsp.readdir(dirname(path))).filter((name) => name.startsWith(prefix))
  },

  async open(path) {
    const handle = await fsp.open(path, 'r')
    const { size } = await handle.stat().catch(async (error: unknown) => {
      await handle.close()
      throw error
    })
    return {
      size,
      async read(offset, room) {
        let filled = 0
        while (filled < room.length) {
          const left = room.length - filled
          const { bytesRead } = await handle.read(room, filled, left, offset + filled)
          if (bytesRead === 0) break
          filled += bytesRead
        }
        return filled
      },
      close: () => handle.close(),
    }
  },

  async replace(path, chunks, beforeRename) {
    outliveSizeLimit()
    let bytes = 0
    const fillIn = async (temporary: string) => {
      bytes = await fill(temporary, chunks)
      await beforeRename(this.glanceSync(temporary))
    }
    // write-file-atomic's own write takes a short count for success, so the bytes are streamed in
    // by writeFile, which does not; with no data of its own it then syncs, renames and cleans up.
    await writeFileAtomic(path, null as unknown as string, {
      mode: MODE,
      // It waits for the promise, whatever its types say.
      tmpfileCreated: fillIn as unknown as (temporary: string) => void,
    })
    await this.syncFolder(path)
    return bytes
  },

  replaceSync(path, chunks, beforeRename) {
    const temporary = temporaryBeside(path)
    let bytes = 0
    try {
      const fd = fs.openSync(temporary, 'wx', MODE)
      try {
        for (const chunk of chunks) {
          writeAllSync(fd, chunk)
          bytes += chunk.length
        }
        fs.fsyncSync(fd)
      } finally {
        fs.closeSync(fd)
      }
      beforeRename(this.glanceSync(temporary))
      fs.renameSync(temporary, path)
    } catch (error) {
      fs.rmSync(temporary, { force: true })
      throw error
    }
    this.syncFolderSync(path)
    return bytes
  },

  async createLog(path, prompt = false) {
    const flag = prompt ? PROMPT_FLAG : 0
    return log(path, await fsp.open(path, LOG_FLAGS | flag, MODE), flag !== 0)
  },

  createLogSync(path) {
    return logSync(path, fs.openSync(path, LOG_FLAGS, MODE))
  },

  async keep(path, kept) {
    const temporary = temporaryBeside(kept)
    try {
      await fsp.link(path, temporary)
    } catch (error) {
      if (isMissing(error)) return
      // Some file systems know no hard links.
      await fsp.copyFile(path, temporary, constants.COPYFILE_EXCL)
    }
    await fsp.rename(temporary, kept)
    // Two names of one file make rename a no-op that leaves both.
    await fsp.rm(temporary, { force: true })
  },

  keepSync(path, kept) {
    const temporary = temporaryBeside(kept)
    try {
      fs.linkSync(path, temporary)
    } catch (error) {
      if (isMissing(error)) return
      fs.copyFileSync(path, temporary, constants.COPYFILE_EXCL)
    }
    fs.renameSync(temporary, kept)
    fs.rmSync(temporary, { force: true })
  },

  async copy(from, to) {
    await fsp.copyFile(from, to, constants.COPYFILE_EXCL)
    try {
      await fsp.chmod(to, MODE)
      const handle = await fsp.open(to, 'r+')
      try {
        await handle.sync()
      } finally {
        await handle.close()
      }
    } catch (error) {
      // It would be in the way of the next attempt.
      await fsp.rm(to, { force: true }).catch(ignore)
      throw error
    }
  },

  async truncate(path, length) {
    const handle = await fsp.open(path, 'r+')
    try {
      await handle.truncate(length)
      await handle.sync()
    } finally {
      await handle.close()
    }
  },

  async remove(path) {
    await fsp.rm(path, { force: true })
  },

  async syncFolder(path) {
    const handle = await fsp.open(dirname(path), 'r').catch(ignoreFolders)
    if (!handle) return
    try {
      await handle.sync().catch(ignoreFolders)
    } finally {
      await handle.close()
    }
  },

  syncFolderSync(path) {
    try {
      const fd = fs.openSync(dirname(path), 'r')
      try {
        fs.fsyncSync(fd)
      } finally {
        fs.closeSync(fd)
      }
    } catch (error) {
      ignoreFolders(error)
    }
  },

  glanceSync(path) {
    try {
      const stats = fs.statSync(path, { throwIfNoEntry: false, bigint: true })
      return stats ? `${stats.ino}:${stats.size}:${stats.mtimeNs}` : ''
    } catch {
      return UNSEEN
    }
  },
}

let outliving = false

/**
 * Lets the process outlive a write beyond its limit on the size of files (`ulimit -f`), as Node
 * does by itself: signal-exit, ours and write-file-atomic's, takes the signal of it for a reason to
 * end, and leaves it one when it lets go. For good, therefore: the write fails like any other.
 */
export function outliveSizeLimit(): void {
  if (outliving) return
  outliving = true
  process.on('SIGXFSZ', ignore)
}

// Every write goes to the end as it is then: a second writer could not overwrite the first.
const LOG_FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL

/**
 * Makes write and sync one call, whose end the loop has to notice once instead of twice. Elsewhere
 * the flag does not exist, or, as on macOS, does not reach the platters as a sync does.
 */
const PROMPT_FLAG = process.platform === 'linux' ? constants.O_DSYNC : 0

function log(path: string, handle: fsp.FileHandle, prompt: boolean): LogFile {
  return {
    path,
    prompt,
    append: (data) => writeAll(handle.fd, data),
    sync: () => handle.datasync(),
    close: () => handle.close(),
    appendSync: (data) => writeAllSync(handle.fd, data),
    syncSync: () => fs.fdatasyncSync(handle.fd),
  }
}

function logSync(path: string, fd: number): LogFile {
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

async function fill(path: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  // write-file-atomic calls it after the process id, which is 1 in every container: one who was
  // stopped amid a snapshot and goes on may have a file of this name open.
  await fsp.rm(path)
  const handle = await fsp.open(path, 'wx', MODE)
  try {
    let bytes = 0
    let unsynced = 0
    for await (const chunk of chunks) {
      await handle.writeFile(chunk)
      bytes += chunk.length
      unsynced += chunk.length
      if (unsynced >= SYNC_EVERY) {
        await handle.datasync()
        unsynced = 0
      }
    }
    await handle.sync()
    const { size } = await handle.stat()
    if (size !== bytes) throw new Error(`Wrote ${bytes} bytes and found ${size}`)
    return bytes
  } finally {
    await handle.close()
  }
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

function writeAllSync(fd: number, data: Uint8Array): void {
  let written = 0
  while (written < data.length) written += fs.writeSync(fd, data, written, data.length - written)
}

/** Digits, as write-file-atomic has them: whoever clears up behind a kill knows them by that. */
function temporaryBeside(path: string): string {
  return `${path}.${String(randomBytes(4).readUInt32BE()).padStart(10, '0')}`
}

/** Folders cannot be opened or synced everywhere (Windows, some network mounts). */
function ignoreFolders(error: unknown): undefined {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EISDIR' || code === 'EPERM' || code === 'EINVAL' || code === 'ENOTSUP') return
  throw error
}

function ignore(): void {
  // What could not be written tells it by its error.
}
