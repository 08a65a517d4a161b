/**
 * Whether the files can be written to, and who is told where they can't.
 *
 * What the writers of journals and of snapshots have to agree on: the last failure, what those are
 * told who ask meanwhile, whether only a whole new generation mends it, and that another process
 * has taken the files over, after which nothing is written any more. Tries nothing itself.
 */
import { StoreError } from './errors.js'

export interface HealthContext {
  path: string
  onError: (error: StoreError) => void
  /** Another process has taken the files over; nothing more is written. */
  onLost: (error: StoreError) => void
}

export class Health {
  /** Why the last attempt to write failed, until one succeeds. */
  failure: StoreError | undefined
  /** The error for callers who ask for a write while none is tried. */
  refusal: StoreError | undefined
  /** How often it has turned out that the files may hold less than was written to them. */
  faults = 0
  /** The store is being closed: nothing is tried again. */
  closing = false
  readonly #context: HealthContext
  #abandoned = false
  #mended = 0

  constructor(context: HealthContext) {
    this.#context = context
  }

  /**
   * Whether the files may hold less than was written to them, since a sync has failed or somebody has
   * written there: nothing is acknowledged until a whole new generation stands.
   */
  get broken(): boolean {
    return this.faults > this.#mended
  }

  /** A generation stands that was begun when there had been so many faults. */
  mend(faults: number): void {
    this.#mended = faults
  }

  /** Whether the files are another process's. */
  get abandoned(): boolean {
    return this.#abandoned
  }

  abandon(error: StoreError): void {
    if (this.#abandoned) return
    this.closing = this.#abandoned = true
    this.failure = this.refusal = error
    this.#context.onLost(error)
  }

  /** Notes and tells that a write has failed. */
  failed(cause: unknown): StoreError {
    const error = this.wrap(cause)
    if (!this.noteLost(error)) {
      this.failure = error
      this.#context.onError(error)
    }
    return error
  }

  /** Abandons the files where this error says that they are another process's. */
  noteLost(error: StoreError): boolean {
    const lost = error.code === 'ERR_LEASE_LOST'
    if (lost) this.abandon(error)
    return lost
  }

  wrap(cause: unknown): StoreError {
    if (cause instanceof StoreError) return cause
    const { path } = this.#context
    const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message
    const meanwhile = '. Sessions are served from memory meanwhile; writing is tried again'
    const message = `Expected to write ${path}, found ${reason}${this.closing ? '' : meanwhile}`
    return new StoreError('ERR_WRITE', message, { path, cause })
  }
}
