/**
 * Files → table, with a report of what was found.
 *
 * Reads what reading.ts makes of the newest snapshot and its journals, and all of it once more,
 * carefully, where something is damaged. A damaged file is copied aside before anything else is
 * written; nothing is deleted here that has not been copied.
 */
import { StoreError } from './errors.js'
import { type Files, siblingPath, unlessMissing } from './file.js'
import {
  closeAll,
  type Inventory,
  type InventoryContext,
  type JournalFile,
  openAll,
} from './inventory.js'
import { Lapsed } from './lapsed.js'
import { corruptPath, isCorruptCopy, previousPath } from './names.js'
import {
  type FileReport,
  newReading,
  type Positions,
  readAll,
  type Reading,
  type ReadingContext,
} from './reading.js'

const COMPARED_AT_ONCE = 64 * 1024

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
  /** Size of all files found. Older ones among them are opened, and mostly not read. */
  bytes: number
  durationMs: number
  files: FileReport[]
}

/** What a recovery needs. */
export interface RecoverContext extends InventoryContext, ReadingContext {
  onCorrupt: 'salvage' | 'throw'
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
  /** What the snapshot, and the one before, looked like when they were opened. */
  glance: string
  previousGlance: string
  journals: JournalFile[]
  /** The highest stamp in any record. */
  stamp: number
  /** The store's id, where a file told it. */
  store: Buffer | undefined
  /** A salt in use, where the first key given is the current one. */
  salt: Buffer | undefined
  /** A file is damaged: the next generation should be written soon. */
  damaged: boolean
  /** Not all that was read is known to be on disk: the next generation should be written soon. */
  unsynced: boolean
  /** A file is not encrypted as it should be: the next generation leaves no other behind. */
  rekey: boolean
  /** The generation before is not to fill in, now or later. */
  refused: boolean
  /** Files that could not be copied aside yet, which must precede any replacing. */
  aside: string[]
  /** For a follower: how far each journal was read, and which snapshot. */
  positions: Positions
  snapshotId: Buffer | undefined
  /** For a follower as well: what had just expired. */
  lapsed: Lapsed
}

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
    const lapsed = new Lapsed()
    const expired = sweep(context, lapsed)
    context.target.table.endLoad()
    const aside = context.readOnly ? [] : await setAside(context, reading)
    const { previous } = found
    const store = found.all.find(({ file }) => file)?.file?.header.store
    if (previous && (reading.refused || !previous.file?.header.store.equals(store!))) {
      // No generation before, or none that may fill in: something else is about to take its place.
      aside.push(previous.path)
    }
    const unsynced = !context.readOnly && !(await syncAll(context, reading))
    return { ...summarise(context, found, reading, expired), aside, unsynced, lapsed }
  } finally {
    await closeAll(found)
  }
}

/**
 * What {@link recover} says of the files, without reading their records.
 *
 * @param before what it said earlier, when nothing could be copied aside: that still has to be done
 */
export async function survey(context: RecoverContext, before: Recovery): Promise<Recovery> {
  const found = await openAll(context)
  try {
    const now = summarise(context, found, newReading(context, false), 0, before.store)
    const stands = new Map([
      [context.path, before.glance === now.glance],
      [previousPath(context.path), before.previousGlance === now.previousGlance],
    ])
    const damaged = before.report.files.filter(({ state }) => state === 'damaged')
    const paths = new Set([...damaged.map(({ path }) => path), ...before.aside])
    // A number is given to one journal only: one that is still there is the same.
    const aside = [...paths].filter((path) => stands.get(path) ?? true)
    const { refused, lapsed } = before
    const again = damaged.some(({ path }) => aside.includes(path))
    return { ...now, damaged: again, unsynced: true, refused, aside, lapsed }
  } finally {
    await closeAll(found)
  }
}

/** Drops what has expired, now that no file read here can prolong it any more. @returns how many */
function sweep(context: RecoverContext, lapsed: Lapsed): number {
  const { target, now, readOnly } = context
  const { table, tombstones } = target
  let expired = 0
  for (let slot = 0; slot < table.slots; slot++) {
    if (!table.has(slot) || table.expires(slot) > now) continue
    const sid = table.sid(slot)
    if (tombstones.outlives(sid, now)) tombstones.add(sid, table.stamp(slot), table.expires(slot))
    if (readOnly) lapsed.add(table, slot, now)
    table.remove(slot)
    expired++
  }
  return expired
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
      if (one.state === 'damaged') pending.push(one.path)
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
  { path }: FileReport,
): Promise<string | undefined> {
  for (const name of await files.siblings(path)) {
    if (!isCorruptCopy(path, name)) continue
    const copy = siblingPath(path, name)
    if (await holdSame(files, path, copy)) return copy
  }
  return undefined
}

/** Whether two files hold the same bytes. */
async function holdSame(files: Files, path: string, other: string): Promise<boolean> {
  const one = await files.open(path)
  try {
    const two = await files.open(other)
    try {
      let same = one.size === two.size
      const [room, otherRoom] = [0, 1].map(() => Buffer.allocUnsafe(COMPARED_AT_ONCE))
      for (let at = 0; same && at < one.size; at += COMPARED_AT_ONCE) {
        const bytes = room!.subarray(0, await one.read(at, room!))
        same = bytes.equals(otherRoom!.subarray(0, await two.read(at, otherRoom!)))
      }
      return same
    } finally {
      await two.close()
    }
  } finally {
    await one.close()
  }
}

/**
 * Has the disk keep what a process that was killed had only written: what is served now is no change
 * that a loss of power may take. @returns whether it does
 */
async function syncAll({ files, path }: RecoverContext, reading: Reading): Promise<boolean> {
  try {
    // One that held nothing yet has been removed.
    for (const journal of reading.positions.keys()) await files.sync(journal).catch(unlessMissing)
    if (reading.reports.length > 0) await files.syncFolder(path)
    return true
  } catch {
    return false
  }
}

function summarise(
  context: RecoverContext,
  opened: Inventory,
  reading: Reading,
  expired: number,
  before?: Buffer,
): Omit<Recovery, 'aside' | 'unsynced' | 'lapsed'> {
  const { merge, reports } = reading
  const readable = opened.all.filter(({ file }) => file)
  const headers = readable.map(({ file }) => file!.header)
  const store = before ?? headers[0]?.store
  const kept = opened.journals.filter(({ file }) => !file || file.header.store.equals(store!))
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
    glance: opened.snapshot?.glance ?? '',
    previousGlance: opened.previous?.glance ?? '',
    journals: kept.map(({ path, bytes, file }) => ({
      path,
      bytes,
      // One that can't be read has been copied aside: the next snapshot lets go of it.
      generation: file?.header.generation ?? -1,
    })),
    stamp: Math.max(merge.stamp, ...headers.map(({ stamp }) => stamp)),
    store,
    salt: current?.file!.header.salt,
    damaged: reading.damaged > 0,
    rekey: readable.some(({ file }) => !file!.currentKey),
    refused: reading.refused,
    positions: reading.positions,
    snapshotId: opened.snapshot?.file?.header.id,
  }
}

function ignore(): void {
  // The copies are there; a power cut may take them.
}
