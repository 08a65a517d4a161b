/**
 * Visitors of an owner and its successor, each with one request at a time: who stays with a process,
 * who is moved from one to the other as a balancer does, who logs out in one while the other still
 * has requests of theirs. Who has logged out logs in with a new id, as web frameworks see to it.
 * What they asked and were answered goes into the books.
 */
import { setTimeout as wait } from 'node:timers/promises'

const SIDS = 12

/** Visitors of both processes; of the owner alone where there is no successor. */
export class Traffic {
  #books
  #random
  #owner
  #successor
  #round
  #visitors
  #followed
  #missed
  #going = true
  #running = []

  /** @param {{ visitors: Map<string, number> }} context how often each visitor has logged out */
  constructor(books, random, owner, successor, { round, visitors, followed, missed }) {
    this.#books = books
    this.#random = random
    this.#owner = owner
    this.#successor = successor
    this.#round = round
    this.#visitors = visitors
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

  /** Visits one process, until that ends. */
  async #stay(process, visitor) {
    while (this.#going && process.running) await this.#use(process, visitor)
  }

  /** Visits the owner, then the successor. */
  async #move(visitor) {
    const steps = this.#random.between(1, 12)
    for (let step = 0; step < steps && this.#going && this.#owner.running; step++) {
      await this.#use(this.#owner, visitor)
    }
    if (!this.#going || !this.#owner.running) return
    const followed = this.#followed()
    const sid = this.#sid(visitor)
    await this.#books.change(this.#owner, sid, false, { followed })
    const expected = this.#books.last(sid)
    const read = this.#successor.call('get', sid).catch(() => undefined)
    const session = await read
    // Written before it was answered, looked for before it is read.
    const durable = followed && this.#owner.running && this.#successor.running
    if (durable && session?.version !== expected) this.#missed(sid)
    while (this.#going && this.#successor.running) await this.#use(this.#successor, visitor)
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

  async #use(process, visitor) {
    const followed = process === this.#owner && this.#followed()
    const leaves = this.#random.chance(0.2)
    await this.#books.change(process, this.#sid(visitor), leaves, { followed })
    if (leaves) this.#visitors.set(visitor, (this.#visitors.get(visitor) ?? 0) + 1)
    if (this.#random.chance(0.5)) await wait(this.#random.below(30))
  }

  #sid(visitor) {
    return `${visitor}.${this.#visitors.get(visitor) ?? 0}`
  }
}
