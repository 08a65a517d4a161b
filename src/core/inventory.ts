/**
 * Which files there are at a path. Opens them and reads their headers, says clearly what can't be
 * opened and why, and reads no records.
 */
import type { KeyRing } from './cipher.js'
import { remedyOf, StoreError } from './errors.js'
import { type Files, isMissing } from './file.js'
import { FramedFile } from './framed-file.js'
import type { FileHeader } from './header.js'
import { journalNumbers, journalPath, previousPath } from './names.js'

/** What finding files needs. */
export interface InventoryContext {
  files: Files
  path: string
  keys: KeyRing
  encoding: FileHeader['encoding']
}

/** A file of ours, opened. */
export interface OpenedFile {
  path: string
  kind: 'snapshot' | 'journal'
  /** Of a journal; 0 for snapshots. */
  number: number
  /** Undefined where its header can't be read. */
  file: FramedFile | undefined
  bytes: number
  /** What it looked like before it was opened. */
  glance: string
}

/** All files at a path, opened. */
export interface Inventory {
  snapshot: OpenedFile | undefined
  /** The generation before. */
  previous: OpenedFile | undefined
  /** In the order of their numbers. */
  journals: OpenedFile[]
  all: OpenedFile[]
}

/** A journal on disk. */
export interface JournalFile {
  readonly path: string
  readonly generation: number
  /** Bytes of whole frames. */
  readonly bytes: number
}

/**
 * Opens what is there. The caller closes it with {@link closeAll}.
 *
 * @throws StoreError `ERR_OPEN`, `ERR_FORMAT_FOREIGN`, `ERR_FORMAT_VERSION`, `ERR_KEY`, `ERR_ENCODING`
 */
export async function openAll(context: InventoryContext): Promise<Inventory> {
  const { files, path } = context
  await requireFile(context)
  const names = await files.siblings(path).catch((cause: unknown) => {
    if (isMissing(cause)) return []
    throw cannotOpen(path, cause)
  })
  const all: OpenedFile[] = []
  const open = async (...which: [path: string, kind: OpenedFile['kind'], number: number]) => {
    const opened = await openOne(context, ...which)
    if (opened) all.push(opened)
    return opened
  }
  try {
    const snapshot = await open(path, 'snapshot', 0)
    const journals: OpenedFile[] = []
    for (const number of journalNumbers(path, names)) {
      const journal = await open(journalPath(path, number), 'journal', number)
      if (journal) journals.push(journal)
    }
    const previous = await open(previousPath(path), 'snapshot', 0)
    return { snapshot, journals, previous, all }
  } catch (error) {
    await closeAll({ all })
    throw error
  }
}

export async function closeAll({ all }: Pick<Inventory, 'all'>): Promise<void> {
  for (const { file } of all) await file?.close()
}

/** @throws StoreError `ERR_OPEN` where something else than a file is at the path */
export async function requireFile({
  files,
  path,
}: Pick<InventoryContext, 'files' | 'path'>): Promise<void> {
  const kind = await files.kind(path).catch((cause: unknown) => {
    throw cannotOpen(path, cause)
  })
  if (kind === 'file' || kind === 'none') return
  const found = { folder: 'a folder', link: 'a symbolic link', other: 'a special file' }[kind]
  throw new StoreError(
    'ERR_OPEN',
    `Expected \`snapshotPath\` to name a file, found ${found} at ${path}` +
      (kind === 'link' ? '. Name the file it points to' : ''),
    { path },
  )
}

async function openOne(
  context: InventoryContext,
  path: string,
  kind: OpenedFile['kind'],
  number: number,
): Promise<OpenedFile | undefined> {
  let glance = ''
  try {
    glance = context.files.glanceSync(path)
    const file = await FramedFile.open(context.files, path, context.keys)
    if (file.header.encoding !== context.encoding) {
      await file.close()
      throw new StoreError(
        'ERR_ENCODING',
        `Expected sessions encoded by ${named(context.encoding)}, found ${path} encoded by ` +
          `${named(file.header.encoding)}. Set \`serializer\` as it was, or move the file away`,
        { path },
      )
    }
    return { path, kind, number, file, bytes: file.size, glance }
  } catch (error) {
    if (isMissing(error)) return undefined
    if (!(error instanceof StoreError)) throw cannotOpen(path, error)
    // The generation before is a help where there is one, and no reason not to start.
    const previous = path === previousPath(context.path)
    const damaged = error.code === 'ERR_DAMAGED'
    // A journal may have been cut off while its header was written: it held nothing yet.
    const headless = kind === 'journal' && error.code === 'ERR_FORMAT_FOREIGN'
    if (!damaged && !headless && !previous) throw error
    const file = await context.files.open(path)
    await file.close()
    return { path, kind, number, file: undefined, bytes: file.size, glance }
  }
}

function named(encoding: FileHeader['encoding']): string {
  return encoding === 'msgpack' ? 'the built-in encoding' : 'a `serializer`'
}

function cannotOpen(path: string, cause: unknown): StoreError {
  const { code } = cause as NodeJS.ErrnoException
  const message = `Expected to read ${path}, found ${code ?? 'an error'}${remedyOf(code)}`
  return new StoreError('ERR_OPEN', message, { path, cause })
}
