/**
 * The sessions in memory: what reading, setting, touching, destroying and time do to them.
 *
 * Encoding happens before anything is changed, so that a session that can't be encoded changes
 * nothing. Each change is told to recorder.ts, which notes it for the files. Visits to all sessions
 * pause now and then. Knows no callbacks, no files and no Express.
 */
import { randomBytes } from 'node:crypto'
import { type Clock, Stamps } from './clock.js'
import { Codec, type SessionCodec } from './codec.js'
import { type CookieShape, CookieShapes, restoreCookie } from './cookie.js'
import { Disposals } from './disposals.js'
import { type StoreError, withCode } from './errors.js'
import { emptyFields, type EntryRecord, FILE_ID_LENGTH } from './format.js'
import { type Lifetime, Lifetimes } from './lifetime.js'
import type { MergeTarget } from './merge.js'
import type { ResolvedOptions } from './options.js'
import { Pace, paced, SLOTS_AT_ONCE } from './pace.js'
import { Recorder } from './recorder.js'
import { SerializerCodec } from './serializer-codec.js'
import type { Wanted } from './sid-index.js'
import { copyOf, lengthOf, type Span } from './span.js'
import { Table } from './table.js'

/** A session as `get` returns it. */
export type Session = Record<string, unknown>

/** Counts since the store was made. */
export interface Counters {
  /** Reads that found a session, and that found none. */
  hits: number
  misses: number
  sets: number
  /** Touches of sessions that were there. */
  touches: number
  /** Sessions that `destroy` and `clear` have ended. */
  destroyed: number
  /** Sessions whose time was over when somebody noticed. */
  expired: number
  /** Sessions that a limit has dropped. */
  evicted: number
}

/** What happens to sessions without anybody asking for it. */
export interface SessionEvents {
  expired(sid: string): void
  evicted(sid: string): void
  error(error: StoreError): void
}

/** A touch is small where it moves the expiry by less than this, in ms, and than a tenth of the life. */
const SMALL_MOVE = 60_000
/** So many ids are put in the order of use. */
const SORTED_MOST = 10_000

export class Sessions {
  readonly counters: Counters = {
    hits: 0,
    misses: 0,
    sets: 0,
    touches: 0,
    destroyed: 0,
    expired: 0,
    evicted: 0,
  }
  readonly shapes = new CookieShapes()
  readonly stamps = new Stamps()
  /** What files are read into, and written from. */
  readonly target: MergeTarget
  /** What is told of each change. */
  readonly recorder: Recorder
  /** What is told of sessions that have gone. */
  readonly disposals: Disposals<Table>
  /** Ends a prune that is under way. */
  closed = false
  readonly #options: ResolvedOptions
  readonly #events: SessionEvents
  readonly #clock: Clock
  readonly #codec: SessionCodec
  readonly #table: Table
  readonly #lifetimes: Lifetimes
  readonly #record: EntryRecord = { sid: '', ...emptyFields() }
  #pruning: Promise<void> | undefined

  constructor(options: ResolvedOptions, events: SessionEvents, clock: Clock) {
    this.#options = options
    this.#events = events
    this.#clock = clock
    const take = (slot: number, table: Table) => this.#take(slot, table)
    this.disposals = new Disposals(options.dispose, take, (error) => events.error(error))
    this.#lifetimes = new Lifetimes(this.shapes, options.ttl, clock)
    const makeCodec = () =>
      options.serializer ? new SerializerCodec(options.serializer) : new Codec()
    this.#codec = makeCodec()
    this.#table = new Table(options, (slot, sid) => this.#evict(slot, sid))
    this.#table.onEvicted = (sid) => events.evicted(sid)
    this.recorder = new Recorder(this.#table, this.stamps, clock)
    this.target = {
      table: this.#table,
      tombstones: this.recorder.tombstones,
      codec: this.#codec,
      lineage: randomBytes(FILE_ID_LENGTH),
      makeCodec,
    }
  }

  /** Entries in memory, expired ones that nobody has noticed yet included. */
  get size(): number {
    return this.#table.size
  }

  get bytes(): number {
    return this.#table.bytes
  }

  /**
   * Gets ready for {@link get} of several.
   *
   * @param from where in `wanted` they begin
   * @returns where they end
   */
  prefetch(wanted: readonly Wanted[], from: number): number {
    return this.#table.prefetch(wanted, from)
  }

  /**
   * The session, fresh each time; `undefined` where there is none or it has expired.
   *
   * @param now when it was asked for, epoch ms
   */
  get(sid: string, now = this.#clock.now()): Session | undefined {
    const table = this.#table
    const slot = table.use(sid, this.stamps.use())
    if (slot < 0) {
      this.counters.misses++
      return undefined
    }
    if (table.expires(slot) <= now) {
      const last = this.#options.stale ? this.#take(slot) : undefined
      this.#expire(slot)
      this.counters.misses++
      this.disposals.tell()
      return last?.()
    }
    this.counters.hits++
    return this.#decode(slot)
  }

  /**
   * Encodes a session; the result puts it in place.
   *
   * @param later whether anything else may be encoded, or time pass, before the result is called
   * @throws TypeError `ERR_SESSION_ENCODE`, or RangeError where it is larger than `maxBytes`
   */
  prepareSet(sid: string, session: object, later: boolean): () => void {
    if (!sid.isWellFormed()) {
      const message =
        'Expected a session id of whole characters, got one with half a surrogate pair'
      throw withCode(new TypeError(message), 'ERR_SESSION_ENCODE')
    }
    // First, since it may run code of the app, which may set another session.
    const life = this.#lifetimes.of(session, sid, this.#near(sid))
    const encoded = this.#codec.encode(session, sid)
    const length = lengthOf(encoded)
    if (!this.#table.fits(sid, length)) {
      const message = `Expected a session of at most \`maxBytes\` (${this.#options.maxBytes}) bytes, got one of ${sid.length + length}`
      throw withCode(new RangeError(message), 'ERR_SESSION_ENCODE')
    }
    const body = later ? copyOf(encoded) : encoded
    return () => {
      this.#put(sid, body, life, later ? this.#clock.now() : life.now)
      this.disposals.tell()
    }
  }

  /**
   * Reads what a touch would write; the result writes it.
   *
   * @param later whether time may pass before the result is called
   */
  prepareTouch(sid: string, session: object, later: boolean): () => void {
    const life = this.#lifetimes.of(session, sid, this.#near(sid))
    return () => {
      this.#touch(sid, life, later ? this.#clock.now() : life.now)
      this.disposals.tell()
    }
  }

  destroy(sid: string): void {
    const slot = this.#table.find(sid)
    if (slot < 0) {
      this.recorder.unseen(sid)
      return
    }
    this.counters.destroyed++
    this.disposals.add(this.#table, slot, 'destroyed')
    this.recorder.removed(sid, this.#table.expires(slot))
    this.#table.remove(slot)
    this.disposals.tell()
  }

  clear(): void {
    this.counters.destroyed += this.#table.size
    const stamp = this.recorder.clearing()
    const gone = this.#table.clear()
    this.recorder.cleared(stamp)
    this.disposals.tellAll(gone)
  }

  /** All live sessions, by sid, in an object without prototype. */
  async all(): Promise<Record<string, Session>> {
    const sessions = Object.create(null) as Record<string, Session>
    await this.#walk((slot) => {
      try {
        sessions[this.#table.sid(slot)] = this.#decode(slot)
      } catch (error) {
        this.#events.error(error as StoreError)
      }
    })
    return sessions
  }

  /** The sids of all live sessions; up to 10,000 of them, those used last first. */
  async ids(): Promise<string[]> {
    const sids: string[] = []
    const found: { sid: string; used: number }[] = []
    await this.#walk((slot) => {
      const sid = this.#table.sid(slot)
      if (sids.push(sid) <= SORTED_MOST) found.push({ sid, used: this.#table.used(slot) })
    })
    // Sorting more than these would hold the loop; they come in the order of their slots.
    if (sids.length > SORTED_MOST) return sids
    return found.sort((a, b) => b.used - a.used).map(({ sid }) => sid)
  }

  /** How many sessions are live. */
  async length(): Promise<number> {
    let length = 0
    await this.#walk(() => length++)
    return length
  }

  /** Drops what has expired; a call during one shares it. */
  prune(): Promise<void> {
    this.#pruning ??= this.#prune().finally(() => (this.#pruning = undefined))
    return this.#pruning
  }

  /** The cookie that the session had: most likely the one it has. */
  #near(sid: string): CookieShape | undefined {
    const slot = this.#table.find(sid)
    return slot < 0 ? undefined : this.#table.cookie(slot)
  }

  #put(sid: string, body: Span, life: Lifetime, now: number): void {
    const table = this.#table
    const slot = table.find(sid)
    this.counters.sets++
    if (life.expires <= now) {
      if (slot >= 0) this.#expire(slot)
      this.recorder.ended(sid)
      return
    }
    if (slot >= 0) {
      if (!this.#options.noDisposeOnSet) this.disposals.add(this.#table, slot, 'replaced')
      this.recorder.moved(sid, table.expires(slot), life.expires)
    }
    this.recorder.put(sid, table.put(this.#fill(sid, life, now), body), slot >= 0)
  }

  #touch(sid: string, life: Lifetime, now: number): void {
    const table = this.#table
    const slot = table.find(sid)
    if (slot < 0) return
    this.counters.touches++
    // What has expired does not come back by a touch, and a touch may end a life.
    if (table.expires(slot) <= now || life.expires <= now) {
      this.#expire(slot)
      return
    }
    this.recorder.moved(sid, table.expires(slot), life.expires)
    const moved = life.expires - table.saved(slot)
    const small =
      moved >= 0 &&
      moved < Math.min(SMALL_MOVE, (life.expires - now) / 10) &&
      life.cookie === table.cookie(slot)
    const record = this.#fill(sid, life, now)
    table.use(sid, record.used)
    table.touch(slot, record)
    this.recorder.touched(sid, slot, small, now)
  }

  #fill(sid: string, life: Lifetime, now: number): EntryRecord {
    const record = this.#record
    record.sid = sid
    record.expires = life.expires
    record.stamp = record.used = this.stamps.next(now)
    record.cookie = life.cookie
    record.cookieExpires = life.cookieExpires
    return record
  }

  /** May run code of the app, a serializer's: what is in a slot then need not be there afterwards. */
  #decode(slot: number): Session {
    const table = this.#table
    const shape = table.cookie(slot)
    const cookie = shape && restoreCookie(shape, table.cookieExpires(slot))
    return this.#codec.decode(table.body(slot), cookie)
  }

  /** Copies a session that is about to leave its slot, to be decoded when it has. */
  #take(slot: number, table = this.#table): () => Session {
    const shape = table.cookie(slot)
    const expires = table.cookieExpires(slot)
    const body = copyOf(table.body(slot))
    return () => this.#codec.decode(body, shape && restoreCookie(shape, expires))
  }

  #expire(slot: number): void {
    const sid = this.#table.sid(slot)
    this.counters.expired++
    this.disposals.add(this.#table, slot, 'expired')
    this.recorder.expired(sid, slot)
    this.#table.remove(slot)
    this.#events.expired(sid)
  }

  #evict(slot: number, sid: string): void {
    this.counters.evicted++
    this.disposals.add(this.#table, slot, 'evicted')
    this.recorder.evicted(sid)
  }

  /** Visits the slots of all live sessions, with pauses. */
  async #walk(visit: (slot: number) => void): Promise<void> {
    const pace = new Pace()
    for (let slot = 0; slot < this.#table.slots; slot++) {
      if (this.#table.has(slot) && this.#table.expires(slot) > this.#clock.now()) visit(slot)
      if (slot % SLOTS_AT_ONCE === 0 && pace.due) await pace.pause()
    }
  }

  async #prune(): Promise<void> {
    const pace = new Pace()
    for (let slot = 0; slot < this.#table.slots && !this.closed; slot++) {
      if (this.#table.has(slot) && this.#table.expires(slot) <= this.#clock.now()) {
        this.#expire(slot)
        this.disposals.tell()
      }
      if (slot % SLOTS_AT_ONCE === 0 && pace.due) await pace.pause()
    }
    await paced(this.recorder.tombstones.prune(this.#clock.now()))
  }
}
