/**
 * Who may write: one process at a time holds the lease of a path.
 *
 * A lease is a note `<path>.lease-<term>`. The highest term counts; a term is created once and for
 * all, so that of several who see the same owner gone exactly one gets the next. A lease that is
 * given up stays, marked so, for the terms to go on from. The owner dates its lease now and then:
 * whoever cannot see its process sees that. Nothing here writes sessions.
 */
import { randomBytes } from 'node:crypto'
import { basename } from 'node:path'
import type { Clock } from './clock.js'
import { StoreError } from './errors.js'
import type { Note, Notes } from './notes.js'
import { isAlive, ownIdentity, type ProcessIdentity } from './process-identity.js'

/** The right to write, as those who write need it. */
export interface Lease {
  /** Its number, in the header of every file written under it; 0: no lease is kept. */
  readonly term: number
  /** Throws `ERR_LEASE_LOST` where another process has taken over. */
  check(): Promise<void>
  checkSync(): void
}

/** Who owns a path. */
export interface Owner {
  pid: number
  /** Since when, epoch ms. */
  since: number
  /** Whether it knows of a successor, and writes each change before it answers. */
  followed: boolean
}

/** What is in a note. */
interface LeaseText extends ProcessIdentity {
  token: string
  since: number
  inode: string
  released: boolean
  /** Whether the owner knows of a successor, and writes each change before it answers. */
  followed: boolean
}

/** How often an owner dates its lease, in ms. */
const DATE_EVERY = 2000
/** An owner out of sight that has not dated its lease for this long is taken for gone, in ms. */
const GONE_AFTER = 10_000

export class LeaseHolder implements Lease {
  readonly #notes: Notes
  readonly #path: string
  readonly #clock: Clock
  readonly #own = ownIdentity()
  readonly #token = randomBytes(12).toString('hex')
  #term = 0
  #stopDating: (() => void) | undefined
  #text: LeaseText | undefined
  /** The lease of an owner out of sight, and when it was last seen to be dated. */
  #watched: { token: string; dated: string; seen: number } | undefined

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
    for (;;) {
      const terms = await this.#terms()
      const highest = Math.max(0, ...terms)
      const holder = highest > 0 ? await this.#holder(highest) : undefined
      if (holder) return { pid: holder.pid, since: holder.since, followed: holder.followed }
      const term = highest + 1
      if (!(await this.#create(term))) continue
      // Whoever was slow may have created a term that others have left behind.
      if (Math.max(...(await this.#terms())) > term) {
        await this.#notes.remove(this.#leasePath(term))
        continue
      }
      this.#term = term
      for (const old of terms) await this.#notes.remove(this.#leasePath(old))
      return undefined
    }
  }

  /** Dates the lease from now on, and calls back once if another process has taken it. */
  keep(onLost: (error: StoreError) => void): void {
    this.#stopDating = this.#clock.every(DATE_EVERY, () => {
      this.check().then(
        () => this.#notes.date(this.#leasePath(this.#term)).catch(ignore),
        (error: unknown) => {
          if (!(error instanceof StoreError) || !this.#stopDating) return
          this.#stop()
          onLost(error)
        },
      )
    })
  }

  async check(): Promise<void> {
    this.#compare(await this.#notes.siblings(this.#path))
  }

  checkSync(): void {
    this.#compare(this.#notes.siblingsSync(this.#path))
  }

  /** Lets successors know that each change is written before it is answered from now on. */
  announceFollowed(): void {
    if (!this.#text || this.#text.followed) return
    this.#text.followed = true
    try {
      this.#notes.rewriteSync(this.#leasePath(this.#term), write(this.#text))
    } catch {
      // They go on without knowing.
    }
  }

  /** Gives the lease up; whoever waits for it may take it. */
  release(): void {
    this.#stop()
    if (!this.#text) return
    try {
      this.checkSync()
      this.#notes.rewriteSync(this.#leasePath(this.#term), write({ ...this.#text, released: true }))
    } catch {
      // It is somebody else's by now, or its folder is gone: either way it isn't ours.
    }
    this.#text = undefined
  }

  #stop(): void {
    this.#stopDating?.()
    this.#stopDating = undefined
  }

  #compare(names: string[]): void {
    if (Math.max(0, ...this.#parse(names)) <= this.#term) return
    throw new StoreError(
      'ERR_LEASE_LOST',
      `Expected to own ${this.#path}, found that another process has taken it over. Sessions are ` +
        'served from memory; nothing more is written by this process',
      { path: this.#path },
    )
  }

  async #create(term: number): Promise<boolean> {
    const text: LeaseText = {
      ...this.#own,
      token: this.#token,
      since: this.#clock.now(),
      inode: '',
      released: false,
      followed: false,
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
    const note = await this.#notes.read(this.#leasePath(term))
    const text = note && parse(note)
    // A copy of a folder has copies of its notes, and those have other inodes.
    if (!text || text.released || text.inode !== note.inode) return undefined
    if (text.token === this.#token) return undefined
    const alive = isAlive(text, this.#own)
    if (alive === false) return undefined
    // Without start times a pid may be another process by now.
    if (alive === true && text.started !== '') return text
    return this.#seemsGone(text, note) ? undefined : text
  }

  #seemsGone({ token }: LeaseText, { dated }: Note): boolean {
    const now = performance.now()
    if (this.#watched?.token !== token || this.#watched.dated !== dated) {
      this.#watched = { token, dated, seen: now }
    }
    return now - this.#watched.seen >= GONE_AFTER
  }

  async #terms(): Promise<number[]> {
    return this.#parse(await this.#notes.siblings(this.#path))
  }

  #parse(names: string[]): number[] {
    const prefix = `${basename(this.#path)}.lease-`
    return names
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length))
      .filter((term) => /^\d{1,15}$/.test(term))
      .map(Number)
  }

  #leasePath(term: number): string {
    return `${this.#path}.lease-${term}`
  }
}

function write(text: LeaseText): string {
  return `${JSON.stringify(text)}\n`
}

function parse({ text }: Note): LeaseText | undefined {
  try {
    const parsed = JSON.parse(text) as Partial<LeaseText> | null
    const { pid, since } = parsed ?? {}
    return [pid, since].every(Number.isSafeInteger) ? (parsed as LeaseText) : undefined
  } catch {
    return undefined
  }
}

function ignore(): void {
  // The next attempt is two seconds away.
}
