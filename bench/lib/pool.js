/**
 * Sessions made beforehand, so that making them isn't measured. A session that is set again keeps its
 * kind and gets other values; the cookie of a request keeps its attributes and lasts anew. All of them
 * expire at one moment, which moves on with time: no request brings the end of a session forward.
 */

const day = 24 * 3600 * 1000

export class Pool {
  #sessions
  #kinds
  #expires = new Date(Date.now() + day)

  /**
   * @param {import('./sessions.js').SessionSource} source
   * @param {number} size made a multiple of the number of kinds
   */
  constructor(source, size) {
    this.source = source
    this.#kinds = source.shapes.length
    const length = Math.ceil(size / this.#kinds) * this.#kinds
    this.#sessions = Array.from({ length }, (_, n) => source.session(n, 1))
    for (const { cookie } of this.#sessions) this.#share(cookie)
  }

  /** From now on all cookies last a day. */
  renew() {
    this.#expires.setTime(Date.now() + day)
  }

  /**
   * @param {number} number which session is to be set
   * @param {number} turn other values for another turn
   */
  session(number, turn) {
    return this.#sessions[(number + turn * this.#kinds) % this.#sessions.length]
  }

  /** @param {number} number whose session @returns {any} its cookie as a request leaves it */
  cookie(number) {
    return this.#share(this.source.cookie(number))
  }

  /** @param {any} cookie @returns {any} the same, with the moment that all share */
  #share(cookie) {
    if (!cookie.expires) return cookie
    const { originalMaxAge } = cookie
    // This sets the other one to what is left of it.
    cookie.expires = this.#expires
    cookie.originalMaxAge = originalMaxAge
    return cookie
  }
}
