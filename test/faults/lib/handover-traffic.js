/**
 * Visitors of an owner and its successor, each with one request at a time: who stays with a process,
 * who is moved from one to the other as a balancer does, who logs out in one while the other still
 * has requests of theirs. What they asked and were answered goes into the books.
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
