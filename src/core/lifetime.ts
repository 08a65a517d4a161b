/**
 * What a cookie and the `ttl` option say of a session's life. The earlier of the two holds where
 * both are known; with neither it is a day. Pure but for the clock it is handed.
 */
import { type Clock, LATEST_DATE } from './clock.js'
import type { CookieShape, CookieShapes } from './cookie.js'
import { withCode } from './errors.js'
import type { ResolvedOptions } from './options.js'

export const ONE_DAY = 86_400_000

/** The life of a session as one call found it. */
export interface Lifetime {
  cookie: CookieShape | undefined
  /** Epoch ms; NaN where the cookie names no moment. */
  cookieExpires: number
  /** Epoch ms. */
  expires: number
  /** When this was found, epoch ms. */
  now: number
}

export class Lifetimes {
  readonly #shapes: CookieShapes
  readonly #ttl: ResolvedOptions['ttl']
  readonly #clock: Clock

  constructor(shapes: CookieShapes, ttl: ResolvedOptions['ttl'], clock: Clock) {
    this.#shapes = shapes
    this.#ttl = ttl
    this.#clock = clock
  }

  /**
   * The life of a session from now on.
   *
   * @param near the cookie it had, if any
   * @throws TypeError `ERR_SESSION_ENCODE` for what is no session; what a `ttl` function throws
   */
  of(session: unknown, sid: string, near: CookieShape | undefined): Lifetime {
    if (typeof session !== 'object' || session === null) {
      const found = session === null ? 'null' : typeof session
      throw withCode(new TypeError(`Expected a session, got ${found}`), 'ERR_SESSION_ENCODE')
    }
    const { cookie: given } = session as { cookie?: unknown }
    const hasCookie = typeof given === 'object' && given !== null
    const shapes = this.#shapes
    const cookie = hasCookie ? shapes.of(given, near) : undefined
    const cookieExpires = hasCookie ? shapes.expires : NaN
    const maxAge = hasCookie ? shapes.maxAge : NaN
    const now = this.#clock.now()
    const ttl = this.#ttl
    const life = typeof ttl === 'function' ? ttl(session as never, sid) : ttl
    let expires = Number.isNaN(cookieExpires) ? now + maxAge : cookieExpires
    if (life !== null) expires = Number.isNaN(expires) ? now + life : Math.min(expires, now + life)
    if (Number.isNaN(expires)) expires = now + ONE_DAY
    return { cookie, cookieExpires, expires: Math.min(expires, LATEST_DATE), now }
  }
}
