/**
 * Who owns the files, in the words of `stats()` and of the events, and what is said to people about
 * it: two processes on one path are a deploy or a mistake, and whoever reads this has to find out
 * which, and what to do. No I/O but process warnings.
 */
import { StoreError, warn } from './errors.js'

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

/** `onOwned: 'throw'`, and somebody does. */
export function ownedError(
  path: string,
  { pid, since }: { pid: number; since: number },
): StoreError {
  return new StoreError(
    'ERR_OWNED',
    `Expected ${path} to be free, found that process ${pid} has owned it since ` +
      `${new Date(since).toISOString()}. Is the app running already? Stop that process, give this one another ` +
      "`snapshotPath`, or set `onOwned` to 'follow' to let it take over when the other stops",
    { path },
  )
}

/** What closing loses, where this process never owned the files; `pid` 0: nobody does. */
export function unwrittenError(path: string, pid: number, sessions: number): StoreError {
  const changed = `${sessions} sessions changed here have not been written`
  return pid > 0
    ? new StoreError(
        'ERR_OWNED',
        `Expected to own ${path}, found that process ${pid} still does: ${changed}`,
        { path },
      )
    : new StoreError('ERR_WRITE', `Expected to write ${path}, found that it can't be: ${changed}`, {
        path,
      })
}

/** What kept this process from looking after the files. */
export function lookError(path: string, cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause
  const { code } = cause as NodeJS.ErrnoException
  const message = `Expected to look after ${path}, found ${code ?? 'an error'}`
  return new StoreError('ERR_OPEN', message, { path, cause })
}

/** A successor has waited for `ms`. */
export function warnOfWaiting(path: string, pid: number, ms: number): void {
  warn(
    'PMS_WAITING',
    `Process ${pid} has owned ${path} for as long as this one has waited for it to stop, ` +
      `${ms / 1000} s. Until it does, what changes here is in memory only, and each of the two sees ` +
      'its own sessions. If the app was started twice by mistake, stop one; if both are meant to ' +
      'stay, see "More than one process" in the README',
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
