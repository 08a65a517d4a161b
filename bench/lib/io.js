/** Bytes that this process has handed to the system to write. Linux tells; elsewhere it is unknown. */
import { readFileSync } from 'node:fs'

/** @returns {number} NaN where it can't be known */
export function bytesWritten() {
  try {
    return Number(/^wchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])
  } catch {
    return NaN
  }
}
