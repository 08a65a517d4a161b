/**
 * Records of a file → the table: the one place where it is decided which of two states holds.
 *
 * The higher stamp wins, so files may be read in any order and more than once. A removal beats
 * everything up to its stamp; between processes a destruction beats what the destroyed session's
 * own requests did elsewhere, whatever the stamps. What has expired is put in its
 * place all the same, because a touch may follow that prolongs it. No I/O.
 */
import type { SessionCodec } from './codec.js'
import { type EntryRecord, MalformedError, type RecordSink } from './format.js'
import type { FileHeader } from './header.js'
import type { Lapsed } from './lapsed.js'
import { sameKeys } from './shapes.js'
import { SidMap } from './sid-map.js'
import { lengthOf, sameBytes, type Span } from './span.js'
import type { Table } from './table.js'
import type { Tombstones } from './tombstones.js'

/** Where records go. */
export interface MergeTarget {
  table: Table
  tombstones: Tombstones
  codec: SessionCodec
  /** The lineage that the codec's structures belong to. */
  lineage: Buffer
  /** Makes a codec for bodies of another lineage. */
  makeCodec(): SessionCodec
}

/** What a merge is told about changes, where anybody wants to know. */
export interface MergeEvents {
  /** An entry was put, or its cookie and expiry replaced. */
  changed?(slot: number): void
  /** The file holds the session whose entry is in `slot`, newer or not. */
  seen?(slot: number): void
  /** The entry in `slot` is about to go. */
  removing?(slot: number): void
  /** The table has been emptied at once; this is what was in it. */
  emptied?(gone: Table): void
}

/** What this process changed while another one owned the files, by sid. */
export interface OwnChanges {
  sets: Set<string>
  /** Those of {@link sets} that were not known before. */
  made: Set<string>
  /** Destroyed, with the latest expiry that the other process is known to have given each. */
  removals: Map<string, number>
  /** Ended here by what the other process is known to have said. */
  lapsed: Lapsed
  /** The stamp of a clear; 0: none. */
  cleared: number
}

/** How a {@link Merge} treats what it reads. */
export interface MergeOptions {
  now(): number
  /** What this process changed while another one owned the files; none while loading its own. */
  own?: OwnChanges
  events?: MergeEvents
  /** Whether older files may be read after newer ones. */
  olderFollow?: boolean
  /**
   * The files tell of another life of the store: everything there was destroyed up to this stamp,
   * which says nothing of what is here.
   */
  cleared?: number
}

/** Counts of what a merge did. */
export interface MergeCounts {
  /** Records told. */
  records: number
  /** Entries whose structures the file has lost. */
  undecodable: number
  /** Entries inserted or changed. */
  applied: number
  /** Sessions removed. */
  removed: number
}

/** Structures other than those of the target, and the codec of bodies that refer to them. */
interface Dialect {
  structures: string[][]
  codec: SessionCodec | undefined
}

/** A sink that merges. One for all the files of a recovery, {@link begin} for each. */
export class Merge implements RecordSink {
  readonly counts: MergeCounts = {
    records: 0,
    undecodable: 0,
    applied: 0,
    removed: 0,
  }
  /** The highest stamp seen. */
  stamp = 0
  readonly #target: MergeTarget
  readonly #options: MergeOptions
  readonly #evicted = new SidMap<number>()
  /** Of other lineages, and by their ids of files that have left theirs. */
  readonly #dialects = new Map<string, Dialect>()
  /** That of the records that follow; `undefined`: they refer to the target's structures. */
  #dialect: Dialect | undefined
  #file = ''
  #decodable = true

  constructor(target: MergeTarget, options: MergeOptions) {
    this.#target = target
    this.#options = options
  }

  /** The records that follow are from the file with this header. */
  begin({ lineage, id }: Pick<FileHeader, 'lineage' | 'id'>): void {
    this.#file = id.toString('hex')
    this.#dialect = this.#dialects.get(this.#file) ?? this.#dialectOf(lineage)
  }

  /** Structures of a lineage that were gathered beforehand, so that a damaged list does not matter. */
  seed(lineage: Buffer, structures: string[][]): void {
    this.begin({ lineage, id: lineage })
    structures.forEach((keys, id) => this.structure(id, keys))
  }

  structure(id: number, keys: string[]): void {
    const other = this.#structures[id]
    if (other && !sameKeys(other, keys)) this.#part(id)
    // One that doesn't fit is as good as lost: the entries that need it are counted as they come.
    if (id !== this.#structures.length) return
    if (this.#dialect) {
      this.#dialect.structures.push(keys)
      this.#dialect.codec = undefined
    } else {
      try {
        this.#target.codec.adopt([keys], id)
      } catch {
        // As above.
      }
    }
  }

  needs(count: number): void {
    this.#decodable = count <= this.#structures.length
  }

  entry(record: EntryRecord, body: Span | undefined): void {
    this.counts.records++
    if (record.used > this.stamp) this.stamp = record.used
    const { table, tombstones } = this.#target
    const { own, events } = this.#options
    const until = own?.removals.get(record.sid)
    if (own && until !== undefined) {
      // Destroyed here: the removal is kept until the expiry that the other process gave it.
      own.removals.set(record.sid, Math.max(until, record.expires))
      const removal = tombstones.get(record.sid)
      if (removal) tombstones.add(record.sid, removal.stamp, record.expires)
      return
    }
    if (tombstones.covers(record.sid, record.stamp)) return
    if (record.stamp <= (this.#options.cleared ?? 0)) return
    const found = table.find(record.sid)
    const slot = found < 0 && body === undefined ? this.#revive(record) : found
    if (slot >= 0) events?.seen?.(slot)
    if (slot >= 0 && table.stamp(slot) > record.stamp) return
    // A touch may have been written with the stamp of the set that came right behind it.
    const again = slot >= 0 && table.stamp(slot) === record.stamp
    if (again && (body === undefined || sameBytes(body, table.body(slot)))) return
    if (record.stamp <= (this.#evicted.get(record.sid) ?? 0)) return
    if (body === undefined) {
      if (slot < 0) return
      if (record.expires < table.expires(slot)) {
        tombstones.shortened(record.sid, table.expires(slot))
      }
      table.touch(slot, record)
      table.markSaved(slot)
      this.counts.applied++
      events?.changed?.(slot)
      return
    }
    if (!this.#decodable) {
      this.counts.undecodable++
      return
    }
    if (slot >= 0 && record.expires < table.expires(slot)) {
      tombstones.shortened(record.sid, table.expires(slot))
    }
    // Without structures a body means the same in every lineage. A serializer's is never decoded here:
    // its code may call the store, while slots of its table are in hand.
    const foreign = this.#structures.length > 0 ? this.#dialect : undefined
    const translated = foreign ? this.#translate(foreign, body) : body
    if (again && sameBytes(translated, table.body(slot))) return
    if (!table.fits(record.sid, lengthOf(translated))) {
      // Evicted as it comes; what it has replaced is no session any more.
      this.#noteEvicted(record.sid, record.stamp)
      if (slot >= 0) this.#remove(slot)
      return
    }
    const put = table.put(record, translated)
    // Whoever was told of an eviction may have dropped it.
    if (!table.has(put)) return
    table.markSaved(put)
    this.counts.applied++
    events?.seen?.(put)
    events?.changed?.(put)
  }

  removal(sid: string, stamp: number, until: number): void {
    this.counts.records++
    if (stamp > this.stamp) this.stamp = stamp
    const { table, tombstones } = this.#target
    const slot = table.find(sid)
    const known = tombstones.get(sid)
    // Destroyed there beats whatever its own requests did here, however late; but only once.
    const changed = until > 0 && this.#options.own?.sets.has(sid) === true
    // What was changed here may have been made to live longer than its end there.
    const last = changed && slot >= 0 ? Math.max(until, table.expires(slot)) : until
    const news = last > this.#options.now() && (!known || known.stamp < stamp)
    if (slot >= 0 && ((changed && news) || table.stamp(slot) <= stamp)) this.#remove(slot)
    // No secret, but an older file must not bring it back in the place of another.
    if (this.#options.olderFollow && until === 0) this.#noteEvicted(sid, stamp)
    if (news) tombstones.add(sid, stamp, last)
  }

  clear(stamp: number): void {
    this.counts.records++
    if (stamp > this.stamp) this.stamp = stamp
    const { table, tombstones } = this.#target
    const { own, events, cleared } = this.#options
    if (stamp <= tombstones.cleared || cleared !== undefined) return
    const goes = (slot: number) =>
      table.stamp(slot) <= stamp || (own !== undefined && changedHere(own, table.sid(slot)))
    if (own && everySlot(table, goes)) {
      this.counts.removed += table.size
      // A walk of a million would hold the loop.
      const gone = table.clear()
      events?.emptied?.(gone)
    } else {
      for (let slot = 0; slot < table.slots; slot++) {
        if (table.has(slot) && goes(slot)) this.#remove(slot)
      }
    }
    tombstones.clear(stamp)
  }

  /** Puts back what has ended here and was touched there before. @returns its slot, or -1 */
  #revive({ sid, stamp, expires }: EntryRecord): number {
    const { own } = this.#options
    const lapse = own?.lapsed.get(sid)
    if (!lapse || lapse.record.stamp > stamp || expires <= this.#options.now()) return -1
    own!.lapsed.delete(sid)
    return this.#target.table.put(lapse.record, lapse.body)
  }

  #noteEvicted(sid: string, stamp: number): void {
    this.#evicted.set(sid, Math.max(stamp, this.#evicted.get(sid) ?? 0))
  }

  #remove(slot: number): void {
    this.#options.events?.removing?.(slot)
    this.#target.table.remove(slot)
    this.counts.removed++
  }

  get #structures(): readonly (readonly string[])[] {
    return (this.#dialect ?? this.#target.codec).structures
  }

  #dialectOf(lineage: Buffer): Dialect | undefined {
    if (lineage.equals(this.#target.lineage)) return undefined
    const name = lineage.toString('hex')
    const dialect = this.#dialects.get(name) ?? { structures: [], codec: undefined }
    this.#dialects.set(name, dialect)
    return dialect
  }

  /**
   * The file tells another structure by this id than others of its lineage: two processes went on from
   * the same files, in copies of them, or since one of them had been stopped and taken for gone.
   */
  #part(id: number): void {
    const structures = this.#structures.slice(0, id).map((keys) => [...keys])
    this.#dialect = { structures, codec: undefined }
    this.#dialects.set(this.#file, this.#dialect)
  }

  #translate(dialect: Dialect, body: Span): Span {
    if (!dialect.codec) {
      dialect.codec = this.#target.makeCodec()
      dialect.codec.adopt(dialect.structures)
    }
    try {
      return this.#target.codec.encode(dialect.codec.decode(body))
    } catch {
      throw new MalformedError('Expected a body that decodes')
    }
  }
}

/** Whether it was there before, and destroyed with all others whatever its own requests did here. */
function changedHere(own: OwnChanges, sid: string): boolean {
  return own.sets.has(sid) && !own.made.has(sid)
}

function everySlot(table: Table, holds: (slot: number) => boolean): boolean {
  for (let slot = 0; slot < table.slots; slot++) {
    if (table.has(slot) && !holds(slot)) return false
  }
  return true
}
