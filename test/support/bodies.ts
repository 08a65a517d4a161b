/** Bodies as text, a character a byte, which tests compare, keep and spoil more easily than bytes. */
import { type Span, spanOf } from '../../src/core/span.js'

export const bodyOf = (text: string): Span => spanOf(Buffer.from(text, 'latin1'))

export const textOf = ({ bytes, start, end }: Span): string => bytes.toString('latin1', start, end)
