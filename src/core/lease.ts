/**
 * Who may write: one process at a time holds the lease of a path.
 *
 * A lease is a note, named by its term. The highest term counts; a term is created once and for all,
 * so that of several who see the same owner gone exactly one gets the next. A lease that is given up
 * stays, marked so, for the terms to go on from. The owner dates its lease now and then: whoever
 * cannot see its process sees that. Nothing here writes sessions.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from './clock.js'
import { DATE_EVERY } from './dating.js'
import { StoreError } from './errors.js'
import { Liveness } from './liveness.js'
import { leasePath, leaseTerm } from './names.js'
import { type Note, type Notes, noteText } from './notes.js'
import type { Owner } from './ownership.js'
import { oneAtATime } from './pace.js'
import { isSame, type ProcessIdentity } from './process-identity.js'

/** The right to write, as those who write need it. */
export interface Lease {
  /** Its number, in the header of every file written under it; 0: no lease is kept. */
  readonly term: number
  /** Throws `ERR_LEASE_LOST` where another process has taken over. */
  check(): Promise<void>
  /** The same, but where that has been seen to be so a moment ago, without another look. */
  confirm(): Promise<void>
  checkSync(): void
}

/** What is in a note. */
interface LeaseText extends ProcessIdentity {
  token: string
  since: number
  inode: string
  released: boolean
  /** The names of the notes of the successors that the owner knows of. */
  successors: string[]
}

/** For how long nobody can have taken a lease that has just been seen to be ours, in ms. */
const FRESH = 4000
/** Bytes of a note; longer ones are as long as they are. */
const NOTE_LENGTH = 2047
/** How long a note that makes no sense is given to make some, in ms. */
const REWRITTEN = 20

/** Who is told of it each time that the lease is dated. */
export interface Keeper {
  /** Another process has taken it; told once. */
  onLost: (error: StoreError) => void
  /** Nobody else is seen to have it. */
  onKept: () => void
}

export class LeaseHolder implements Lease {
  readonly #notes: Notes
  readonly #path: string
  readonly #clock: Clock
  readonly #liveness = new Liveness()
  readonly #token = randomBytes(12).toString('hex')
  #term = 0
  /** When the lease was last seen to be ours, by the clock that runs on while a process is stopped. */
  #checked = 0
  #stopDating: (() => void) | undefined
  #keeper: Keeper | undefined
  /** `undefined` where this process does not hold the lease. */
  #text: LeaseText | undefined

  constructor(notes: Notes, path: string, clock: Clock) {
    this.#notes = notes
    this.#path = path
    this.#clock = clock
  }

  get term(): number {
    return this.#term
  }

  /** Since when this process holds the lease, epoch ms; 0: it doesn't. */
  get since(): number {
    return this.#text?.since ?? 0
  }

  /**
   * Takes the lease where nobody living holds it.
   *
   * @returns who holds it; `undefined`: this process does now
   */
  async acquire(): Promise<Owner | undefined> {
    if (this.#text) return undefined
    for (;;) {
      const terms = await this.#terms()
      const highest = Math.max(0, ...terms)
      const holder = highest > 0 ? await this.#holder(highest) : undefined
      if (holder) {
        const { pid, since, successors } = holder
        return { pid, here: isSame(holder, this.#liveness.own), since, successors }
      }
      const term = highest + 1
      if (!(await this.#create(term))) continue
      const text = this.#text
      // Held only once it has been looked at again: where that fails, everything is tried anew.
      this.#text = undefined
      // Whoever was slow may have created a term that others have left behind.
      if (Math.max(...(await this.#terms())) > term) {
        await this.#notes.remove(this.#leasePath(term))
        continue
      }
      this.#text = text
      this.#term = term
      this.#checked = Date.now()
      // From now on, since reading the files may take longer than others wait for a sign of life.
      this.#startDating()
      for (const old of terms) await this.#notes.remove(this.#leasePath(old))
      return undefined
    }
  }

  /** Tells `keeper` from now on how it stands. */
  keep(keeper: Keeper): void {
    this.#keeper = keeper
  }

  #startDating(): void {
    const date = oneAtATime(async () => {
      const lost = await this.#date()
      const keeper = this.#keeper
      if (!this.#stopDating || !keeper) return
      if (!lost) keeper.onKept()
      else {
        this.#stop()
        keeper.onLost(lost)
      }
    })
    this.#stop()
    this.#stopDating = this.#clock.every(DATE_EVERY, date)
  }

  /** @returns an error where another process has the lease */
  async #date(): Promise<StoreError | undefined> {
    try {
      await this.check()
      await this.#notes.date(this.#leasePath(this.#term))
    } catch (error) {
      // For any other, the next attempt is two seconds away.
      if (error instanceof StoreError) return error
    }
    return undefined
  }

  async check(): Promise<void> {
    const looked = Date.now()
    if (Math.max(0, ...(await this.#terms())) > this.#term) throw this.#lose()
    const path = this.#leasePath(this.#term)
    let note = await this.#readTwice(path)
    if (!note && this.#text) {
      // Somebody has removed all files: whoever creates a note first owns what comes. That may be
      // another check of ours.
      if ((await this.#terms()).length === 0) await this.#create(this.#term)
      note = await this.#readTwice(path)
    }
    if (!note || parse(note)?.token !== this.#token) throw this.#lose()
    this.#checked = looked
  }

  async confirm(): Promise<void> {
    const age = Date.now() - this.#checked
    if (age < 0 || age > FRESH) await this.check()
  }

  checkSync(): void {
    let taken = false
    try {
      taken = this.#isTakenSync()
    } catch {
      // At an exit there may be no room for another open file; the last look is two seconds old.
    }
    if (taken) throw this.#lose()
  }

  /** Lets successors know whom this owner knows of, and writes each change for before it answers. */
  announce(successors: string[]): void {
    if (!this.#text || this.#text.successors.join() === successors.join()) return
    this.#text.successors = successors
    // Otherwise they go on without knowing.
    this.#rewriteSync(this.#text)
  }

  /** Gives the lease up; whoever waits for it may take it. */
  release(): void {
    this.#stop()
    if (this.#text) this.#rewriteSync({ ...this.#text, released: true })
    this.#text = undefined
  }

  #rewriteSync(text: LeaseText): void {
    try {
      if (this.#isTakenSync()) return
      this.#notes.rewriteSync(this.#leasePath(this.#term), write(text))
    } catch {
      // Its folder is gone, or is not to be written in.
    }
  }

  /** Whether it is seen to be somebody else's by now. */
  #isTakenSync(): boolean {
    const terms = () => this.#termsIn(this.#notes.siblingsSync(this.#path))
    if (Math.max(0, ...terms()) > this.#term) return true
    const note = this.#notes.readSync(this.#leasePath(this.#term))
    if (!note) return terms().length > 0
    // Half of one is being rewritten, which its owner alone does.
    return (parse(note)?.token ?? this.#token) !== this.#token
  }

  #stop(): void {
    this.#stopDating?.()
    this.#stopDating = undefined
  }

  #lose(): StoreError {
    this.#text = undefined
    return new StoreError(
      'ERR_LEASE_LOST',
      `Expected to own ${this.#path}, found that another process has taken it over. Sessions are ` +
        'served from memory; nothing more is written by this process',
      { path: this.#path },
    )
  }

  async #create(term: number): Promise<boolean> {
    const text: LeaseText = {
      ...this.#liveness.own,
      token: this.#token,
      since: this.#clock.now(),
      inode: '',
      released: false,
      successors: [],
    }
    const created = await this.#notes.create(this.#leasePath(term), (inode) => {
      text.inode = inode
      return write(text)
    })
    if (created) this.#text = text
    return created
  }

  /** Who holds a term, if whoever does may still live. */
  async #holder(term: number): Promise<LeaseText | undefined> {
    const note = await this.#readTwice(this.#leasePath(term))
    const text = note && parse(note)
    // A copy of a folder has copies of its notes, and those have other inodes.
    if (!text || text.released || text.inode !== note.inode) return undefined
    if (text.token === this.#token) return undefined
    return this.#liveness.of(text.token, text, note.dated) ? text : undefined
  }

  /** A note that is being rewritten makes no sense for a moment. */
  async #readTwice(path: string): Promise<Note | undefined> {
    const note = await this.#notes.read(path)
    if (!note || parse(note)) return note
    await sleep(REWRITTEN)
    return this.#notes.read(path)
  }

  async #terms(): Promise<number[]> {
    return this.#termsIn(await this.#notes.siblings(this.#path))
  }

  #termsIn(names: string[]): number[] {
    return names.map((name) => leaseTerm(this.#path, name)).filter((term) => term >= 0)
  }

  #leasePath(term: number): string {
    return leasePath(this.#path, term)
  }
}

/** Always of one length where it can be, so that rewriting is one write and nobody reads half of it. */
function write(text: LeaseText): string {
  return `${noteText(text).padEnd(NOTE_LENGTH)}\n`
}

function parse({ text }: Pick<Note, 'text'>): LeaseText | undefined {
  try {
    const parsed = JSON.parse(text) as Partial<LeaseText> | null
    const { pid, since, successors } = parsed ?? {}
    const whole = [pid, since].every(Number.isSafeInteger) && Array.isArray(successors)
    return whole ? (parsed as LeaseText) : undefined
  } catch {
    return undefined
  }
}
