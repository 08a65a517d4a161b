/**
 * Which sessions changed since the files were last written to: one note a session, however often.
 *
 * A session in the table is noted by its slot, in two bits of the table's flags and a list that is
 * used again and again: a change leaves nothing for the garbage collector. One that is gone is noted
 * by its sid. A note says what kind of record the session needs; what the record holds is read from
 * the table when it is written. No I/O.
 */
import { SidMap } from './sid-map.js'
import type { Removal } from './tombstones.js'

/** The table, as far as notes need it. */
export interface NotedTable {
  has(slot: number): boolean
  find(sid: string): number
  sid(slot: number): string
  /** A byte a slot, 0 at first, that outlives the sessions in it. 0 where there is no such slot. */
  flags(slot: number): number
  setFlags(slot: number, flags: number): void
  /** Called with a slot that has flags when its session is about to go, still readable. */
  onLeave: ((slot: number) => void) | undefined
}

/** Sessions that changed: the slots of some, the sids of those that are gone. */
export interface Changed {
  slots: Uint32Array
  sids: string[]
}

/** What the two bits say. A slot is in the list once: it may go, and come with another session. */
const UNLISTED = 0
const NOTHING = 1
const TOUCH = 2
const SET = 3
const BITS = 3

/** Numbers that a list has room for at first, and keeps room for. */
const LIST_LEAST = 1024
const LIST_KEPT = 65_536

export class Changes {
  /** The stamp of a clear that the files do not know of; 0: none. */
  cleared = 0
  /** Whether a clear has taken sessions away whose notes are being written. */
  swept = false
  readonly #table: NotedTable
  readonly #shift: number
  #list = new Uint32Array(LIST_LEAST)
  #listed = 0
  /** How many slots of the list have anything to tell. */
  #noted = 0
  #gone = new SidMap<Removal | undefined>()

  /** @param pair which two bits of the flags are its own, 0 to 3 */
  constructor(table: NotedTable, pair: number) {
    this.#table = table
    this.#shift = pair * 2
  }

  get empty(): boolean {
    return this.#noted === 0 && this.#gone.size === 0 && this.cleared === 0
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
    if (this.has(slot)) this.#mark(slot, SET)
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
    if (!this.has(slot)) return
    this.#mark(slot, NOTHING)
    this.#noted--
  }

  /** Takes back what is noted of a session that is gone. */
  dropGone(sid: string): void {
    this.#gone.delete(sid)
  }

  /** Takes back what is noted of all that are gone. */
  dropAllGone(): void {
    this.#gone = new SidMap()
  }

  /** The table has been emptied, and its flags with it. */
  clear(stamp: number): void {
    this.#listed = this.#noted = 0
    this.#start()
    this.cleared = stamp
  }

  /** The same, where these notes are being written and somebody waits for what they were. */
  sweep(): void {
    this.swept ||= this.#noted > 0
    this.#listed = this.#noted = 0
  }

  /** Whether a set or a touch of the session in `slot` is noted. */
  has(slot: number): boolean {
    return this.#kind(slot) >= TOUCH
  }

  /** Whether the session in `slot`, which is noted, needs its whole entry told. */
  whole(slot: number): boolean {
    return this.#kind(slot) === SET
  }

  /** The slots of noted sessions, each as it is when it is asked for. */
  *slots(): Generator<number, void, void> {
    for (let i = 0; i < this.#listed; i++) {
      const slot = this.#list[i]!
      if (this.has(slot)) yield slot
    }
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
    const slots = new Uint32Array(this.#noted)
    let count = 0
    for (const slot of this.slots()) slots[count++] = slot
    const sids = [...this.#gone.keys()]
    this.reset()
    return { slots, sids }
  }

  /** Adds notes that could not be written; newer ones stand, but never ask for less. */
  restore(unwritten: Changes): void {
    // What was noted before a clear has nothing to tell any more.
    if (this.cleared > 0) return
    this.cleared = unwritten.cleared
    this.add(unwritten)
  }

  /** Adds notes that are older than its own. */
  add(older: Changes): void {
    for (const slot of older.slots()) this.#note(slot, older.#kind(slot))
    for (const [sid, removal] of older.#gone) {
      if (!this.#gone.has(sid) && !this.has(this.#table.find(sid))) this.#gone.set(sid, removal)
    }
  }

  /** Forgets everything. */
  reset(): void {
    for (let i = 0; i < this.#listed; i++) this.#mark(this.#list[i]!, UNLISTED)
    this.#listed = this.#noted = 0
    this.#start()
  }

  #start(): void {
    this.cleared = 0
    this.swept = false
    if (this.#gone.size > 0) this.#gone = new SidMap()
    if (this.#list.length > LIST_KEPT) this.#list = new Uint32Array(LIST_LEAST)
  }

  #note(slot: number, kind: number): void {
    const before = this.#kind(slot)
    if (before >= kind) return
    if (before === UNLISTED) this.#append(slot)
    if (before < TOUCH) this.#noted++
    this.#mark(slot, kind)
  }

  #append(slot: number): void {
    if (this.#listed === this.#list.length) {
      const grown = new Uint32Array(this.#listed * 2)
      grown.set(this.#list)
      this.#list = grown
    }
    this.#list[this.#listed++] = slot
  }

  #kind(slot: number): number {
    return (this.#table.flags(slot) >>> this.#shift) & BITS
  }

  #mark(slot: number, kind: number): void {
    const others = this.#table.flags(slot) & ~(BITS << this.#shift)
    this.#table.setFlags(slot, others | (kind << this.#shift))
  }
}
