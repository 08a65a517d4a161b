/**
 * Who owns the files, in the words of `stats()` and of the events, and what is said to people about
 * it: two processes on one path are a deploy or a mistake, and whoever reads this has to find out
 * which, and what to do. No I/O but process warnings.
 */
import { counted, StoreError, warn } from './errors.js'

/** `owner` writes; `successor` follows the owner; `none`: still opening, could not open, closed, or the lease was lost. */
export type Role = 'owner' | 'successor' | 'none'

/** Who owns the files, as `stats()` and events tell it. */
export interface Ownership {
  role: Role
  /** The process that owns the files; 0: nobody known. */
  ownerPid: number
  /** Since when, if anybody does. */
  since: Date | undefined
  /** Whether a successor has waited for longer than `takeoverTimeout`. */
  waited: boolean
}

/** Who owns a path. */
export interface Owner {
  /** 0: the disk takes no lease, and nobody is known to have it. */
  pid: number
  /** Whether it is another store of this process. */
  here: boolean
  /** Since when, epoch ms. */
  since: number
  /** The notes of the successors it knows of, and writes each change for before it answers. */
  successors: readonly string[]
}

/** Whether a process is known that owns the files. */
export function isKnown(owner: Owner | undefined): owner is Owner {
  return owner !== undefined && owner.pid > 0
}

/** `onOwned: 'throw'`, and somebody does. */
export function ownedError(path: string, owner: Owner): StoreError {
  const stop = owner.here
    ? 'Close that one first, give this one'
    : 'Is the app running already? Stop that process, give this one'
  return new StoreError(
    'ERR_OWNED',
    `Expected ${path} to be free, found that ${nameOf(owner)} has owned it since ` +
      `${new Date(owner.since).toISOString()}. ${stop} another ` +
      "`snapshotPath`, or set `onOwned` to 'follow' to let it take over when the other stops",
    { path },
  )
}

function nameOf({ pid, here }: Owner): string {
  return here ? 'another store of this process' : `process ${pid}`
}

/** What closing loses, where this process never owned the files; `owner` undefined: nobody does. */
export function unwrittenError(
  path: string,
  owner: Owner | undefined,
  sessions: number,
): StoreError {
  const unwritten = `Not written: ${counted(sessions, 'session')} changed here`
  return owner
    ? new StoreError(
        'ERR_OWNED',
        `Expected to own ${path}, found that ${nameOf(owner)} still does. ${unwritten}`,
        { path },
      )
    : new StoreError(
        'ERR_WRITE',
        `Expected to write ${path}, found that it can't be. ${unwritten}`,
        {
          path,
        },
      )
}

/** What kept this process from looking after the files. */
export function lookError(path: string, cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause
  const { code } = cause as NodeJS.ErrnoException
  const message = `Expected to look after ${path}, found ${code ?? 'an error'}; it is tried again every second`
  return new StoreError('ERR_OPEN', message, { path, cause })
}

/** A successor has waited for `ms`. */
export function warnOfWaiting(path: string, { pid }: Owner, ms: number): void {
  warn(
    'PMS_WAITING',
    `Process ${pid} has owned ${path} for as long as this one has waited for it to stop, ` +
      `${ms / 1000} s. Until it does, what changes here is in memory only, and each of the two sees ` +
      'its own sessions. If the app was started twice by mistake, stop one; if both are meant to ' +
      'stay, see "More than one process" in the README',
  )
}

/** Another store of this process has the path: nearly always a mistake. */
export function warnOfTwins(path: string): void {
  warn(
    'PMS_WAITING',
    `Another store of this process owns ${path}. Until it is closed, this one shows its sessions and ` +
      'writes none of its own. Close that one first, or give each store its own `snapshotPath`',
  )
}

/** A store has been opened in a worker of node:cluster. */
export function warnOfCluster(): void {
  warn(
    'PMS_CLUSTER',
    'A store in a cluster worker shares no sessions with the other workers: see "More than one ' +
      'process" in the README',
  )
}
