/**
 * Who wrote what, by the files alone: every snapshot and journal that ever stood at a path is kept
 * under a second name as soon as it appears, and read when all is over.
 *
 * Each file names in its header the lease and the process it was written under, and the highest
 * stamp its writer knew of when it began. A writer that took over has read all that the one before
 * wrote: a record of an older lease with a higher stamp than that was written by a second writer,
 * and so was what makes a file of an older lease grow after one of a newer lease has appeared. Not
 * so in snapshots beside journals: they hold what a kill may have kept from the journal, and whoever
 * follows reads that alone.
 */
import { linkSync, mkdirSync, readdirSync, statSync, watch } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { KeyRing } from '../../../dist/core/cipher.js'
import { CookieShapes } from '../../../dist/core/cookie.js'
import { nodeFiles } from '../../../dist/core/node-files.js'
import { FrameKind } from '../../../dist/core/format.js'
import { FramedFile } from '../../../dist/core/framed-file.js'
import { RecordReader } from '../../../dist/core/records.js'

const SWEEP = 10

/** Keeps every file of a path. */
export class Evidence {
  #path
  #archive
  #keys
  /** For each inode, how long each file that was there before it was then. */
  #inodes = new Map()
  #watcher
  #timer

  constructor(path, encryptionKey) {
    this.#path = path
    this.#archive = join(dirname(path), 'kept')
    this.#keys = new KeyRing(encryptionKey ? [encryptionKey] : [])
    mkdirSync(this.#archive)
    this.#watcher = watch(dirname(path), () => this.#sweep())
    this.#timer = setInterval(() => this.#sweep(), SWEEP)
  }

  stop() {
    this.#sweep()
    this.#watcher.close()
    clearInterval(this.#timer)
  }

  /** @returns what each file says of itself, the highest stamp of a change in it, and its sizes */
  async files() {
    const found = []
    for (const name of readdirSync(this.#archive)) {
      const path = join(this.#archive, name)
      const file = await this.#read(path)
      const { ino, size } = statSync(path)
      const before = this.#inodes.get(ino)
      if (file) found.push({ ...file, name: name.slice(name.indexOf('-') + 1), ino, size, before })
    }
    return found
  }

  /** How long each file is now, by inode; none of them is ever removed from the archive. */
  #sizes() {
    const stats = readdirSync(this.#archive).map((name) => statSync(join(this.#archive, name)))
    return new Map(stats.map(({ ino, size }) => [ino, size]))
  }

  #sweep() {
    const name = basename(this.#path)
    for (const one of readdirSync(dirname(this.#path))) {
      if (one !== name && !/^\.journal-\d+$/.test(one.slice(name.length))) continue
      if (!one.startsWith(name)) continue
      try {
        const path = join(dirname(this.#path), one)
        const { ino } = statSync(path)
        if (this.#inodes.has(ino)) continue
        linkSync(path, join(this.#archive, `${ino}-${one}`))
        this.#inodes.set(ino, this.#sizes())
      } catch (error) {
        // Gone before it could be kept: one that stood for so short a time is in what came after.
        if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error
      }
    }
  }

  async #read(path) {
    let file
    try {
      file = await FramedFile.open(nodeFiles, path, this.#keys)
    } catch (error) {
      // Killed while it wrote the header.
      if (error.code === 'ERR_FORMAT_FOREIGN' || error.code === 'ERR_DAMAGED') return undefined
      throw error
    }
    let highest = 0
    const note = (stamp) => (highest = Math.max(highest, stamp))
    const reader = new RecordReader(new CookieShapes())
    const sink = {
      structure: () => undefined,
      needs: () => undefined,
      entry: ({ stamp }) => note(stamp),
      removal: (_sid, stamp) => note(stamp),
      clear: note,
    }
    try {
      await file.read((kind, payload) => {
        if (kind === FrameKind.records || kind === FrameKind.removals) reader.read(payload, sink)
      })
    } finally {
      await file.close()
    }
    const { kind, generation, term, pid, stamp, tail } = file.header
    return { id: file.header.id.toString('hex'), kind, generation, term, pid, stamp, tail, highest }
  }
}

/** What in these files tells of two writers. @returns {string[]} */
export function twoWriters(files) {
  const problems = []
  const byTerm = Map.groupBy
    ? Map.groupBy(files, ({ term }) => term)
    : files.reduce(
        (map, file) => map.set(file.term, [...(map.get(file.term) ?? []), file]),
        new Map(),
      )
  for (const [term, written] of byTerm) {
    const pids = new Set(written.map(({ pid }) => pid))
    if (term === 0) problems.push('files written without a lease')
    if (pids.size > 1) problems.push(`lease ${term} was used by ${pids.size} processes`)
  }
  const terms = [...byTerm.keys()].sort((a, b) => a - b)
  for (let i = 1; i < terms.length; i++) {
    const later = terms.slice(i).flatMap((term) => byTerm.get(term))
    const knew = Math.min(...later.map(({ stamp }) => stamp))
    for (const { name, kind, tail, highest } of byTerm.get(terms[i - 1])) {
      if (highest > knew && (kind === 'journal' || tail))
        problems.push(`under lease ${terms[i - 1]} ${name} was written after the next`)
    }
  }
  for (const older of files) {
    const grew = ({ term, before }) => term > older.term && before?.get(older.ino) < older.size
    if (files.some(grew)) problems.push(`${older.name} of lease ${older.term} grew under the next`)
  }
  for (const kind of ['snapshot', 'journal']) {
    const seen = new Map()
    for (const file of files.filter((one) => one.kind === kind)) {
      const number = kind === 'snapshot' ? file.generation : file.name
      const before = seen.get(number)
      if (before && before.id !== file.id && (kind === 'journal' || before.term !== file.term)) {
        problems.push(`${kind} ${number} was written twice`)
      }
      seen.set(number, file)
    }
  }
  return problems
}
