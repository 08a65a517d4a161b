/** Bodies as text, a character a byte, which tests compare, keep and spoil more easily than bytes. */
import { SidKey } from '../../src/core/sid-key.js'
import { sidRoom, writeSid } from '../../src/core/sid-text.js'
import { type Span, spanOf } from '../../src/core/span.js'

export const bodyOf = (text: string): Span => spanOf(Buffer.from(text, 'latin1'))

/** A sid and a body as the table has them, somewhere in a buffer: packed or not, and the cell. */
export function placesOf(sid: string, body = ''): [packed: Span | undefined, cell: Span] {
  const start = 3
  const { packed, words } = new SidKey().read(sid)
  const before = start + (packed ? 0 : sidRoom(sid))
  const bytes = Buffer.alloc(before + body.length + 1, 0xff)
  if (!packed) writeSid(bytes, start, sid)
  bytes.write(body, before, 'latin1')
  const cell = { bytes, start, end: before + body.length }
  return [packed ? spanOf(Buffer.from(words.buffer)) : undefined, cell]
}

export const textOf = ({ bytes, start, end }: Span): string => bytes.toString('latin1', start, end)
