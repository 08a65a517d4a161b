/**
 * Hand-overs, 200 of them: two processes on one file, both in use, and at a random moment one of
 * them, or one after the other, is sent SIGTERM or SIGKILL. Whoever is left serves all that the
 * durability promises and nothing that was destroyed; the files tell of one writer at a time.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Books } from '../lib/handover-books.js'
import { Evidence, twoWriters } from '../lib/handover-files.js'
import { StoreProcess } from '../lib/handover-process.js'
import { KEY } from '../lib/pictures.js'
import { Random } from '../lib/random.js'
import { Tally } from '../lib/tally.js'

export const name = 'hand-over'
/** Hand-overs. */
export const full = 200

const DURABILITIES = ['everysec', 'snapshot', 'always']
const IN_A_FOLDER = 8
/** What `everysec` may lose without a successor, ms, and what a busy machine adds. */
const LAST_SECOND = 1000 + 600
/** Longer than any take-over should take, ms. */
const PATIENCE = 20_000
const SIDS = 12

const SCENARIOS = [
  ...Array(5).fill('term owner'),
  ...Array(6).fill('kill owner'),
  ...Array(3).fill('kill owner, then successor'),
  ...Array(2).fill('term both'),
  ...Array(2).fill('two successors'),
  'kill successor',
  'term successor',
]

export async function run(count, seed) {
  const tally = new Tally(name)
  const random = new Random(seed)
  let done = 0
  for (let folder = 0; done < count; folder++) {
    const chain = new Chain(tally, random, DURABILITIES[folder % DURABILITIES.length], folder)
    const most = Math.min(IN_A_FOLDER, count - done)
    done += await chain.run(most)
  }
  tally.notes.push(`${done} hand-overs, the files of each read by lease and process`)
  return tally
}

/** Processes on one folder, one after the other. */
class Chain {
  #tally
  #random
  #options
  #folder
  #what
  #books = new Books()
  #evidence
  #owner
  #successor
  #rounds = 0

  constructor(tally, random, durability, number) {
    this.#tally = tally
    this.#random = random
    this.#what = `folder ${number}, '${durability}'`
    this.#folder = mkdtempSync(join(tmpdir(), 'handover-'))
    this.#options = {
      snapshotPath: join(this.#folder, 's.snapshot'),
      durability,
      checkPeriod: 0,
      snapshotInterval: random.pick([0, 150, 1000]),
      ...(random.chance(0.15) ? { encryptionKey: KEY } : {}),
    }
    this.#evidence = new Evidence(this.#options.snapshotPath, this.#options.encryptionKey)
  }

  /** @returns how often the file changed hands */
  async run(most) {
    let done = 0
    try {
      this.#owner = await this.#start()
      while (done < most) {
        const scenario = this.#random.pick(SCENARIOS)
        const what = `${this.#what}, ${++this.#rounds}: ${scenario}`
        const before = this.#owner
        await this.#tally.try(what, () => this.#round(what, scenario))
        if (this.#owner !== before) done++
        // Nothing to go on with: what went wrong has been told.
        if (!this.#owner?.running) break
      }
      await this.#tally.try(`${this.#what}, files`, () => this.#checkFiles())
    } finally {
      for (const one of [this.#owner, this.#successor]) if (one?.running) await one.end('SIGKILL')
      this.#evidence.stop()
      rmSync(this.#folder, { recursive: true, force: true })
    }
    return Math.max(done, 1)
  }

  #start(watch = !this.#random.chance(0.1)) {
    return StoreProcess.start({ ...this.#options, watch })
  }

  async #round(what, scenario) {
    const random = this.#random
    this.#successor ??= await this.#start()
    const third = scenario === 'two successors' ? await this.#start() : undefined
    const [owner, successor] = [this.#owner, this.#successor]
    const traffic = new Traffic(this.#books, random, owner, third ? undefined : successor, {
      round: this.#rounds,
      followed: () => this.#isFollowed(),
      missed: (sid) => this.#tally.fail('lost', `${what}: ${sid} was not there to be read`),
    })
    traffic.start()
    await wait(random.between(20, 400))
    const signal = scenario.startsWith('kill') || random.chance(0.5) ? 'SIGKILL' : 'SIGTERM'
    if (third) {
      await owner.end(signal)
      await this.#awaitOneOf([successor, third])
    } else if (scenario.endsWith('owner')) {
      owner.signal(scenario.startsWith('kill') ? 'SIGKILL' : 'SIGTERM')
      await owner.ended()
      await this.#awaitOneOf([successor])
    } else if (scenario === 'kill owner, then successor') {
      owner.signal('SIGKILL')
      await wait(random.pick([0, 5, 20, 60, 200, 700]))
      successor.signal('SIGKILL')
    } else if (scenario === 'term both') {
      owner.signal('SIGTERM')
      await wait(random.pick([0, 0, 5, 50]))
      successor.signal('SIGTERM')
    } else successor.signal(scenario.startsWith('kill') ? 'SIGKILL' : 'SIGTERM')
    await traffic.stop()
    for (const one of [owner, successor]) if (!one.running) await one.ended()
    await this.#goOn(what, third)
  }

  /** Finds out who is left, looks what is served, and makes that the next round's owner. */
  async #goOn(what, third) {
    const [owner, successor] = [this.#owner, this.#successor]
    const left = [owner, successor, third].filter((one) => one?.running)
    if (left.length === 0) left.push(await this.#start())
    const roles = await Promise.all(left.map((one) => one.role()))
    const now = left[roles.indexOf('owner')]
    this.#successor = left.find((one) => one !== now)
    this.#owner = now
    const owners = roles.filter((role) => role === 'owner').length
    if (!this.#tally.require(owners === 1, `${what}: ${owners} of ${left.length} own the file`))
      return
    await this.#books.check(this.#tally, what, now, (operation) =>
      this.#holds(operation, owner, successor, now),
    )
    if (third) await this.#alike(what, now, this.#successor)
    for (const one of left) {
      this.#tally.require(one.errors.length === 0, `${what}: told ${one.errors}`)
    }
    if (successor.endedBy === 'SIGTERM' && successor.ownerSince === 0 && !third) {
      const told = successor.errors.includes('ERR_OWNED')
      this.#tally.require(told, `${what}: closed unsaved changes without a word`)
    }
  }

  /** Whether an operation must be seen by the process that owns the file now. */
  #holds({ by, followed, answered }, owner, successor, now) {
    if (by === now) return answered < Infinity
    // Changes of one that waits are in its memory until it is its turn; nobody else knows of them.
    if (by === successor && now === owner) return undefined
    if (by === successor) {
      const { ownerSince, killedAt, errors } = by
      const closed = !this.#killed(by) && ownerSince > 0 && errors.length === 0
      if (closed) return answered < Infinity
      if (ownerSince === 0 || answered < ownerSince) return false
      return this.#lasts(by, followed, answered, killedAt)
    }
    if (!this.#killed(by)) return answered < Infinity
    return this.#lasts(by, followed, answered, by.killedAt)
  }

  #killed(one) {
    return one.endedBy === 'SIGKILL'
  }

  /** What a kill does not take. */
  #lasts(by, followed, answered, killedAt) {
    const { durability } = this.#options
    if (durability === 'always') return answered < Infinity
    if (durability === 'everysec')
      return followed ? answered < Infinity : answered < killedAt - LAST_SECOND
    // In the last snapshot is what was answered before the one before it was finished.
    return answered < (by.snapshots.at(-2) ?? 0)
  }

  /** Whether the owner's lease names a successor: from then on it writes before it answers. */
  #isFollowed() {
    const { snapshotPath, durability } = this.#options
    if (durability === 'snapshot') return false
    const prefix = `${basename(snapshotPath)}.lease-`
    try {
      const lease = readdirSync(dirname(snapshotPath))
        .filter((one) => one.startsWith(prefix) && /^\d+$/.test(one.slice(prefix.length)))
        .sort((a, b) => Number(b.slice(prefix.length)) - Number(a.slice(prefix.length)))[0]
      const { pid, successors } = JSON.parse(
        readFileSync(join(dirname(snapshotPath), lease), 'utf8'),
      )
      return pid === this.#owner.pid && successors.length > 0
    } catch {
      return false
    }
  }

  async #awaitOneOf(waiting) {
    const until = performance.now() + PATIENCE
    for (;;) {
      const roles = await Promise.all(waiting.map((one) => one.role()))
      if (roles.includes('owner')) return
      if (performance.now() > until) throw new Error(`nobody took over: ${roles}`)
      await wait(10)
    }
  }

  /** Two that were there all the time serve the same. */
  async #alike(what, now, other) {
    const served = await Promise.all([now.call('all'), other.call('all')])
    const [one, two] = served.map((all) => JSON.stringify(Object.entries(all).sort()))
    this.#tally.require(one === two, `${what}: the one that waits serves something else`)
  }

  async #checkFiles() {
    this.#evidence.stop()
    const files = await this.#evidence.files()
    const terms = new Set(files.map(({ term }) => term))
    this.#tally.require(terms.size > 1, `${this.#what}: the files tell of ${terms.size} writer`)
    for (const problem of twoWriters(files)) this.#tally.fail('wrong', `${this.#what}: ${problem}`)
  }
}

/** Visitors of both processes, each with one request at a time. */
class Traffic {
  #books
  #random
  #owner
  #successor
  #round
  #followed
  #missed
  #going = true
  #running = []

  constructor(books, random, owner, successor, { round, followed, missed }) {
    this.#books = books
    this.#random = random
    this.#owner = owner
    this.#successor = successor
    this.#round = round
    this.#followed = followed
    this.#missed = missed
  }

  start() {
    for (let i = 0; i < SIDS; i++) this.#running.push(this.#stay(this.#owner, `o${i}`))
    if (!this.#successor) return
    for (let i = 0; i < SIDS; i++) this.#running.push(this.#stay(this.#successor, `s${i}`))
    for (let i = 0; i < SIDS; i++) this.#running.push(this.#move(`m${i}`))
    for (let i = 0; i < SIDS / 2; i++) this.#running.push(this.#leave(`r${this.#round}-${i}`))
  }

  async stop() {
    this.#going = false
    await Promise.all(this.#running)
  }

  /** Uses one session in one process, until that ends. */
  async #stay(process, sid) {
    while (this.#going && process.running) await this.#use(process, sid)
  }

  /** Uses a session in the owner, then in the successor, as its visitor is moved over. */
  async #move(sid) {
    const steps = this.#random.between(1, 12)
    for (let step = 0; step < steps && this.#going && this.#owner.running; step++) {
      await this.#use(this.#owner, sid)
    }
    if (!this.#going || !this.#owner.running) return
    const followed = this.#followed()
    await this.#books.change(this.#owner, sid, false, { followed })
    const expected = this.#books.last(sid)
    const read = this.#successor.call('get', sid).catch(() => undefined)
    const session = await read
    // Written before it was answered, looked for before it is read.
    const durable = followed && this.#owner.running && this.#successor.running
    if (durable && session?.version !== expected) this.#missed(sid)
    while (this.#going && this.#successor.running) await this.#use(this.#successor, sid)
  }

  /** Logs out in the successor, while the owner still has requests with the session. */
  async #leave(sid) {
    await this.#books.change(this.#owner, sid, false, { followed: this.#followed() })
    if (!this.#successor.running) return
    await this.#books.change(this.#successor, sid, true, { overrules: true })
    for (let i = 0; i < 3 && this.#owner.running; i++) {
      await wait(this.#random.below(20))
      await this.#books.change(this.#owner, sid, false, { followed: this.#followed() })
    }
  }

  async #use(process, sid) {
    const followed = process === this.#owner && this.#followed()
    await this.#books.change(process, sid, this.#random.chance(0.2), { followed })
    if (this.#random.chance(0.5)) await wait(this.#random.below(30))
  }
}
