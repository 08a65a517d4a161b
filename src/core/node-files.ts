/**
 * The files that hold sessions, over node:fs. Those that grow are log-files.ts's, the notes beside them
 * notes.ts's; watch.ts and process-identity.ts only look.
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
import { type Files, isMissing, UNSEEN } from './file.js'
import { createLog, createLogSync, writeAllSync } from './log-files.js'

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

  createLog(path, prompt = false) {
    return createLog(path, MODE, prompt)
  },

  createLogSync(path) {
    return createLogSync(path, MODE)
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
      await this.sync(to)
    } catch (error) {
      // It would be in the way of the next attempt.
      await fsp.rm(to, { force: true }).catch(ignore)
      throw error
    }
  },

  async truncate(path, length) {
    await fsp.truncate(path, length)
    await this.sync(path)
  },

  async sync(path) {
    // Windows syncs no file that is open for reading only.
    const handle = await fsp.open(path, 'r+')
    try {
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
