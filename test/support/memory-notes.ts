/**
 * The notes that processes leave for each other, in memory: a machine that one store has to itself.
 */
import { basename } from 'node:path'
import type { Note, Notes } from '../../src/core/notes.js'
import { errno } from './memory-files.js'

export class MemoryNotes implements Notes {
  readonly notes = new Map<string, Note>()
  #inodes = 0
  #dates = 0

  create(path: string, text: (inode: string) => string): Promise<boolean> {
    if (this.notes.has(path)) return Promise.resolve(false)
    const inode = String(++this.#inodes)
    this.notes.set(path, { text: text(inode), inode, dated: this.#now() })
    return Promise.resolve(true)
  }

  rewriteSync(path: string, text: string): void {
    const note = this.notes.get(path)
    if (note) this.notes.set(path, { ...note, text, dated: this.#now() })
  }

  read(path: string): Promise<Note | undefined> {
    return Promise.resolve(this.notes.get(path))
  }

  readSync(path: string): Note | undefined {
    return this.notes.get(path)
  }

  date(path: string): Promise<void> {
    const note = this.notes.get(path)
    if (!note) return Promise.reject(errno('ENOENT'))
    this.notes.set(path, { ...note, dated: this.#now() })
    return Promise.resolve()
  }

  remove(path: string): Promise<void> {
    this.notes.delete(path)
    return Promise.resolve()
  }

  siblings(path: string): Promise<string[]> {
    return Promise.resolve(this.siblingsSync(path))
  }

  siblingsSync(path: string): string[] {
    return [...this.notes.keys()]
      .filter((one) => one.startsWith(`${path}.`))
      .map((one) => basename(one))
  }

  #now(): string {
    return String(++this.#dates)
  }
}
