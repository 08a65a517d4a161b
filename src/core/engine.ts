/**
 * The sessions: the table, its expiry rules, its events and figures, and the way to its files.
 *
 * Reads and writes act on the table at once; while the files are being read they wait their turn.
 * Encoding happens before anything is changed, so that a session that can't be encoded changes
 * nothing. Knows no callbacks and no Express: the doors are in src/.
 */
import { randomBytes } from 'node:crypto'
import { type Clock, LATEST_DATE, Stamps, systemClock } from './clock.js'
import { Codec, SerializerCodec, type SessionCodec } from './codec.js'
import { type CookieShape, CookieShapes, restoreCookie } from './cookie.js'
import { StoreError, withCode } from './errors.js'
import { type Files, nodeFiles } from './file.js'
import { type EntryRecord, FILE_ID_LENGTH } from './format.js'
import type { MergeTarget } from './merge.js'
import type { DisposeReason, ResolvedOptions } from './options.js'
import { Pace } from './pace.js'
import type { MergeReport } from './follow.js'
import { nodeNotes, type Notes } from './notes.js'
import type { Ownership } from './ownership.js'
import type { Persistence, SnapshotReport } from './persistence.js'
import type { RestoreReport } from './recover.js'
import { emptyRecord } from './snapshot.js'
import { Table } from './table.js'
import { Tenure } from './tenure.js'
import { type Removal, Tombstones } from './tombstones.js'

/** A session as `get` returns it. */
export type Session = Record<string, unknown>

/** What happens in the background and somebody may want to know. */
export interface EngineEvents {
  ready(report: RestoreReport): void
  snapshot(report: SnapshotReport): void
  expired(sid: string): void
  evicted(sid: string): void
  owner(ownership: Ownership): void
  follow(ownership: Ownership): void
  merge(report: MergeReport): void
  error(error: StoreError): void
}

/** What tests put in place of the world. */
export interface Surroundings {
  clock: Clock
  files: Files
  notes: Notes
}

/** Counts since the store was made. */
export interface Counters {
  hits: number
  misses: number
  sets: number
  touches: number
  destroyed: number
  expired: number
  evicted: number
}

const ONE_DAY = 86_400_000
/** A touch is small where it moves the expiry by less than this, in ms, and than a tenth of the life. */
const SMALL_MOVE = 60_000
const SLOTS_AT_ONCE = 512
/** So many ids are put in the order of use. */
const SORTED_MOST = 10_000

export class Engine {
  readonly counters: Counters = {
    hits: 0,
    misses: 0,
    sets: 0,
    touches: 0,
    destroyed: 0,
    expired: 0,
    evicted: 0,
  }
  readonly #options: ResolvedOptions
  readonly #events: EngineEvents
  readonly #clock: Clock
  readonly #files: Files
  readonly #notes: Notes
  readonly #codec: SessionCodec
  readonly #shapes = new CookieShapes()
  readonly #stamps = new Stamps()
  readonly #tombstones = new Tombstones()
  readonly #target: MergeTarget & { codec: SessionCodec }
  readonly #record = emptyRecord()
  #table: Table
  #tenure: Tenure | undefined
  #opening: Promise<RestoreReport> | undefined
  /** Whether anybody wants to hear how opening went. */
  #awaited = false
  #waiting: (() => void)[] = []
  #failure: StoreError | undefined
  #closing: Promise<void> | undefined
  #pruning: Promise<void> | undefined
  #report: RestoreReport

  constructor(
    options: ResolvedOptions,
    events: EngineEvents,
    { clock = systemClock, files = nodeFiles, notes = nodeNotes }: Partial<Surroundings> = {},
  ) {
    this.#options = options
    this.#events = events
    this.#clock = clock
    this.#files = files
    this.#notes = notes
    this.#codec = this.#makeCodec()
    this.#table = new Table(options, (slot) => this.#evicted(slot))
    this.#target = {
      table: this.#table,
      tombstones: this.#tombstones,
      codec: this.#codec,
      lineage: randomBytes(FILE_ID_LENGTH),
      makeCodec: () => this.#makeCodec(),
    }
    this.#report = {
      path: options.snapshotPath || '',
      sessions: 0,
      expired: 0,
      damaged: 0,
      filledIn: false,
      bytes: 0,
      durationMs: 0,
      files: [],
    }
  }

  /** Begins to read the files. Call once. */
  open(): void {
    const { snapshotPath } = this.#options
    if (snapshotPath === false) return
    this.#tenure = new Tenure({
      path: snapshotPath,
      options: this.#options,
      files: this.#files,
      notes: this.#notes,
      clock: this.#clock,
      stamps: this.#stamps,
      shapes: this.#shapes,
      target: this.#target,
      onSnapshot: (report) => this.#events.snapshot(report),
      onOwner: (ownership) => this.#events.owner(ownership),
      onFollow: (ownership) => this.#events.follow(ownership),
      onMerge: (report) => this.#events.merge(report),
      onError: (error) => this.#events.error(error),
      observe: (stamp) => this.#stamps.observe(stamp),
      removing: (slot) => this.#dispose(slot, 'destroyed'),
    })
    this.#opening = this.#restore(this.#tenure, snapshotPath)
    this.#opening.catch(ignore)
  }

  /** Whether operations act at once; otherwise {@link whenReady} calls back when they do. */
  get isReady(): boolean {
    return this.#opening === undefined
  }

  /** Entries in memory, expired ones that nobody has noticed yet included. */
  get size(): number {
    return this.#table.size
  }

  get bytes(): number {
    return this.#table.bytes
  }

  get restored(): RestoreReport {
    return this.#report
  }

  get persistence(): Persistence | undefined {
    return this.#tenure?.persistence
  }

  /** Whether memory holds anything that the files don't. */
  get unsaved(): boolean {
    return this.#tenure?.unsaved ?? false
  }

  get ownership(): Ownership | undefined {
    return this.#tenure?.ownership
  }

  /** What a read has to wait for before it can see what another process has written; rarely anything. */
  catchUp(): Promise<void> | undefined {
    return this.#tenure?.catchUp()
  }

  /** Resolves with what the restore found; rejects where the store can't open. */
  async ready(): Promise<RestoreReport> {
    this.#awaited = true
    await this.#opening
    this.#requireWorking()
    return this.#report
  }

  /** Calls back when the files have been read, in the order of the calls. */
  whenReady(callback: () => void): void {
    if (this.#opening === undefined) callback()
    else this.#waiting.push(callback)
  }

  /** Throws where the store has been closed: what was asked before that is still done. */
  requireOpen(): void {
    if (this.#closing) throw new StoreError('ERR_CLOSED', 'Expected an open store, found it closed')
  }

  /** The session, fresh each time; `undefined` where there is none or it has expired. */
  get(sid: string): Session | undefined {
    this.#requireWorking()
    const table = this.#table
    const slot = table.use(sid, this.#stamps.use())
    if (slot < 0) {
      this.counters.misses++
      return undefined
    }
    if (table.expires(slot) <= this.#clock.now()) {
      const last = this.#options.stale ? this.#decode(slot) : undefined
      this.#expire(slot)
      this.counters.misses++
      return last
    }
    this.counters.hits++
    return this.#decode(slot)
  }

  /**
   * Encodes a session; the result puts it in place.
   *
   * @throws TypeError `ERR_SESSION_ENCODE`, or RangeError where it is larger than `maxBytes`
   */
  prepareSet(sid: string, session: object): () => void {
    this.#requireWorking()
    if (!sid.isWellFormed()) {
      const message =
        'Expected a session id of whole characters, got one with half a surrogate pair'
      throw withCode(new TypeError(message), 'ERR_SESSION_ENCODE')
    }
    const body = this.#codec.encode(session, sid)
    if (!this.#table.fits(sid, body)) {
      const message = `Expected a session of at most \`maxBytes\` (${this.#options.maxBytes}) bytes, got one of ${sid.length + body.length}`
      throw withCode(new RangeError(message), 'ERR_SESSION_ENCODE')
    }
    const slot = this.isReady ? this.#table.find(sid) : -1
    const moment = this.#moment(sid, session, slot)
    return () => this.#put(sid, body, moment)
  }

  /** Reads what a touch would write; the result writes it. */
  prepareTouch(sid: string, session: object): () => void {
    this.#requireWorking()
    const slot = this.isReady ? this.#table.find(sid) : -1
    const moment = this.#moment(sid, session, slot)
    return () => this.#touch(sid, moment)
  }

  destroy(sid: string): void {
    this.#requireWorking()
    const slot = this.#table.find(sid)
    if (slot < 0) {
      // Made in the process that owns the files, and not read yet: it must not be read later.
      if (this.#tenure?.own) this.#removed(sid, this.#clock.now() + ONE_DAY)
      // Expired by a clock that may be set back: a file may hold it, and it must not live again.
      else this.persistence?.removeUnseen(sid, this.#stamps.next(this.#clock.now()))
      return
    }
    this.counters.destroyed++
    this.#dispose(slot, 'destroyed')
    this.#removed(sid, this.#table.expires(slot))
    this.#table.remove(slot)
  }

  clear(): void {
    this.#requireWorking()
    this.counters.destroyed += this.#table.size
    if (this.#options.dispose) {
      for (let slot = 0; slot < this.#table.slots; slot++) {
        if (this.#table.has(slot)) this.#dispose(slot, 'destroyed')
      }
    }
    this.#noteOwnClear()
    const stamp = this.#stamps.next(this.#clock.now())
    this.#table.clear()
    if (this.#options.snapshotPath === false) return
    this.#tombstones.clear(stamp)
    this.persistence?.clear(stamp)
  }

  /** All live sessions, by sid, in an object without prototype. */
  async all(): Promise<Record<string, Session>> {
    this.#requireWorking()
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
    this.#requireWorking()
    const found: { sid: string; used: number }[] = []
    await this.#walk((slot) =>
      found.push({ sid: this.#table.sid(slot), used: this.#table.used(slot) }),
    )
    // Sorting more than these would hold the loop; they come in the order of their slots.
    if (found.length <= SORTED_MOST) found.sort((a, b) => b.used - a.used)
    return found.map(({ sid }) => sid)
  }

  /** How many sessions are live. */
  async length(): Promise<number> {
    this.#requireWorking()
    let length = 0
    await this.#walk(() => length++)
    return length
  }

  /** Drops what has expired; a call during one shares it. */
  prune(): Promise<void> {
    this.#pruning ??= this.#prune().finally(() => (this.#pruning = undefined))
    return this.#pruning
  }

  /** Resolves when everything so far is as durable as `durability: 'always'` promises. */
  acknowledged(): Promise<void> | undefined {
    return this.#tenure?.acknowledged()
  }

  async snapshot(): Promise<SnapshotReport> {
    this.requireOpen()
    await this.ready()
    this.#requireWorking()
    if (!this.#tenure) return { sessions: await this.length(), bytes: 0, durationMs: 0 }
    return (await this.#tenure.writer()).snapshot()
  }

  async flush(): Promise<void> {
    this.requireOpen()
    await this.ready()
    this.#requireWorking()
    const tenure = this.#tenure
    // A successor that has changed nothing has nothing to lose.
    if (tenure && (tenure.persistence || tenure.unsaved)) await (await tenure.writer()).flush()
  }

  /** Flushes and lets go of everything. Idempotent; rejects where the flush failed. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Writes what is unsaved while the process exits. */
  flushSync(lives: boolean): void {
    this.#tenure?.flushSync(lives)
  }

  async #restore(tenure: Tenure, path: string): Promise<RestoreReport> {
    try {
      this.#report = await tenure.open()
    } catch (cause) {
      const message = `Expected to open ${path}, found an unforeseen error`
      this.#failure =
        cause instanceof StoreError ? cause : new StoreError('ERR_OPEN', message, { path, cause })
      this.#proceed()
      // An app that waits for nothing would say nothing until somebody visits it.
      if (!this.#awaited) this.#events.error(this.#failure)
      throw this.#failure
    }
    this.#proceed()
    this.#events.ready(this.#report)
    this.#tellDamage()
    return this.#report
  }

  #proceed(): void {
    this.#opening = undefined
    const waiting = this.#waiting
    this.#waiting = []
    for (const callback of waiting) callback()
  }

  #tellDamage(): void {
    const damaged = this.#report.files.find(({ state }) => state === 'damaged')
    if (!damaged) return
    this.#events.error(
      new StoreError(
        'ERR_DAMAGED',
        `Expected whole files, found ${damaged.path} damaged. What was whole is being served` +
          (this.#report.filledIn ? ', the generation before has filled in the rest' : '') +
          (damaged.setAside ? `; the damaged file has been copied to ${damaged.setAside}` : ''),
        { path: damaged.path, offset: damaged.damage[0]?.offset },
      ),
    )
  }

  async #close(): Promise<void> {
    await this.#opening?.catch(ignore)
    await this.#tenure?.close()
  }

  #requireWorking(): void {
    if (this.#failure) throw this.#failure
  }

  /** What the cookie and `ttl` say of a session's life from now on; its entry is in `slot`, or −1. */
  #moment(sid: string, session: object, slot: number): Moment {
    const { cookie: given } = session as { cookie?: unknown }
    const hasCookie = typeof given === 'object' && given !== null
    const shapes = this.#shapes
    const near = slot < 0 ? undefined : this.#table.cookie(slot)
    const cookie = hasCookie ? shapes.of(given, near) : undefined
    const cookieExpires = hasCookie ? shapes.expires : NaN
    const maxAge = hasCookie ? shapes.maxAge : NaN
    const now = this.#clock.now()
    const { ttl } = this.#options
    const life = typeof ttl === 'function' ? ttl(session as never, sid) : ttl
    let expires = Number.isNaN(cookieExpires) ? now + maxAge : cookieExpires
    if (life !== null) expires = Number.isNaN(expires) ? now + life : Math.min(expires, now + life)
    if (Number.isNaN(expires)) expires = now + ONE_DAY
    return { cookie, cookieExpires, expires: Math.min(expires, LATEST_DATE) }
  }

  #put(sid: string, body: string, moment: Moment): void {
    this.#requireWorking()
    const table = this.#table
    const now = this.#clock.now()
    const slot = table.find(sid)
    this.counters.sets++
    if (moment.expires <= now) {
      if (slot >= 0) this.#expire(slot)
      return
    }
    if (slot >= 0) {
      if (!this.#options.noDisposeOnSet) this.#dispose(slot, 'replaced')
      this.#noteShortened(sid, table.expires(slot), moment.expires)
    }
    table.put(this.#fill(sid, moment, now), body)
    this.#tenure?.own?.sets.add(sid)
    this.persistence?.set(sid)
  }

  #touch(sid: string, moment: Moment): void {
    this.#requireWorking()
    const table = this.#table
    const slot = table.find(sid)
    if (slot < 0) return
    const now = this.#clock.now()
    this.counters.touches++
    // What has expired does not come back by a touch, and a touch may end a life.
    if (table.expires(slot) <= now || moment.expires <= now) {
      this.#expire(slot)
      return
    }
    this.#noteShortened(sid, table.expires(slot), moment.expires)
    const moved = moment.expires - table.saved(slot)
    const small =
      moved >= 0 &&
      moved < Math.min(SMALL_MOVE, (moment.expires - now) / 10) &&
      moment.cookie === table.cookie(slot)
    const record = this.#fill(sid, moment, now)
    table.use(sid, record.used)
    table.touch(slot, record)
    this.#tenure?.own?.sets.add(sid)
    this.persistence?.touch(sid, small)
  }

  #fill(sid: string, moment: Moment, now: number): EntryRecord {
    const record = this.#record
    record.sid = sid
    record.expires = moment.expires
    record.stamp = record.used = this.#stamps.next(now)
    record.cookie = moment.cookie
    record.cookieExpires = moment.cookieExpires
    return record
  }

  #noteShortened(sid: string, before: number, after: number): void {
    if (after < before && this.#tenure) this.#tombstones.shortened(sid, before)
  }

  #decode(slot: number): Session {
    const session = this.#codec.decode(this.#table.body(slot))
    const cookie = this.#table.cookie(slot)
    if (cookie) session['cookie'] = restoreCookie(cookie, this.#table.cookieExpires(slot))
    return session
  }

  #expire(slot: number): void {
    const sid = this.#table.sid(slot)
    this.counters.expired++
    this.#dispose(slot, 'expired')
    const now = this.#clock.now()
    // Ended before its time, or once meant to live longer: a file may hold it alive.
    const early = this.#table.expires(slot) > now || this.#tombstones.outlives(sid, now)
    if (this.#tenure && early) this.#removed(sid, this.#table.expires(slot))
    else this.persistence?.expire(sid, this.#table.stamp(slot))
    this.#table.remove(slot)
    this.#events.expired(sid)
  }

  #evicted(slot: number): void {
    const sid = this.#table.sid(slot)
    this.counters.evicted++
    this.#dispose(slot, 'evicted')
    // An older copy that comes back was no secret and is the first to go again.
    const removal: Removal = { stamp: this.#stamps.next(this.#clock.now()), until: 0 }
    this.persistence?.remove(sid, removal)
    this.#events.evicted(sid)
  }

  #removed(sid: string, expires: number): void {
    if (this.#options.snapshotPath === false) return
    const stamp = this.#stamps.next(this.#clock.now())
    const removal = this.#tombstones.add(sid, stamp, expires)
    this.#tenure?.own?.removals.add(sid)
    this.#tenure?.own?.sets.delete(sid)
    this.persistence?.remove(sid, removal)
  }

  /** What is cleared while another process owns the files is destroyed one by one for it. */
  #noteOwnClear(): void {
    const own = this.#tenure?.own
    if (!own) return
    for (let slot = 0; slot < this.#table.slots; slot++) {
      if (this.#table.has(slot)) own.removals.add(this.#table.sid(slot))
    }
    own.sets.clear()
  }

  #dispose(slot: number, reason: DisposeReason): void {
    const { dispose } = this.#options
    if (!dispose) return
    try {
      dispose(this.#table.sid(slot), this.#decode(slot) as never, reason)
    } catch (cause) {
      const message = `Expected \`dispose\` to return, found that it threw`
      this.#events.error(new StoreError('ERR_HOOK', message, { cause }))
    }
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
    this.#requireWorking()
    const pace = new Pace()
    for (let slot = 0; slot < this.#table.slots && !this.#closing; slot++) {
      if (this.#table.has(slot) && this.#table.expires(slot) <= this.#clock.now()) {
        this.#expire(slot)
      }
      if (slot % SLOTS_AT_ONCE === 0 && pace.due) await pace.pause()
    }
    const steps = this.#tombstones.prune(this.#clock.now())
    while (!steps.next().done) if (pace.due) await pace.pause()
  }

  #makeCodec(): SessionCodec {
    const { serializer } = this.#options
    return serializer ? new SerializerCodec(serializer) : new Codec()
  }
}

/** The life of a session as one call found it. */
interface Moment {
  cookie: CookieShape | undefined
  cookieExpires: number
  expires: number
}

function ignore(): void {
  // Told where it happened.
}
