/**
 * Every error and process warning that this package makes, with its stable code.
 *
 * Codes are the contract, messages are not. A background failure is a StoreError that is emitted or
 * warned about; a wrong argument is a TypeError or RangeError with a code; a session that is not
 * there is no error. No message ever holds a session's id or contents.
 */

/** The stable codes of {@link StoreError}. */
export type StoreErrorCode =
  /** The file was written by a newer version of this package. */
  | 'ERR_FORMAT_VERSION'
  /** The file is not one of ours, or a journal of another store. */
  | 'ERR_FORMAT_FOREIGN'
  /** The sessions in the file were encoded by another serializer. */
  | 'ERR_ENCODING'
  /** The file is encrypted and the key is missing or wrong. */
  | 'ERR_KEY'
  /** The file is damaged; what was whole has been kept. */
  | 'ERR_DAMAGED'
  /** The file or its folder cannot be opened. */
  | 'ERR_OPEN'
  /** Writing failed; the sessions go on being served from memory. */
  | 'ERR_WRITE'
  /** The stored bytes of one session cannot be decoded. */
  | 'ERR_SESSION_DECODE'
  /** Another process owns the file. */
  | 'ERR_OWNED'
  /** Another process took the lease of this one. */
  | 'ERR_LEASE_LOST'
  /** A callback given in the options (`dispose`) threw. */
  | 'ERR_HOOK'
  /** The store has been closed. */
  | 'ERR_CLOSED'

/** Codes carried by the TypeError or RangeError that a wrong argument causes. */
export type ArgumentErrorCode = 'ERR_OPTION_UNKNOWN' | 'ERR_OPTION_VALUE' | 'ERR_SESSION_ENCODE'

/** Codes of process warnings about what is likely a mistake. */
export type WarningCode =
  /** A `ttl` of more than a year: the unit is seconds. */
  | 'PMS_TTL_UNIT'
  /** The drop-in for memorystore ignores an option. */
  | 'PMS_OPTION_UNKNOWN'
  /** The drop-in for memorystore has options about files and no `snapshotPath`. */
  | 'PMS_MEMORY_ONLY'
  /** A store was made in a worker of node:cluster. */
  | 'PMS_CLUSTER'
  /** A successor has waited longer than `takeoverTimeout`, or for another store of its own process. */
  | 'PMS_WAITING'
  /** A graceful shutdown cut requests off. */
  | 'PMS_SHUTDOWN_TIMEOUT'
  /** A graceful shutdown could not write sessions. */
  | 'PMS_SHUTDOWN_UNSAVED'

/** What is known of a failure beside its message. */
export interface StoreErrorDetails {
  /** The file concerned. */
  path?: string | undefined
  /** The byte offset in that file. */
  offset?: number | undefined
  /** The error underneath, usually from the file system. */
  cause?: unknown
}

/** A failure of the store itself, told apart by its `code`. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreErrorCode
  /** The file concerned, where it is one. */
  declare readonly path?: string
  /** Bytes from the start of that file, where a place in it is concerned. */
  declare readonly offset?: number

  constructor(code: StoreErrorCode, message: string, details: StoreErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    if (details.path !== undefined) this.path = details.path
    if (details.offset !== undefined) this.offset = details.offset
  }
}

/** Gives a TypeError or RangeError its stable code. */
export function withCode<E extends Error>(
  error: E,
  code: ArgumentErrorCode,
): E & { code: ArgumentErrorCode } {
  return Object.assign(error, { code })
}

/** Warns whoever runs the process. With the code of an error where nobody listens to errors. */
export function warn(code: WarningCode | StoreErrorCode, message: string): void {
  process.emitWarning(message, { type: 'PersistentMemoryStoreWarning', code })
}

/** What to do where the system denies something. */
export function remedyOf(code: string | undefined): string {
  const denied = code === 'EACCES' || code === 'EPERM'
  return denied ? '. Give the rights to the user that this process runs as' : ''
}

/** `1 session`, `2 sessions`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
