/**
 * Makes what a store is handed in real life: express-session's `Session` with its `Cookie`, as
 * `createSession` builds them, from the payload files of the repository, with ids of 24 random bytes.
 * Session number n has the same id and the same values in every process and in every system.
 * The mix is one of each payload in turn, `large-report` excepted.
 */
import { readFileSync, readdirSync } from 'node:fs'
import session from 'express-session'
import { Random } from './random.js'
import { vary } from './variation.js'

const folder = new URL('../../fixtures/payloads/', import.meta.url)
const day = 24 * 3600 * 1000
const random = new Random()

/** @typedef {{ make: import('./variation.js').Make, cookie: any }} Shape */

/** @param {string} name @returns {any} the payload as it was parsed */
export function payload(name) {
  return JSON.parse(readFileSync(new URL(`${name}.json`, folder), 'utf8'))
}

/** @param {any} template @returns {Shape} */
export function shapeOf({ cookie, ...data }) {
  return { make: vary(data), cookie }
}

/** @returns {Shape[]} one of each payload, `large-report` excepted */
export function mix() {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json') && file !== 'large-report.json')
    .sort()
    .map((file) => shapeOf(payload(file.slice(0, -'.json'.length))))
}

/** @param {number} n @returns {string} a new string, also for an id made before */
export function sessionId(n) {
  random.reseed(n, 7)
  return random.token(32)
}

/**
 * @param {Shape} shape
 * @param {string} sid
 * @param {number} n which session
 * @param {number} [revision] other values for the same session
 */
function createSession(shape, sid, n, revision = 0) {
  random.reseed(n, 1000 + revision)
  const data = { cookie: cookieOf(shape), ...shape.make(random) }
  return session.Store.prototype.createSession(/** @type {any} */ ({ sessionID: sid }), data)
}

/** @param {Shape} shape */
function cookieOf({ cookie }) {
  return { ...cookie, expires: cookie.expires === null ? null : new Date(Date.now() + day) }
}

/**
 * @param {Date | null} expires
 * @param {any} [attributes]
 * @returns {any} a cookie as express-session hands it to a store
 */
export function freshCookie(expires, attributes) {
  const cookie = Reflect.construct(session.Cookie, [attributes])
  cookie.originalMaxAge = expires === null ? null : expires.getTime() - Date.now()
  cookie.expires = expires
  return cookie
}

/** Sessions in number order, shape after shape. */
export class SessionSource {
  /** @param {Shape[]} [shapes] */
  constructor(shapes = mix()) {
    this.shapes = shapes
  }

  /** @param {number} n @param {number} [revision] @param {string} [sid] */
  session(n, revision, sid = sessionId(n)) {
    return createSession(this.#shape(n), sid, n, revision)
  }

  /** @param {number} n whose session @returns {any} its cookie, lasting anew */
  cookie(n) {
    const cookie = cookieOf(this.#shape(n))
    return freshCookie(cookie.expires, cookie)
  }

  /** @param {number} n */
  #shape(n) {
    return /** @type {Shape} */ (this.shapes[n % this.shapes.length])
  }
}
