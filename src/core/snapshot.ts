/**
 * Entries → one complete snapshot, frame by frame.
 *
 * In come the table, the removals and the structures as they are at each step; out go buffers of
 * about 64 KiB, each made in one go, so that whoever asks for the next may pause as long as it
 * likes in between. What changes meanwhile is asked for at the end. Never touches a file.
 */
import type { Changed } from './changes.js'
import { plain } from './msgpack.js'
import { emptyFields, FRAME_TARGET, FrameKind, MalformedError } from './format.js'
import type { FrameEncoder } from './frames.js'
import { RecordWriter } from './record-writer.js'
import type { Table } from './table.js'
import type { Tombstones } from './tombstones.js'

/** Slots looked at before an empty chunk is handed out, so that a sparse table cannot hold the loop. */
const SCAN_AT_ONCE = 32_768

/** What a snapshot is made of. */
export interface SnapshotSource {
  table: Table
  tombstones: Tombstones
  /** Removals that can matter no more by then, epoch ms, are forgotten and not written. */
  now: number
  /** Grows while the snapshot is written; is asked again for every frame. */
  structures(): readonly (readonly string[])[]
  /** What changed since the last call or the start; undefined where a journal has it. */
  changes: (() => Changed) | undefined
}

/** What the footer says. */
export interface SnapshotFooter {
  sessions: number
  removals: number
  /** The sequence number of the first frame behind the walk of the entries. */
  tailFrom: number
}

/** Rounds of changes behind the entries; each is smaller than the one before. */
const TAIL_ROUNDS = 4

/**
 * Makes the chunks of a snapshot, each of which holds until the next one is asked for. An empty
 * chunk is an invitation to pause.
 */
export function* snapshotChunks(
  source: SnapshotSource,
  encoder: FrameEncoder,
): Generator<Buffer, SnapshotFooter, void> {
  const { table, tombstones } = source
  const writer = new RecordWriter()
  const fields = emptyFields()
  // A buffer for each frame of a million sessions would have the collector come again and again.
  const room = Buffer.allocUnsafeSlow(FRAME_TARGET * 2)
  let sessions = 0
  let removals = 0
  let defined = 0

  const close = (kind: FrameKind) => {
    const frame = encoder.frame(kind, writer.payload(), room)
    writer.reset()
    return frame
  }
  const define = (from: number) => {
    const structures = source.structures()
    for (let id = from; id < structures.length; id++) writer.structure(id, structures[id]!)
    defined = structures.length
    writer.needs(defined)
  }
  const putEntry = (slot: number) => {
    // Structures may have been made since the frame was begun.
    if (writer.length === 0 || source.structures().length > defined) define(defined)
    table.read(slot, fields)
    writer.entry(fields, table.packedSid(slot), table.cell(slot))
    sessions++
  }

  yield encoder.head()

  // Perhaps nobody else prunes, and each would be in all files to come.
  const pruning = tombstones.prune(source.now)
  while (!pruning.next().done) yield EMPTY

  const { cleared } = tombstones
  if (cleared > 0) {
    writer.clear(cleared)
    removals++
  }
  for (const [sid, { stamp, until }] of tombstones.entries()) {
    writer.removal(sid, stamp, until)
    removals++
    if (writer.length >= FRAME_TARGET) yield close(FrameKind.removals)
  }
  if (writer.length > 0) yield close(FrameKind.removals)
  define(0)
  yield close(FrameKind.records)

  for (let slot = 0; slot < table.slots; slot++) {
    if (table.has(slot)) putEntry(slot)
    if (writer.length >= FRAME_TARGET) yield close(FrameKind.records)
    else if (slot % SCAN_AT_ONCE === SCAN_AT_ONCE - 1) yield EMPTY
  }
  if (writer.length > 0) yield close(FrameKind.records)

  const tailFrom = encoder.sequence
  for (let round = 0; source.changes && round < TAIL_ROUNDS; round++) {
    const { slots, sids } = source.changes()
    if (tombstones.cleared > cleared) writer.clear(tombstones.cleared)
    else if (slots.length === 0 && sids.length === 0) break
    for (const sid of sids) {
      const removal = tombstones.get(sid)
      if (table.find(sid) >= 0 || !removal) continue
      writer.removal(sid, removal.stamp, removal.until)
      removals++
      if (writer.length >= FRAME_TARGET) yield close(FrameKind.removals)
    }
    if (writer.length > 0) yield close(FrameKind.removals)
    for (const slot of slots) {
      // Whoever is there by now: what has come since is told again, what has gone is not told.
      if (table.has(slot)) putEntry(slot)
      if (writer.length >= FRAME_TARGET) yield close(FrameKind.records)
    }
    if (writer.length > 0) yield close(FrameKind.records)
  }

  // The structures once more: without them no body could be read, so one torn sector must not do.
  define(0)
  yield close(FrameKind.records)
  const footer = { sessions, removals, tailFrom }
  yield encoder.frame(FrameKind.footer, Buffer.from(plain.pack(footer)))
  return footer
}

/** Reads a footer's payload; throws MalformedError. */
export function decodeFooter(payload: Buffer): SnapshotFooter {
  let footer: Partial<Record<keyof SnapshotFooter, unknown>>
  try {
    footer = Object(plain.unpack(payload)) as typeof footer
  } catch {
    throw new MalformedError('Expected a footer')
  }
  const { sessions, removals, tailFrom } = footer
  if (![sessions, removals, tailFrom].every(Number.isSafeInteger)) {
    throw new MalformedError('Expected a footer')
  }
  return { sessions, removals, tailFrom } as SnapshotFooter
}

const EMPTY = Buffer.alloc(0)
