/**
 * Sessions whose contents tell which one they are, and comparisons of what a store serves with
 * what it may serve.
 */
import { createHash } from 'node:crypto'

/** The session `sid` as version `version` of it. JSON-safe, of a few different shapes. */
export function sessionOf(sid, version, bytes = 0) {
  const mark = createHash('sha1').update(`${sid}/${version}`).digest('hex')
  const base = { sid, version, mark }
  const shaped = [
    base,
    { user: { id: version, name: sid }, ...base },
    { ...base, cart: [{ item: mark.slice(0, 4), count: version % 7 }], seen: true },
    { flash: {}, ...base, text: 'grün — 春' },
  ][version % 4]
  return bytes > 0
    ? { ...shaped, padding: mark.repeat(Math.ceil(bytes / 40)).slice(0, bytes) }
    : shaped
}

/** The version of a session as served; -1 for none, NaN for one that was never stored so. */
export function versionOf(sid, session, bytes = 0) {
  if (session === undefined || session === null) return -1
  const data = { ...session }
  delete data.cookie
  const { version } = data
  if (!Number.isInteger(version)) return NaN
  return JSON.stringify(data) === JSON.stringify(sessionOf(sid, version, bytes)) ? version : NaN
}
