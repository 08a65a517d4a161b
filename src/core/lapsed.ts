/**
 * Sessions that have ended here by their expiry while another process owned the files.
 *
 * That one may have prolonged a session in the last moment, by a touch that is still to be read; and
 * a touch does not tell what the session holds. So that is kept for a while. No I/O, no clock.
 */
import { emptyFields, type EntryRecord } from './format.js'
import { copyOf, lengthOf, type Span } from './span.js'
import type { Table } from './table.js'

/** For so long, in ms: an owner keeps a touch to itself for a minute at most (journaling.ts). */
const KEPT = 65_000
/** So much of them at most, in bytes; those that were added first go first. */
const KEPT_MOST = 16 * 1024 * 1024

/** What an entry was. */
export interface Lapse {
  record: EntryRecord
  body: Span
}

export class Lapsed {
  readonly #lapses = new Map<string, Lapse>()
  #bytes = 0

  /** Keeps the entry in `slot`, which has expired and is about to leave the table. */
  add(table: Table, slot: number, now: number): void {
    if (table.expires(slot) + KEPT <= now) return
    const record = { sid: table.sid(slot), ...emptyFields() }
    table.read(slot, record)
    const body = copyOf(table.body(slot))
    this.delete(record.sid)
    this.#lapses.set(record.sid, { record, body })
    this.#bytes += lengthOf(body)
    for (const [sid, { record: oldest }] of this.#lapses) {
      if (this.#bytes <= KEPT_MOST && oldest.expires + KEPT > now) break
      this.delete(sid)
    }
  }

  get(sid: string): Lapse | undefined {
    return this.#lapses.get(sid)
  }

  delete(sid: string): void {
    const lapse = this.#lapses.get(sid)
    if (!lapse) return
    this.#bytes -= lengthOf(lapse.body)
    this.#lapses.delete(sid)
  }

  clear(): void {
    this.#lapses.clear()
    this.#bytes = 0
  }
}
