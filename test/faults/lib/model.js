/**
 * What a store ought to do, as simply as it can be said: a Map in the order of use.
 */
import { inspect } from 'node:util'

export class ModelStore {
  /** sid → session and expiry, least recently used first. */
  #entries = new Map()
  #max
  #ttl

  /** @param {{ max: number, ttl: number }} limits sessions, 0: any number; ms */
  constructor({ max, ttl }) {
    this.#max = max
    this.#ttl = ttl
  }

  set(sid, session, now) {
    const expires = this.#expiry(session.cookie, now)
    this.#entries.delete(sid)
    if (expires <= now) return
    this.#entries.set(sid, { session, expires })
    if (this.#max > 0 && this.#entries.size > this.#max) {
      this.#entries.delete(this.#entries.keys().next().value)
    }
  }

  touch(sid, { cookie }, now) {
    const entry = this.#entries.get(sid)
    if (!entry) return
    const expires = this.#expiry(cookie, now)
    this.#entries.delete(sid)
    if (entry.expires <= now || expires <= now) return
    const session = { ...entry.session, ...(cookie ? { cookie } : {}) }
    if (!cookie) delete session.cookie
    this.#entries.set(sid, { session, expires })
  }

  /** A use; what has expired is gone by it. */
  get(sid, now) {
    const entry = this.#entries.get(sid)
    if (!entry) return undefined
    this.#entries.delete(sid)
    if (entry.expires <= now) return undefined
    this.#entries.set(sid, entry)
    return entry.session
  }

  destroy(sid) {
    this.#entries.delete(sid)
  }

  clear() {
    this.#entries.clear()
  }

  prune(now) {
    for (const [sid, { expires }] of this.#entries) {
      if (expires <= now) this.#entries.delete(sid)
    }
  }

  /** What is alive, sid → session as text. */
  shown(now) {
    const alive = [...this.#entries].filter(([, { expires }]) => expires > now)
    return new Map(alive.map(([sid, { session }]) => [sid, show(session)]))
  }

  #expiry(cookie, now) {
    const own = cookie?.expires === undefined ? Infinity : Date.parse(cookie.expires)
    return Math.min(own, now + this.#ttl)
  }
}

/** A session as text that tells everything apart, the order of its keys aside. */
export function show(session) {
  const { cookie, ...data } = session
  return inspect([cookie, data], {
    depth: Infinity,
    sorted: true,
    maxArrayLength: Infinity,
    maxStringLength: Infinity,
  })
}
