/**
 * A session's data ⇄ the text that the user's own functions make of it.
 *
 * In comes a session as the user left it; out goes its text in UTF-8, and back. Never hands `cookie`,
 * `id` or `req` to those functions, never quotes a session's contents in an error.
 */
import { encodeError, type SessionCodec, sessionSeen, undecodable } from './codec.js'
import { dataKeys } from './shapes.js'
import { type Span, spanOf } from './span.js'

/** The user's own functions, as options.ts types them for users. */
interface Serializer {
  stringify(session: object): string
  parse(text: string): object
}

/**
 * An encoding by the user's `serializer`, which is handed the session's data without `cookie`, `id`
 * and `req`. A body is its text in UTF-8; there are no shared structures.
 */
export class SerializerCodec implements SessionCodec {
  readonly structures: readonly (readonly string[])[] = []
  frozen = false
  readonly #serializer: Serializer

  constructor(serializer: Serializer) {
    this.#serializer = serializer
  }

  /** @throws what `stringify` throws; TypeError `ERR_SESSION_ENCODE` if it returns no string */
  encode(session: object): Span {
    const text: unknown = this.#serializer.stringify(dataOf(session))
    if (typeof text !== 'string') {
      throw encodeError(`Expected \`serializer.stringify\` to return a string, got ${typeof text}`)
    }
    return spanOf(Buffer.from(text, 'utf8'))
  }

  /**
   * What `parse` returns, with the cookie; a copy of it where that can't be changed.
   *
   * @throws StoreError `ERR_SESSION_DECODE` if `parse` throws or returns no object
   */
  decode({ bytes, start, end }: Span, cookie?: object): Record<string, unknown> {
    try {
      const value: unknown = this.#serializer.parse(bytes.toString('utf8', start, end))
      if (isSession(value)) return cookie ? withCookie(value, cookie) : value
    } catch {
      // The error underneath may quote the session.
    }
    throw undecodable()
  }

  /** Bodies need no structures: true for an empty list. */
  adopt(structures: readonly (readonly string[])[]): boolean {
    return structures.length === 0
  }
}

/** Of whatever class or realm, since the app has made it; but nothing that it has yet to wait for. */
function isSession(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return !(value instanceof Promise)
}

function withCookie(session: Record<string, unknown>, cookie: object): Record<string, unknown> {
  try {
    session['cookie'] = cookie
    return session
  } catch {
    // It is frozen, say.
    return { ...session, cookie }
  }
}

/** What of a session is kept, in an object of its own. */
function dataOf(session: object): Record<string, unknown> {
  const seen = sessionSeen(session)
  return Object.fromEntries(
    dataKeys(seen).map((key) => [key, (seen as Record<string, unknown>)[key]]),
  )
}
