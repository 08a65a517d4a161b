/** Bodies as text, a character a byte, which tests compare, keep and spoil more easily than bytes. */
import { sidRoom, writeSid } from '../../src/core/sid-text.js'
import { type Span, spanOf } from '../../src/core/span.js'

export const bodyOf = (text: string): Span => spanOf(Buffer.from(text, 'latin1'))

/** A sid and a body as the table has them, somewhere in a buffer. */
export function cellOf(sid: string, body = ''): Span {
  const start = 3
  const before = start + sidRoom(sid)
  const bytes = Buffer.alloc(before + body.length + 1, 0xff)
  writeSid(bytes, start, sid)
  bytes.write(body, before, 'latin1')
  return { bytes, start, end: before + body.length }
}

export const textOf = ({ bytes, start, end }: Span): string => bytes.toString('latin1', start, end)
