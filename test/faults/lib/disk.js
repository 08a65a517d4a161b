/**
 * A disk in memory that can lose its power: the `Files` of a store over inodes and one folder.
 *
 * Each operation is split into the steps that the real one makes, and the power can go between any
 * two of them. Bytes survive when their file was synced, names when their folder was; of all else
 * any part may. What a process does after the power went fails and changes nothing.
 */
import { basename, dirname } from 'node:path'
import { Inode } from './inode.js'

/** The power has gone; nothing more reaches the disk. */
class PowerGone extends Error {
  code = 'EIO'
}

export class Disk {
  /** @type {Map<string, Inode>} */
  entries = new Map()
  /** Steps so far; the power goes before this one. */
  steps = 0
  stopAt = Infinity
  /** Called when the power goes. @type {() => void} */
  onStop = () => undefined
  /** Whether it can make logs prompt. */
  prompt = false
  /**
   * Asked before each step; an error it returns is what the step fails with.
   *
   * @type {(kind: string, path: string) => Error | undefined}
   */
  fault = () => undefined
  #syncedEntries = new Map()
  /** @type {{ name: string, inode?: Inode, from?: string }[]} */
  #pending = []
  #stopped = false
  #temporary = 0

  get stopped() {
    return this.#stopped
  }

  /** Bytes of a file; undefined where there is none. */
  read(path) {
    return this.entries.get(path)?.data
  }

  /** Puts a file there, durable. */
  put(path, bytes) {
    const inode = Inode.durable(bytes)
    this.entries.set(path, inode)
    this.#syncedEntries.set(path, inode)
  }

  drop(path) {
    this.entries.delete(path)
    this.#syncedEntries.delete(path)
  }

  /** The same disk once more, everything on it durable. */
  copy() {
    const disk = new Disk()
    for (const [path, inode] of this.entries) disk.put(path, inode.data)
    return disk
  }

  /** No step is made any more. */
  stop() {
    if (this.#stopped) return
    this.#stopped = true
    this.onStop()
  }

  /** The disk as a process finds it that comes after one that was killed. */
  afterKill() {
    const disk = new Disk()
    const made = new Map()
    const left = (inode) => {
      if (inode && !made.has(inode)) made.set(inode, inode.afterKill())
      return made.get(inode)
    }
    for (const [path, inode] of this.entries) disk.entries.set(path, left(inode))
    for (const [path, inode] of this.#syncedEntries) disk.#syncedEntries.set(path, left(inode))
    disk.#pending = this.#pending.map((step) => ({ ...step, inode: left(step.inode) }))
    return disk
  }

  /** The disk as the next boot finds it. */
  afterPowerLoss(random) {
    const names = new Map(this.#syncedEntries)
    const inOrder = random.chance(0.5)
    const done = random.below(this.#pending.length + 1)
    for (const [i, step] of this.#pending.entries()) {
      if (inOrder ? i >= done : random.chance(0.5)) continue
      if (step.from !== undefined) names.delete(step.from)
      if (step.inode) names.set(step.name, step.inode)
      else names.delete(step.name)
    }
    const disk = new Disk()
    const made = new Map()
    for (const [path, inode] of names) {
      if (!made.has(inode)) made.set(inode, inode.afterPowerLoss(random))
      disk.entries.set(path, made.get(inode))
      disk.#syncedEntries.set(path, made.get(inode))
    }
    return disk
  }

  /** A step of an operation: takes a turn of the loop, and may be the one that is never made. */
  async step(kind, path) {
    await new Promise((resolve) => setImmediate(resolve))
    this.stepSync(kind, path)
  }

  stepSync(kind, path) {
    if (!this.#stopped && ++this.steps >= this.stopAt) this.stop()
    if (this.#stopped) throw new PowerGone('The power has gone')
    const error = this.fault(kind, path)
    if (!error) return
    if (kind === 'fsync' || kind === 'fdatasync') this.entries.get(path)?.failSync()
    throw error
  }

  link(path, inode) {
    this.entries.set(path, inode)
    this.#pending.push({ name: path, inode })
  }

  rename(from, to) {
    const inode = this.entries.get(from)
    // Two names of one file: nothing happens.
    if (inode === this.entries.get(to)) return
    this.entries.delete(from)
    this.entries.set(to, inode)
    this.#pending.push({ name: to, inode, from })
  }

  unlink(path) {
    if (this.entries.delete(path)) this.#pending.push({ name: path })
  }

  syncEntries() {
    this.#syncedEntries = new Map(this.entries)
    this.#pending = []
  }

  inode(path) {
    const inode = this.entries.get(path)
    if (!inode) throw Object.assign(new Error(`ENOENT: ${basename(path)}`), { code: 'ENOENT' })
    return inode
  }

  create(path) {
    if (this.entries.has(path)) throw Object.assign(new Error('EEXIST'), { code: 'EEXIST' })
    const inode = new Inode()
    this.link(path, inode)
    return inode
  }

  /** A name that no other file has. */
  temporary(path) {
    return `${path}.${1_000_000 + ++this.#temporary}`
  }

  /** Names beside `path` that begin with its name and a dot. */
  siblings(path) {
    const folder = dirname(path)
    const prefix = `${basename(path)}.`
    return [...this.entries.keys()]
      .filter((other) => dirname(other) === folder && basename(other).startsWith(prefix))
      .map((other) => basename(other))
  }
}
