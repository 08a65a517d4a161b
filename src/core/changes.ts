/**
 * Which sessions changed since the files were last written to: one note a session, however often.
 *
 * A session in the table is noted by its slot, in bits that are used again and again: a change leaves
 * nothing for the garbage collector. One that is gone is noted by its sid. A note says what kind of
 * record the session needs; what the record holds is read from the table when it is written. No I/O.
 */
import { SidMap } from './sid-map.js'
import { SlotNotes } from './slot-notes.js'
import type { Removal } from './tombstones.js'

/** The table, as far as notes need it. */
export interface NotedTable {
  has(slot: number): boolean
  find(sid: string): number
  sid(slot: number): string
  /** Called with a slot when its session is about to go, still readable; not where all go at once. */
  onLeave: ((slot: number) => void) | undefined
}

/** Sessions that changed: the slots of some, the sids of those that are gone. */
export interface Changed {
  slots: Uint32Array
  sids: string[]
}

/** What is noted of a slot. */
const NOTHING = 0
const TOUCH = 1
const SET = 2

export class Changes {
  /** The stamp of a clear that the files do not know of; 0: none. */
  cleared = 0
  /** Whether a clear has taken sessions away whose notes are being written. */
  swept = false
  readonly #table: NotedTable
  readonly #notes = new SlotNotes()
  #gone = new SidMap<Removal | undefined>()

  constructor(table: NotedTable) {
    this.#table = table
  }

  get empty(): boolean {
    return this.#notes.size === 0 && this.#gone.size === 0 && this.cleared === 0
  }

  set(slot: number): void {
    this.#note(slot, SET)
    if (this.#gone.size > 0) this.#gone.delete(this.#table.sid(slot))
  }

  touch(slot: number): void {
    this.#note(slot, TOUCH)
  }

  /** Asks for the whole entry where a touch is noted. */
  complete(slot: number): void {
    if (this.has(slot)) this.#notes.set(slot, SET)
  }

  /** Notes that `sid` is gone; its slot, if it has one, is about to be left. */
  remove(sid: string, removal: Removal): void {
    this.#gone.set(sid, removal)
  }

  /** The session in `slot` is about to go: what is noted of it is noted by its sid from now on. */
  leave(slot: number): void {
    if (!this.has(slot)) return
    this.drop(slot)
    const sid = this.#table.sid(slot)
    if (!this.#gone.has(sid)) this.#gone.set(sid, undefined)
  }

  /** Takes back what is noted of the session in `slot`. */
  drop(slot: number): void {
    if (this.has(slot)) this.#notes.set(slot, NOTHING)
  }

  /** Takes back what is noted of all that are gone. */
  dropGone(): void {
    this.#gone = new SidMap()
  }

  /** The table has been emptied. */
  clear(stamp: number): void {
    this.reset()
    this.cleared = stamp
  }

  /** The same, where these notes are being written and somebody waits for what they were. */
  sweep(): void {
    this.swept ||= this.#notes.size > 0
    this.#notes.clear()
  }

  /** Whether a set or a touch of the session in `slot` is noted. */
  has(slot: number): boolean {
    return this.#notes.get(slot) !== NOTHING
  }

  /** Whether the session in `slot`, which is noted, needs its whole entry told. */
  whole(slot: number): boolean {
    return this.#notes.get(slot) === SET
  }

  /** The slots of noted sessions, each as it is when it is asked for. */
  slots(): Iterable<number> {
    return this.#notes.slots()
  }

  /** How many {@link gone} are. */
  get goneCount(): number {
    return this.#gone.size
  }

  /** Sessions that are gone; with no removal where they went while noted, and nobody said how. */
  get gone(): Iterable<[string, Removal | undefined]> {
    return this.#gone
  }

  /** Hands over which sessions are noted and starts afresh. */
  take(): Changed {
    const slots = new Uint32Array(this.#notes.size)
    let count = 0
    for (const slot of this.slots()) slots[count++] = slot
    const sids = [...this.#gone.keys()]
    this.reset()
    return { slots, sids }
  }

  /** Adds notes that could not be written, as {@link add} does. */
  restore(unwritten: Changes, stay = false): void {
    // What was noted before a clear has nothing to tell any more.
    if (this.cleared > 0) return
    this.cleared = unwritten.cleared
    this.add(unwritten, stay)
  }

  /**
   * Adds notes that are older than its own; newer ones stand, but never ask for less.
   *
   * @param stay the others are still being written; if not, nothing can be told by them any more
   */
  add(older: Changes, stay = false): void {
    // All at once: while nothing can be written, a million may wait.
    if (!stay && older.#gone.size > this.#gone.size + this.#notes.size) this.#takeGone(older)
    else {
      for (const [sid, removal] of older.#gone) {
        if (!this.#gone.has(sid) && !this.has(this.#table.find(sid))) this.#gone.set(sid, removal)
      }
    }
    this.#notes.merge(older.#notes)
  }

  /** Goes on with the sids of others, and adds its own. */
  #takeGone(older: Changes): void {
    const newer = this.#gone
    this.#gone = older.#gone
    older.#gone = new SidMap()
    for (const slot of this.slots()) this.#gone.delete(this.#table.sid(slot))
    for (const [sid, removal] of newer) this.#gone.set(sid, removal)
  }

  /** Forgets everything. */
  reset(): void {
    this.#notes.clear()
    this.cleared = 0
    this.swept = false
    if (this.#gone.size > 0) this.#gone = new SidMap()
  }

  #note(slot: number, kind: number): void {
    if (this.#notes.get(slot) < kind) this.#notes.set(slot, kind)
  }
}
