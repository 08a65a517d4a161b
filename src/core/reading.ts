/**
 * Opened files → table, with a report on each.
 *
 * Reads the snapshot and the journals written since, in their order. Read carefully, because
 * something was damaged, structures are gathered from all files first, and the generation before
 * fills in what is missing, unless removals may have been lost with it. Changes no file.
 */
import type { CookieShapes } from './cookie.js'
import { FrameKind, type RecordSink } from './format.js'
import type { Damage, FramedFile, FrameScan } from './framed-file.js'
import { HEAD_LENGTH } from './frames.js'
import type { Inventory, OpenedFile } from './inventory.js'
import { Merge, type MergeTarget } from './merge.js'
import { journalPath } from './names.js'
import { RecordReader } from './records.js'
import { sameKeys } from './shapes.js'
import { decodeFooter, type SnapshotFooter } from './snapshot.js'

/** What became of one file. */
export interface FileReport {
  path: string
  kind: 'snapshot' | 'journal'
  /**
   * `torn`: only its end is missing, as a kill leaves a journal; `foreign`: of another store;
   * `missing`: the snapshot's journal is not there, and `path` ends in `…`.
   */
  state: 'whole' | 'torn' | 'damaged' | 'foreign' | 'missing'
  generation: number
  bytes: number
  /** Records read. */
  records: number
  /** Stretches that could not be read, in bytes from the start of the file. */
  damage: { offset: number; bytes: number }[]
  /** Where the damaged file, or the tail that was cut, has been copied to. */
  setAside?: string
}

/** How far journals have been read, by path. */
export type Positions = Map<string, { id: Buffer; offset: number; sequence: number }>

/** What reading needs. */
export interface ReadingContext {
  path: string
  shapes: CookieShapes
  target: MergeTarget
  now: number
}

/** What has been read, and what was found. */
export interface Reading {
  merge: Merge
  reports: FileReport[]
  damaged: number
  filledIn: boolean
  /** The generation before was there, and could not fill in: what was removed since may be lost. */
  refused: boolean
  positions: Positions
}

export function newReading({ target, now }: ReadingContext, careful: boolean): Reading {
  return {
    merge: new Merge(target, { now: () => now, olderFollow: careful }),
    reports: [],
    damaged: 0,
    filledIn: false,
    refused: false,
    positions: new Map(),
  }
}

/**
 * Reads the records of all files into the table.
 *
 * @param careful once more, because something was damaged: structures are gathered first, and the
 * generation before fills in
 */
export async function readAll(
  context: ReadingContext,
  opened: Inventory,
  careful: boolean,
): Promise<Reading> {
  const { target } = context
  const { snapshot, previous } = opened
  const reading = newReading(context, careful)
  const first = [snapshot, ...opened.journals, previous].find((one) => one?.file)?.file
  if (first && target.codec.structures.length === 0) target.lineage = first.header.lineage
  const store = first?.header.store
  const generation = snapshot?.file?.header.generation ?? 0
  const belongs = ({ file }: OpenedFile) => !file || !store || file.header.store.equals(store)
  const newer = opened.journals.filter(
    (journal) => belongs(journal) && (journal.file?.header.generation ?? generation) >= generation,
  )
  const older = opened.journals.filter((journal) => belongs(journal) && !newer.includes(journal))

  if (careful) await gatherStructures(context, opened, reading.merge)
  let removalsWhole = true
  if (snapshot) removalsWhole = await readSnapshot(context, snapshot, reading)
  const before = previous?.file && belongs(previous) ? previous : undefined
  if (before && isNeeded(before, snapshot, newer)) {
    await readSnapshot(context, before, reading)
    reading.filledIn = true
  }
  for (const journal of newer) await readJournal(context, journal, reading)
  const damagedSnapshot = snapshot ? reading.reports[0]!.state === 'damaged' : false
  for (const journal of opened.journals) {
    if (!belongs(journal)) reading.reports.push(report(journal, 'foreign'))
  }
  if (snapshot?.file && !snapshot.file.header.tail && !newer.some(ofGeneration(generation))) {
    // The number is not known any more; the name says what is meant.
    const path = journalPath(context.path, '…')
    reading.reports.push({ ...report(snapshot, 'missing'), path, kind: 'journal', bytes: 0 })
  }
  // The first generation has no snapshot; its journals tell all of it.
  const filling = (before ?? older.find(({ file }) => file))?.file
  if (careful && damagedSnapshot && filling && !reading.filledIn) {
    if (removalsWhole || (await journalsCover(snapshot!, filling, opened.journals))) {
      if (before) await readSnapshot(context, before, reading)
      for (const journal of older) await readJournal(context, journal, reading)
      // Touches whose entries have only now come.
      for (const { file } of newer) if (file) await readRecords(context, file, reading.merge)
      reading.filledIn = true
    } else reading.refused = true
  }
  return reading
}

/**
 * Whether the generation before is what the journals go on from: somebody has taken the snapshot
 * away, or put an older one in its place. Without journals nothing tells what was removed since.
 */
function isNeeded(
  { file }: OpenedFile,
  snapshot: OpenedFile | undefined,
  journals: readonly OpenedFile[],
): boolean {
  if (!file || file.header.tail || (snapshot && !snapshot.file)) return false
  const { generation } = file.header
  const newer = (snapshot?.file?.header.generation ?? -1) > generation
  return !newer && journals.some(ofGeneration(generation))
}

/** Whether journals tell every removal since the generation before, the damaged snapshot aside. */
async function journalsCover(
  damaged: OpenedFile,
  { header }: FramedFile,
  journals: readonly OpenedFile[],
): Promise<boolean> {
  const told = header.generation
  const telling = journals.filter(ofGeneration(told))
  if (header.tail || telling.length === 0) return false
  for (const { file } of telling) {
    const { damage, torn } = await file!.read(ignore)
    // One that a kill tore would have been cut by a start before the snapshot that followed.
    if (damage.length > 0 || torn) return false
  }
  if (damaged.file) return !damaged.file.header.tail
  return journals.some(({ file }) => file !== undefined && file.header.generation > told)
}

/** Reads a snapshot. @returns whether every removal it held was read. */
async function readSnapshot(
  context: ReadingContext,
  opened: OpenedFile,
  reading: Reading,
): Promise<boolean> {
  const { file } = opened
  if (!file) {
    reading.reports.push(
      report(opened, 'damaged', { damage: [{ offset: 0, bytes: opened.bytes }] }),
    )
    reading.damaged++
    return false
  }
  let footer: SnapshotFooter | undefined
  let entriesFrom = 0
  const onFrame = (kind: FrameKind, payload: Buffer, sequence: number) => {
    if (kind === FrameKind.records) entriesFrom ||= sequence
    else if (kind === FrameKind.footer) footer = decodeFooter(payload)
  }
  const { scan, records, damage } = await readEntries(context, file, reading.merge, onFrame)
  if (scan.torn) damage.push(scan.torn)
  else if (!footer) {
    damage.push({ offset: scan.end, bytes: 0, sequence: scan.sequence, next: Infinity })
  }
  const lost = damage.filter(({ sequence }) => sequence > 0)
  const { tailFrom } = footer ?? { tailFrom: 0 }
  const removalsWhole = lost.every(
    ({ sequence, next }) =>
      entriesFrom > 0 &&
      sequence > entriesFrom &&
      (!file.header.tail || (tailFrom > 0 && next <= tailFrom)),
  )
  reading.damaged += damage.length
  reading.reports.push(
    report(opened, damage.length > 0 ? 'damaged' : 'whole', {
      records,
      damage: damage.map(stretch),
    }),
  )
  return removalsWhole
}

async function readJournal(
  context: ReadingContext,
  opened: OpenedFile,
  reading: Reading,
): Promise<void> {
  const { file } = opened
  if (!file) {
    const damage = [{ offset: 0, bytes: opened.bytes }]
    // One that ends in its header held nothing yet; one that goes on may have held anything.
    const torn = opened.bytes <= HEAD_LENGTH
    if (!torn) reading.damaged++
    reading.reports.push(report(opened, torn ? 'torn' : 'damaged', { damage }))
    return
  }
  const { scan, records, damage } = await readEntries(context, file, reading.merge)
  reading.positions.set(opened.path, {
    id: file.header.id,
    offset: scan.end,
    sequence: scan.sequence,
  })
  const torn = scan.torn !== undefined || tornInHead(file)
  const state = damage.length > 0 ? 'damaged' : torn ? 'torn' : 'whole'
  reading.damaged += damage.length
  reading.reports.push(
    report(opened, state, {
      records,
      damage: [...damage, ...(scan.torn ? [scan.torn] : [])].map(stretch),
    }),
  )
}

/** Reads one file into the table. @returns its records, and its damage but for a torn end */
async function readEntries(
  context: ReadingContext,
  file: FramedFile,
  merge: Merge,
  onFrame?: (kind: FrameKind, payload: Buffer, sequence: number) => void,
): Promise<{ scan: FrameScan; records: number; damage: Damage[] }> {
  const { records, undecodable } = merge.counts
  const scan = await readRecords(context, file, merge, onFrame)
  const damage = [...headDamage(file), ...scan.damage]
  if (merge.counts.undecodable > undecodable) damage.push(lostStructures(file))
  return { scan, records: merge.counts.records - records, damage }
}

/** Reads the records of an opened file into a sink, which is told of the file where it asks for that. */
export async function readRecords(
  { shapes }: Pick<ReadingContext, 'shapes'>,
  file: FramedFile,
  sink: RecordSink & Partial<Pick<Merge, 'begin'>>,
  onFrame?: (kind: FrameKind, payload: Buffer, sequence: number) => void,
  from?: { offset: number; sequence: number; live: boolean },
): Promise<FrameScan> {
  const reader = new RecordReader(shapes)
  sink.begin?.(file.header)
  return file.read((kind, payload, sequence) => {
    onFrame?.(kind, payload, sequence)
    if (kind === FrameKind.records || kind === FrameKind.removals) reader.read(payload, sink)
  }, from)
}

/** A sink for those who want to know one thing. */
export const IGNORING: RecordSink = {
  structure: ignore,
  needs: ignore,
  entry: ignore,
  removal: ignore,
  clear: ignore,
}

/** Every structure that whole frames define, by lineage, up to the first that they disagree on. */
async function gatherStructures(
  context: ReadingContext,
  opened: Inventory,
  merge: Merge,
): Promise<void> {
  const lineages = new Map<string, Map<number, string[] | undefined>>()
  for (const { file } of opened.all) {
    if (!file) continue
    const name = file.header.lineage.toString('hex')
    const known = lineages.get(name) ?? new Map<number, string[] | undefined>()
    lineages.set(name, known)
    const structure = (id: number, keys: string[]) => {
      const before = known.has(id) ? known.get(id) : keys
      known.set(id, before && sameKeys(before, keys) ? keys : undefined)
    }
    await readRecords(context, file, { ...IGNORING, structure })
  }
  for (const [name, known] of lineages) {
    const structures: string[][] = []
    for (let keys; (keys = known.get(structures.length));) structures.push(keys)
    merge.seed(Buffer.from(name, 'hex'), structures)
  }
}

function headDamage(file: FramedFile): Damage[] {
  // Sequence 0: no frame of records is missing.
  const damaged = file.headDamaged && !tornInHead(file)
  return damaged ? [{ offset: 0, bytes: 0, sequence: 0, next: 0 }] : []
}

/** Whether a journal ends in its header, cut off while that was written: it held nothing yet. */
function tornInHead({ header, headDamaged, size }: FramedFile): boolean {
  return header.kind === 'journal' && headDamaged && size <= HEAD_LENGTH
}

/** Frames that are whole, of which nothing can be read because what they refer to is lost. */
function lostStructures(file: FramedFile): Damage {
  return { offset: HEAD_LENGTH, bytes: file.size - HEAD_LENGTH, sequence: 0, next: 0 }
}

function report(
  { path, kind, file, bytes }: OpenedFile,
  state: FileReport['state'],
  found: Partial<FileReport> = {},
): FileReport {
  const generation = file?.header.generation ?? 0
  return { path, kind, state, generation, bytes, records: 0, damage: [], ...found }
}

function stretch({ offset, bytes }: Damage): { offset: number; bytes: number } {
  return { offset, bytes }
}

function ofGeneration(generation: number): (journal: OpenedFile) => boolean {
  return ({ file }) => file?.header.generation === generation
}

function ignore(): void {
  // Something else is wanted.
}
