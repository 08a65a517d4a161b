/**
 * Small files that processes leave for each other: created whole or not at all, replaced in one
 * step, dated by whoever keeps them. The companion of node-files.ts for what a lease needs.
 *
 * They say who lives, not what is stored: none of them is synced, a power cut may take any of them.
 */
import * as fs from 'node:fs'
import * as fsp from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { randomBytes } from 'node:crypto'
import { isMissing } from './file.js'

const MODE = 0o600
/** What a file system without hard links says; EISDIR: on Windows, where it means a wrong function. */
const NO_LINKS: readonly unknown[] = ['EPERM', 'ENOTSUP', 'ENOSYS', 'EISDIR']

/** A note as found. */
export interface Note {
  text: string
  /** The file's own number: a copy has another. */
  inode: string
  /** When it was last written or dated; compare only with itself. */
  dated: string
}

/** The notes beside a path; tests put a model in place. */
export interface Notes {
  /** Creates a note; `text` is told its inode. @returns false where one exists */
  create(path: string, text: (inode: string) => string): Promise<boolean>
  /** Replaces a note's text, keeping its inode. */
  rewriteSync(path: string, text: string): void
  /** The note, or `undefined` where there is none. */
  read(path: string): Promise<Note | undefined>
  /** Its text at once. */
  readSync(path: string): Pick<Note, 'text'> | undefined
  /** Dates it now. */
  date(path: string): Promise<void>
  remove(path: string): Promise<void>
  /** Names of the files beside `path` that begin with its name and a dot. */
  siblings(path: string): Promise<string[]>
  siblingsSync(path: string): string[]
}

/** {@link Notes} over node:fs. */
export const nodeNotes: Notes = {
  async create(path, text) {
    const temporary = `${path}.${randomBytes(6).toString('hex')}`
    try {
      await writeNew(temporary, text)
      // A link is made or not, and the file behind it is complete: nobody reads half a note.
      await fsp.link(temporary, path)
      return true
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EEXIST') return false
      if (!NO_LINKS.includes(code)) throw error
      return await createWithoutLinks(path, text)
    } finally {
      await fsp.rm(temporary, { force: true })
    }
  },

  rewriteSync(path, text) {
    const fd = fs.openSync(path, 'r+')
    try {
      fs.writeSync(fd, text, 0)
      fs.ftruncateSync(fd, Buffer.byteLength(text))
    } finally {
      fs.closeSync(fd)
    }
  },

  async read(path) {
    try {
      const text = await fsp.readFile(path, 'utf8')
      const { ino, mtimeNs } = await fsp.stat(path, { bigint: true })
      return { text, inode: String(ino), dated: String(mtimeNs) }
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  },

  readSync(path) {
    try {
      return { text: fs.readFileSync(path, 'utf8') }
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  },

  async date(path) {
    const now = new Date()
    await fsp.utimes(path, now, now)
  },

  async remove(path) {
    await fsp.rm(path, { force: true })
  },

  async siblings(path) {
    return (await fsp.readdir(dirname(path)).catch(noNames)).filter(besides(path))
  },

  siblingsSync(path) {
    try {
      return fs.readdirSync(dirname(path)).filter(besides(path))
    } catch (error) {
      return noNames(error)
    }
  },
}

/** A note's text, whatever `toJSON` a library has given to all arrays or objects. */
export function noteText(fields: object): string {
  const entries = Object.entries(fields).map(([name, value]) => [name, bare(value)])
  return JSON.stringify({ __proto__: null, ...Object.fromEntries(entries) })
}

function bare(value: unknown): unknown {
  return Array.isArray(value) ? Object.setPrototypeOf([...(value as unknown[])], null) : value
}

async function createWithoutLinks(path: string, text: (inode: string) => string): Promise<boolean> {
  try {
    await writeNew(path, text)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Writes a file that must not exist yet; where that fails, as on a full disk, none stays behind. */
async function writeNew(path: string, text: (inode: string) => string): Promise<void> {
  const handle = await fsp.open(path, 'wx', MODE)
  try {
    const { ino } = await handle.stat({ bigint: true })
    await handle.writeFile(text(String(ino)))
  } catch (error) {
    await fsp.rm(path, { force: true })
    throw error
  } finally {
    await handle.close()
  }
}

/** There are none in a folder that is gone. */
function noNames(error: unknown): string[] {
  if (isMissing(error)) return []
  throw error
}

function besides(path: string): (name: string) => boolean {
  const prefix = `${basename(path)}.`
  return (name) => name.startsWith(prefix)
}
