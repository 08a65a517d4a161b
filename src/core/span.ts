/** Bytes where they lie, in a buffer that holds others too. */
export interface Span {
  bytes: Buffer
  start: number
  end: number
}

export function spanOf(bytes: Buffer): Span {
  return { bytes, start: 0, end: bytes.length }
}

export function lengthOf({ start, end }: Span): number {
  return end - start
}

/** The same bytes in a buffer of their own. */
export function copyOf({ bytes, start, end }: Span): Span {
  return spanOf(Buffer.from(bytes.subarray(start, end)))
}

export function sameBytes(a: Span, b: Span): boolean {
  return a.bytes.compare(b.bytes, b.start, b.end, a.start, a.end) === 0
}
