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
import { Traffic } from '../lib/handover-traffic.js'
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
/** How long after the owner the successor gets its signal, ms. */
const THEN = [0, 0, 5, 20, 60, 200, 700]

/**
 * Which signal each gets, the owner first. `third`: another one waits; `starts`: a new one starts
 * while the owner ends.
 */
const SCENARIOS = [
  ...Array(4).fill({ owner: 'SIGTERM' }),
  ...Array(5).fill({ owner: 'SIGKILL' }),
  ...Array(2).fill({ owner: 'SIGTERM', starts: true }),
  ...Array(2).fill({ owner: 'SIGKILL', starts: true }),
  ...Array(3).fill({ owner: 'SIGKILL', successor: 'SIGKILL' }),
  ...Array(2).fill({ owner: 'SIGTERM', successor: 'SIGKILL' }),
  ...Array(2).fill({ owner: 'SIGTERM', successor: 'SIGTERM' }),
  { owner: 'SIGKILL', successor: 'SIGTERM' },
  { owner: 'SIGTERM', third: true },
  { owner: 'SIGKILL', third: true },
  { successor: 'SIGKILL' },
  { successor: 'SIGTERM' },
]

export async function run(count, seed) {
  const tally = new Tally(name)
  const random = new Random(seed)
  const slowest = { ms: 0 }
  let done = 0
  let files = 0
  for (let folder = 0; done < count; folder++) {
    const durability = DURABILITIES[folder % DURABILITIES.length]
    const chain = new Chain(tally, random, durability, folder, slowest)
    const most = Math.min(IN_A_FOLDER, count - done)
    done += await chain.run(most)
    files += chain.files
  }
  tally.notes.push(
    `${done} hand-overs, ${files} files read for who wrote them; the slowest took ${slowest.ms} ms`,
  )
  return tally
}

/** Processes on one folder, one after the other. */
class Chain {
  /** Files that tell who wrote them. */
  files = 0
  #tally
  #random
  #options
  #folder
  #what
  #slowest
  #books = new Books()
  #visitors = new Map()
  /** When what was looked at last is on disk, so that no kill after that may take it. */
  #settled = Promise.resolve()
  #evidence
  #owner
  #successor
  #rounds = 0

  constructor(tally, random, durability, number, slowest) {
    this.#tally = tally
    this.#random = random
    this.#slowest = slowest
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
        const what = `${this.#what}, ${++this.#rounds}: ${JSON.stringify(scenario)}`
        const before = this.#owner
        await this.#tally.try(what, () => this.#round(what, scenario))
        if (this.#owner !== before) done++
        // Nothing to go on with: what went wrong has been told.
        if (!this.#owner?.running) break
      }
      await this.#tally.try(`${this.#what}, restart`, () => this.#restart())
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
    const [owner, waits] = [this.#owner, !scenario.starts || this.#successor !== undefined]
    if (waits) this.#successor ??= await this.#start()
    const third = scenario.third ? await this.#start() : undefined
    await this.#settled
    const inUse = scenario.third || scenario.starts ? undefined : this.#successor
    const traffic = new Traffic(this.#books, random, owner, inUse, {
      round: this.#rounds,
      visitors: this.#visitors,
      followed: () => this.#isFollowed(),
      missed: (sid) => this.#tally.fail('lost', `${what}: ${sid} was not there to be read`),
    })
    traffic.start()
    await wait(random.between(20, 400))
    const starting = waits ? undefined : this.#start()
    if (starting) await wait(random.between(0, 600))
    if (scenario.owner) owner.signal(scenario.owner)
    if (scenario.owner && scenario.successor) await wait(random.pick(THEN))
    if (scenario.successor) this.#successor.signal(scenario.successor)
    if (starting) this.#successor = await starting
    if (scenario.owner) await owner.ended()
    const waiting = [this.#successor, third].filter((one) => one?.running)
    if (!owner.running && waiting.length > 0) await this.#awaitOneOf(waiting)
    await traffic.stop()
    for (const one of [owner, this.#successor]) if (!one.running) await one.ended()
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
    // Of whoever ended before its turn, by the time the books are closed.
    const silenced = successor.endedBy === 'SIGTERM' && successor.ownerSince === 0
    const changed = this.#books.changedBy(successor)
    await this.#books.check(this.#tally, what, now, (operation) =>
      this.#holds(operation, owner, successor, now),
    )
    // Goes on while the next successor starts.
    this.#settled = now.call('flush')
    this.#settled.catch(() => {})
    if (third) await this.#alike(what, now, this.#successor)
    for (const one of left) {
      this.#tally.require(one.errors.length === 0, `${what}: told ${one.errors}`)
    }
    if (silenced && changed) {
      const told = successor.errors.includes('ERR_OWNED')
      this.#tally.require(told, `${what}: closed unsaved changes without a word`)
    }
  }

  /** Whether an operation must be seen by the process that owns the file now. */
  #holds({ by, followed, asOwner, answered }, owner, successor, now) {
    if (by === now) return answered < Infinity
    // Changes of one that waits are in its memory until it is its turn; nobody else knows of them.
    if (by === successor && now === owner) return undefined
    if (by === successor) {
      const { ownerSince, killedAt, merged, errors } = by
      const closed = !this.#killed(by) && ownerSince > 0 && errors.length === 0
      if (closed) return answered < Infinity
      if (ownerSince === 0) return false
      // What it answered while it waited is in the generation it began with.
      if (!asOwner) return merged && answered < ownerSince
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
    const began = performance.now()
    for (;;) {
      const roles = await Promise.all(waiting.map((one) => one.role()))
      const ms = Math.round(performance.now() - began)
      if (roles.includes('owner')) {
        this.#slowest.ms = Math.max(this.#slowest.ms, ms)
        return
      }
      if (ms > PATIENCE) throw new Error(`nobody took over: ${roles}`)
      await wait(10)
    }
  }

  /** Two that were there all the time serve the same. */
  async #alike(what, now, other) {
    const served = await Promise.all([now.call('all'), other.call('all')])
    const [one, two] = served.map((all) => JSON.stringify(Object.entries(all).sort()))
    this.#tally.require(one === two, `${what}: the one that waits serves something else`)
  }

  /** What was served is what is on disk after a clean stop. */
  async #restart() {
    if (!this.#owner?.running) return
    if (this.#successor?.running) await this.#successor.end('SIGKILL')
    await this.#owner.end('SIGTERM')
    this.#owner = await this.#start()
    await this.#books.check(this.#tally, `${this.#what}, restart`, this.#owner, () => true)
  }

  async #checkFiles() {
    this.#evidence.stop()
    const files = await this.#evidence.files()
    this.files = files.length
    const terms = new Set(files.map(({ term }) => term))
    this.#tally.require(terms.size > 1, `${this.#what}: the files tell of ${terms.size} writer`)
    for (const problem of twoWriters(files)) this.#tally.fail('wrong', `${this.#what}: ${problem}`)
  }
}
