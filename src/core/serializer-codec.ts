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

  /** @throws StoreError `ERR_SESSION_DECODE` if `parse` throws or returns no object */
  decode({ bytes, start, end }: Span, cookie?: object): Record<string, unknown> {
    let value: unknown
    try {
      value = this.#serializer.parse(bytes.toString('utf8', start, end))
    } catch {
      // The error underneath may quote the session.
      throw undecodable()
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw undecodable()
    if (Object.getPrototypeOf(value) !== Object.prototype) throw undecodable()
    const session = value as Record<string, unknown>
    if (cookie) session['cookie'] = cookie
    return session
  }

  /** Bodies need no structures: true for an empty list. */
  adopt(structures: readonly (readonly string[])[]): boolean {
    return structures.length === 0
  }
}

/** What of a session is kept, in an object of its own. */
function dataOf(session: object): Record<string, unknown> {
  const seen = sessionSeen(session)
  return Object.fromEntries(
    dataKeys(seen).map((key) => [key, (seen as Record<string, unknown>)[key]]),
  )
}
