/**
 * The store's `Files` over a {@link Disk}, each operation in the steps of the real one: `replace` is
 * a temporary file, writes, a sync, what the caller does before the rename, the rename and the sync
 * of the folder.
 */

/** @param {import('./disk.js').Disk} disk */
function diskFiles(disk) {
  const step = (kind, path) => disk.step(kind, path)
  const stepSync = (kind, path) => disk.stepSync(kind, path)

  return {
    makeFolder: (path) => step('mkdir', path),
    makeFolderSync: (path) => stepSync('mkdir', path),

    async kind(path) {
      await step('stat', path)
      return disk.entries.has(path) ? 'file' : 'none'
    },

    async siblings(path) {
      await step('readdir', path)
      return disk.siblings(path)
    },

    async open(path) {
      await step('open', path)
      const inode = disk.inode(path)
      const size = inode.data.length
      return {
        size,
        async read(offset, room) {
          if (disk.stopped) await step('read', path)
          return Buffer.from(inode.data.subarray(offset, offset + room.length)).copy(room)
        },
        close: () => Promise.resolve(),
      }
    },

    async replace(path, chunks, beforeRename) {
      const temporary = disk.temporary(path)
      let bytes = 0
      try {
        await step('open', temporary)
        const inode = disk.create(temporary)
        for await (const chunk of chunks) {
          await writeSome(disk, inode, temporary, chunk)
          bytes += chunk.length
        }
        await step('fsync', temporary)
        inode.sync()
        await beforeRename(this.glanceSync(temporary))
        await step('rename', path)
        disk.rename(temporary, path)
      } catch (error) {
        if (!disk.stopped) disk.unlink(temporary)
        throw error
      }
      await this.syncFolder(path)
      return bytes
    },

    replaceSync(path, chunks, beforeRename) {
      const temporary = disk.temporary(path)
      let bytes = 0
      try {
        stepSync('open', temporary)
        const inode = disk.create(temporary)
        for (const chunk of chunks) {
          stepSync('write', temporary)
          inode.append(chunk)
          bytes += chunk.length
        }
        stepSync('fsync', temporary)
        inode.sync()
        beforeRename(this.glanceSync(temporary))
        stepSync('rename', path)
        disk.rename(temporary, path)
      } catch (error) {
        if (!disk.stopped) disk.unlink(temporary)
        throw error
      }
      this.syncFolderSync(path)
      return bytes
    },

    async createLog(path, prompt = false) {
      await step('open', path)
      return log(disk, path, disk.create(path), prompt && disk.prompt)
    },

    createLogSync(path) {
      stepSync('open', path)
      return log(disk, path, disk.create(path), false)
    },

    async keep(path, kept) {
      if (!disk.entries.has(path)) return
      const temporary = disk.temporary(kept)
      await step('link', temporary)
      disk.link(temporary, disk.inode(path))
      await step('rename', kept)
      disk.rename(temporary, kept)
      await step('unlink', temporary)
      disk.unlink(temporary)
    },

    keepSync(path, kept) {
      if (!disk.entries.has(path)) return
      const temporary = disk.temporary(kept)
      stepSync('link', temporary)
      disk.link(temporary, disk.inode(path))
      stepSync('rename', kept)
      disk.rename(temporary, kept)
      stepSync('unlink', temporary)
      disk.unlink(temporary)
    },

    async copy(from, to) {
      await step('open', to)
      const source = disk.inode(from)
      const inode = disk.create(to)
      await writeSome(disk, inode, to, source.data)
      await step('fsync', to)
      inode.sync()
    },

    async truncate(path, length) {
      await step('ftruncate', path)
      const inode = disk.inode(path)
      inode.truncate(length)
      await this.sync(path)
    },

    async sync(path) {
      const inode = disk.inode(path)
      await step('fsync', path)
      inode.sync()
    },

    async remove(path) {
      await step('unlink', path)
      disk.unlink(path)
    },

    removeSync(path) {
      stepSync('unlink', path)
      disk.unlink(path)
    },

    async syncFolder(path) {
      await step('fsync', `${path}/..`)
      disk.syncEntries()
    },

    syncFolderSync(path) {
      stepSync('fsync', `${path}/..`)
      disk.syncEntries()
    },

    glanceSync(path) {
      const inode = disk.entries.get(path)
      return inode ? `${inode.id}:${inode.data.length}` : ''
    },
  }
}

/** The store's `Notes`, which no power loss has to keep. */
function memoryNotes() {
  const notes = new Map()
  const names = (path) =>
    [...notes.keys()]
      .filter((other) => other.startsWith(`${path}.`))
      .map((other) => other.slice(other.lastIndexOf('/') + 1))
  let inode = 0
  return {
    create(path, text) {
      if (notes.has(path)) return Promise.resolve(false)
      const number = String(++inode)
      notes.set(path, { text: text(number), inode: number, dated: '0' })
      return Promise.resolve(true)
    },
    rewriteSync(path, text) {
      notes.set(path, { ...notes.get(path), text })
    },
    read: (path) => Promise.resolve(notes.get(path)),
    date: () => Promise.resolve(),
    remove: (path) => Promise.resolve(void notes.delete(path)),
    siblings: (path) => Promise.resolve(names(path)),
    siblingsSync: names,
  }
}

/** Where a store on a disk in memory keeps its files. */
export const DISK_PATH = '/disk/sessions.snapshot'

/** What a store is given to run on `disk`. */
export function surroundingsOf(disk, clock) {
  return { files: diskFiles(disk), notes: memoryNotes(), ...(clock ? { clock } : {}) }
}

function log(disk, path, inode, prompt) {
  const append = (data) => {
    disk.stepSync('write', path)
    inode.append(data)
  }
  const sync = () => {
    disk.stepSync('fdatasync', path)
    inode.sync()
  }
  return {
    path,
    prompt,
    async append(data) {
      await writeSome(disk, inode, path, data)
      if (prompt) await this.sync()
    },
    async sync() {
      await disk.step('fdatasync', path)
      inode.sync()
    },
    close: () => Promise.resolve(),
    appendSync: append,
    syncSync: sync,
  }
}

/** A write that is under way when the power goes has written a part. */
async function writeSome(disk, inode, path, data) {
  try {
    await disk.step('write', path)
  } catch (error) {
    if (disk.stopped && !disk.tornWrite) {
      disk.tornWrite = true
      inode.append(data.subarray(0, Math.floor(data.length / 2)))
    }
    throw error
  }
  inode.append(data)
}
