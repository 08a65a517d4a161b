/**
 * What users do on a busy day: most requests read and touch a session, some change it, some log in
 * and some log out; every third session lives for half a minute only, unless it is used. What this
 * keeps of the users is bounded, so that whatever grows is the store's.
 */
import { performance } from 'node:perf_hooks'
import { Random } from './random.js'
import { SessionSource, freshCookie, sessionId } from './sessions.js'
import { fill } from './tasks.js'

const perSecond = 1000
const tick = 10
const shortLived = 30_000
const day = 86_400_000

export class SoakTraffic {
  counts = { logins: 0, logouts: 0, changes: 0, touches: 0, gone: 0 }
  /** Reads right after a logout that found a session. */
  resurrected = 0
  #random = new Random(5)
  #source = new SessionSource()
  #next
  #users
  #issued = 0
  #pending = 0
  /** Who has a request under way: one that ends after a logout would save the session anew. */
  #busy = new Set()
  #start = 0
  /** @type {NodeJS.Timeout | undefined} */
  #timer

  /** @param {any} store @param {{ max: number }} options */
  constructor(store, { max }) {
    this.store = store
    this.#next = max
    this.#users = Uint32Array.from({ length: max }, (_, n) => n)
  }

  async fill() {
    await fill({ store: this.store }, this.#source, 0, this.#users.length)
  }

  start() {
    this.#start = performance.now()
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - this.#start) * perSecond) / 1000)
      for (; this.#issued < due; this.#issued++) this.#request()
    }, tick)
  }

  async stop() {
    clearInterval(this.#timer)
    while (this.#pending > 0) await new Promise((resolve) => setImmediate(resolve))
  }

  #request() {
    const what = this.#random.below(100)
    const seat = this.#random.below(this.#users.length)
    const user = /** @type {number} */ (this.#users[seat])
    if (what < 10) this.#login(seat)
    else if (this.#busy.has(user)) return
    else if (what < 14) this.#logout(user)
    else this.#use(user, what < 25)
  }

  /** @param {number} seat whose user is forgotten for the new one */
  #login(seat) {
    const user = this.#next++
    const sid = sessionId(user)
    const session = this.#source.session(user, 0, sid)
    session.cookie = freshCookie(endOf(user))
    this.#users[seat] = user
    this.counts.logins++
    this.store.set(sid, session, this.#expect())
  }

  /** @param {number} user */
  #logout(user) {
    const sid = sessionId(user)
    const done = this.#expect(user)
    this.counts.logouts++
    this.store.destroy(sid, (/** @type {unknown} */ error) => {
      if (error) return done(error)
      this.store.get(sid, (/** @type {unknown} */ failure, /** @type {unknown} */ session) => {
        if (session) this.resurrected++
        done(failure)
      })
    })
  }

  /** @param {number} user @param {boolean} changes */
  #use(user, changes) {
    const sid = sessionId(user)
    const done = this.#expect(user)
    this.store.get(sid, (/** @type {unknown} */ error, /** @type {any} */ session) => {
      if (error || !session) {
        this.counts.gone++
        return done(error)
      }
      session.cookie = freshCookie(endOf(user))
      this.counts[changes ? 'changes' : 'touches']++
      if (!changes) return this.store.touch(sid, session, done)
      session.visits = (session.visits ?? 0) + 1
      this.store.set(sid, session, done)
    })
  }

  /** @param {number} [user] @returns {(error?: unknown) => void} */
  #expect(user) {
    this.#pending++
    if (user !== undefined) this.#busy.add(user)
    return (error) => {
      this.#pending--
      if (user !== undefined) this.#busy.delete(user)
      if (error) throw error
    }
  }
}

/** @param {number} user @returns {Date} when a session ends that is used now */
function endOf(user) {
  return new Date(Date.now() + (user % 3 === 0 ? shortLived : day))
}
