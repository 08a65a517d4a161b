/**
 * Files → table, with a report of what was found.
 *
 * Reads the newest snapshot and the journals written since. Where one is damaged everything is read
 * once more, carefully: structures are gathered from all files first, and the generation before
 * fills in what is missing, unless removals may have been lost with it. A damaged file is copied
 * aside before anything else is written; nothing is deleted here that has not been copied.
 */
import { basename, dirname, join } from 'node:path'
import type { CookieShapes } from './cookie.js'
import { StoreError } from './errors.js'
import { FrameKind, type RecordSink } from './format.js'
import { type Damage, type FramedFile, type FrameScan, HEAD_LENGTH } from './frames.js'
import {
  closeAll,
  corruptPath,
  type Inventory,
  type InventoryContext,
  type JournalFile,
  openAll,
  type OpenedFile,
} from './inventory.js'
import { Merge, type MergeTarget } from './merge.js'
import { RecordReader } from './records.js'
import { decodeFooter, type SnapshotFooter } from './snapshot.js'

/** What became of one file. */
export interface FileReport {
  path: string
  kind: 'snapshot' | 'journal'
  /** `torn`: only its end is missing, as a kill leaves a journal; `foreign`: of another store. */
  state: 'whole' | 'torn' | 'damaged' | 'foreign' | 'missing'
  generation: number
  bytes: number
  /** Records kept. */
  records: number
  /** Stretches that could not be read, in bytes from the start of the file. */
  damage: { offset: number; bytes: number }[]
  /** Where the damaged file, or the tail that was cut, has been copied to. */
  setAside?: string
}

/** What a restore found. */
export interface RestoreReport {
  /** The snapshot. */
  path: string
  /** Live sessions restored. */
  sessions: number
  /** Sessions not restored because they had expired. */
  expired: number
  /** Stretches of the files that could not be read, torn ends of journals not counted. */
  damaged: number
  /** Whether the generation before filled in what damage had taken. */
  filledIn: boolean
  /** Bytes read. */
  bytes: number
  durationMs: number
  files: FileReport[]
}

/** What a recovery needs. */
export interface RecoverContext extends InventoryContext {
  shapes: CookieShapes
  target: MergeTarget
  onCorrupt: 'salvage' | 'throw'
  now: number
  /** Another process owns the files: nothing is copied or cut. */
  readOnly: boolean
}

/** What the writer of the next generation has to know. */
export interface Recovery {
  report: Omit<RestoreReport, 'durationMs'>
  /** The highest generation and journal number in use; 0: none. */
  generation: number
  journal: number
  /** The generation of the snapshot at the path; 0: there is none. */
  committed: number
  snapshotBytes: number
  journals: JournalFile[]
  /** The highest stamp in any record. */
  stamp: number
  /** The store's id, where a file told it. */
  store: Buffer | undefined
  /** A salt in use, where the first key given is the current one. */
  salt: Buffer | undefined
  /** A file is damaged: the next generation should be written soon. */
  damaged: boolean
  /** A file is not encrypted as it should be: the next generation leaves no other behind. */
  rekey: boolean
  /** Damaged files that could not be copied aside yet, which must precede any replacing. */
  aside: { from: string; to: string }[]
  /** For a follower: how far each journal was read, and which snapshot. */
  positions: Positions
  snapshotId: Buffer | undefined
}

/** How far journals have been read, by path. */
export type Positions = Map<string, { id: Buffer; offset: number; sequence: number }>

/**
 * Reads what is at `context.path` into the table, which must be empty.
 *
 * @throws StoreError `ERR_OPEN`, `ERR_FORMAT_FOREIGN`, `ERR_FORMAT_VERSION`, `ERR_KEY`,
 * `ERR_ENCODING`; `ERR_DAMAGED` with `onCorrupt: 'throw'`. The files are untouched then.
 */
export async function recover(context: RecoverContext): Promise<Recovery> {
  const found = await openAll(context)
  try {
    context.target.table.beginLoad()
    let reading = await readAll(context, found, false)
    if (reading.damaged > 0) {
      context.target.table.clear()
      context.target.table.beginLoad()
      reading = await readAll(context, found, true)
    }
    if (reading.damaged > 0 && context.onCorrupt === 'throw') {
      const { path, damage } = reading.reports.find(({ state }) => state === 'damaged')!
      throw new StoreError(
        'ERR_DAMAGED',
        `Expected whole files, found ${path} damaged. Restore a backup, or set \`onCorrupt\` to ` +
          "'salvage' to serve what is whole",
        { path, offset: damage[0]?.offset },
      )
    }
    const expired = sweep(context)
    context.target.table.endLoad()
    const aside = context.readOnly ? [] : await setAside(context, reading)
    const { previous } = found
    const store = found.all.find(({ file }) => file)?.file?.header.store
    if (previous && !(previous.file && store?.equals(previous.file.header.store))) {
      // Whatever it is, it is not the generation before, and that is about to take its place.
      aside.push({ from: previous.path, to: corruptPath(previous.path, context.now) })
    }
    return { ...summarise(context, found, reading, expired), aside }
  } finally {
    await closeAll(found)
  }
}

/** What {@link recover} says of the files, without reading their records. */
export async function survey(context: RecoverContext): Promise<Recovery> {
  const found = await openAll(context)
  try {
    return { ...summarise(context, found, newReading(context, false), 0), aside: [] }
  } finally {
    await closeAll(found)
  }
}

interface Reading {
  merge: Merge
  reports: FileReport[]
  damaged: number
  filledIn: boolean
  positions: Positions
}

function newReading({ target, now }: RecoverContext, careful: boolean): Reading {
  return {
    merge: new Merge(target, { now: () => now, olderFollow: careful }),
    reports: [],
    damaged: 0,
    filledIn: false,
    positions: new Map(),
  }
}

async function readAll(
  context: RecoverContext,
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
  for (const journal of newer) await readJournal(context, journal, reading)
  const damagedSnapshot = snapshot ? reading.reports[0]!.state === 'damaged' : false
  for (const journal of opened.journals) {
    if (!belongs(journal)) reading.reports.push(report(journal, 'foreign'))
  }
  if (snapshot?.file && !snapshot.file.header.tail && !newer.some(ofGeneration(generation))) {
    // The number is not known any more; the name says what is meant.
    const path = `${context.path}.journal-…`
    reading.reports.push({ ...report(snapshot, 'missing'), path, kind: 'journal', bytes: 0 })
  }
  if (careful && damagedSnapshot && previous?.file && belongs(previous)) {
    if (removalsWhole || (await journalsCover(snapshot!, previous.file, opened.journals))) {
      await readSnapshot(context, previous, reading)
      for (const journal of older) await readJournal(context, journal, reading)
      // Touches whose entries have only now come.
      for (const { file } of newer) if (file) await readRecords(context, file, reading.merge)
      reading.filledIn = true
    }
  }
  return reading
}

/** Drops what has expired, now that no file can prolong it any more. @returns how many */
function sweep({ target: { table, tombstones }, now }: RecoverContext): number {
  let expired = 0
  for (let slot = 0; slot < table.slots; slot++) {
    if (!table.has(slot) || table.expires(slot) > now) continue
    const sid = table.sid(slot)
    if (tombstones.outlives(sid, now)) tombstones.add(sid, table.stamp(slot), table.expires(slot))
    table.remove(slot)
    expired++
  }
  return expired
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
    const { damage } = await file!.read(ignore)
    if (damage.length > 0) return false
  }
  if (damaged.file) return !damaged.file.header.tail
  return journals.some(({ file }) => file !== undefined && file.header.generation > told)
}

/** Reads a snapshot. @returns whether every removal it held was read. */
async function readSnapshot(
  context: RecoverContext,
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
  const before = reading.merge.counts.records
  const { undecodable } = reading.merge.counts
  const scan = await readRecords(context, file, reading.merge, (kind, payload, sequence) => {
    if (kind === FrameKind.records) entriesFrom ||= sequence
    else if (kind === FrameKind.footer) footer = decodeFooter(payload)
  })
  const damage = [...headDamage(file), ...scan.damage, ...(scan.torn ? [scan.torn] : [])]
  if (reading.merge.counts.undecodable > undecodable) damage.push(lostStructures(file))
  if (!footer && !scan.torn)
    damage.push({ offset: scan.end, bytes: 0, sequence: scan.sequence, next: Infinity })
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
      records: reading.merge.counts.records - before,
      damage: damage.map(stretch),
    }),
  )
  return removalsWhole
}

async function readJournal(
  context: RecoverContext,
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
  const before = reading.merge.counts.records
  const undecodable = reading.merge.counts.undecodable
  const scan = await readRecords(context, file, reading.merge)
  reading.positions.set(opened.path, {
    id: file.header.id,
    offset: scan.end,
    sequence: scan.sequence,
  })
  const damage = [...headDamage(file), ...scan.damage]
  if (reading.merge.counts.undecodable > undecodable) damage.push(lostStructures(file))
  const torn = scan.torn !== undefined || file.size < HEAD_LENGTH
  const state = damage.length > 0 ? 'damaged' : torn ? 'torn' : 'whole'
  reading.damaged += damage.length
  reading.reports.push(
    report(opened, state, {
      records: reading.merge.counts.records - before,
      damage: [...damage, ...(scan.torn ? [scan.torn] : [])].map(stretch),
    }),
  )
}

/** Reads the records of an opened file into a sink. */
export async function readRecords(
  { shapes }: Pick<RecoverContext, 'shapes'>,
  file: FramedFile,
  merge: Merge,
  onFrame?: (kind: FrameKind, payload: Buffer, sequence: number) => void,
  from?: { offset: number; sequence: number; live: boolean },
): Promise<FrameScan> {
  const reader = new RecordReader(shapes)
  merge.begin(file.header.lineage)
  return file.read((kind, payload, sequence) => {
    onFrame?.(kind, payload, sequence)
    if (kind === FrameKind.records || kind === FrameKind.removals) reader.read(payload, merge)
  }, from)
}

/** Every structure that any whole frame defines, by lineage. */
async function gatherStructures(
  { shapes }: RecoverContext,
  opened: Inventory,
  merge: Merge,
): Promise<void> {
  const lineages = new Map<string, Map<number, string[]>>()
  for (const { file } of opened.all) {
    if (!file) continue
    const name = file.header.lineage.toString('hex')
    const known = lineages.get(name) ?? new Map<number, string[]>()
    lineages.set(name, known)
    const reader = new RecordReader(shapes)
    const sink: RecordSink = {
      structure: (id, keys) => void known.set(id, keys),
      needs: ignore,
      entry: ignore,
      removal: ignore,
      clear: ignore,
    }
    await file.read((kind, payload) => {
      if (kind === FrameKind.records) reader.read(payload, sink)
    })
  }
  for (const [name, known] of lineages) {
    const structures: string[][] = []
    for (let keys; (keys = known.get(structures.length));) structures.push(keys)
    merge.seed(Buffer.from(name, 'hex'), structures)
  }
}

/**
 * Copies damaged files aside and cuts torn ends, so that what follows finds whole files.
 *
 * @returns what could not be copied, because the disk is full, say: a reason to write nothing over
 * it, none not to serve what was read
 */
async function setAside(context: RecoverContext, reading: Reading): Promise<Recovery['aside']> {
  const { files, path } = context
  const pending: Recovery['aside'] = []
  for (const one of reading.reports) {
    if (one.state === 'whole' || one.state === 'missing') continue
    const to = corruptPath(one.path, context.now)
    try {
      one.setAside = (await sameAside(context, one)) ?? to
      if (one.setAside === to) await files.copy(one.path, to)
      const end = reading.positions.get(one.path)?.offset ?? Infinity
      if (one.state === 'torn' && end < one.bytes) await files.truncate(one.path, end)
      else if (one.state !== 'damaged') await files.remove(one.path)
    } catch {
      delete one.setAside
      if (one.state === 'damaged') pending.push({ from: one.path, to })
    }
  }
  if (reading.reports.some(({ setAside: copy }) => copy)) {
    await files.syncFolder(path).catch(ignore)
  }
  return pending
}

/** A copy that an earlier start has made: a process that is started over and over makes one. */
async function sameAside(
  { files }: RecoverContext,
  { path, bytes }: FileReport,
): Promise<string | undefined> {
  const prefix = `${basename(path)}.corrupt-`
  for (const name of await files.siblings(path)) {
    if (!name.startsWith(prefix)) continue
    const copy = join(dirname(path), name)
    const file = await files.open(copy)
    await file.close()
    if (file.size === bytes) return copy
  }
  return undefined
}

function summarise(
  context: RecoverContext,
  opened: Inventory,
  reading: Reading,
  expired: number,
): Omit<Recovery, 'aside'> {
  const { merge, reports } = reading
  const readable = opened.all.filter(({ file }) => file)
  const headers = readable.map(({ file }) => file!.header)
  const gone = new Set(reports.filter(isGone).map(({ path }) => path))
  const kept = opened.journals.filter(({ file, path }) => file && !gone.has(path))
  const current = readable.find(({ file }) => file!.header.salt && file!.currentKey)
  return {
    report: {
      path: context.path,
      sessions: context.target.table.size,
      expired,
      damaged: reading.damaged,
      filledIn: reading.filledIn,
      bytes: opened.all.reduce((sum, { bytes }) => sum + bytes, 0),
      files: reports,
    },
    generation: Math.max(0, ...headers.map(({ generation }) => generation)),
    journal: Math.max(0, ...opened.journals.map(({ number }) => number)),
    committed: opened.snapshot?.file?.header.generation ?? 0,
    snapshotBytes: opened.snapshot?.bytes ?? 0,
    journals: kept.map(({ path, bytes, file }) => ({
      path,
      bytes,
      generation: file!.header.generation,
    })),
    stamp: Math.max(merge.stamp, ...headers.map(({ stamp }) => stamp)),
    store: headers[0]?.store,
    salt: current?.file!.header.salt,
    damaged: reading.damaged > 0,
    rekey: readable.some(({ file }) => !file!.currentKey),
    positions: reading.positions,
    snapshotId: opened.snapshot?.file?.header.id,
  }
}

function isGone({ state }: FileReport): boolean {
  return state === 'foreign'
}

function headDamage(file: FramedFile): Damage[] {
  // A journal that ends in its header was cut off while that was written: it held nothing yet.
  if (file.header.kind === 'journal' && file.size < HEAD_LENGTH) return []
  // Sequence 0: no frame of records is missing.
  return file.headDamaged ? [{ offset: 0, bytes: 0, sequence: 0, next: 0 }] : []
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
  // Only structures are wanted.
}
