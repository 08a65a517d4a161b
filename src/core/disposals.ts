/**
 * Sessions that have gone → the app's `dispose` hook.
 *
 * It is called when everything is in order again, because it may set, destroy or clear, as may a
 * serializer that a session is decoded by; of many sessions in slices, where nobody waits for that.
 * What it throws, at once or later, is an error in the background and nobody else's.
 */
import { StoreError } from './errors.js'
import type { DisposeReason, ResolvedOptions } from './options.js'
import { Pace, paced } from './pace.js'

type Session = Record<string, unknown>
type Disposed = [sid: string, decode: () => Session, reason: DisposeReason]

/** The table that sessions go from, as far as it is needed here. */
interface Leaving {
  /** Slots are below this. */
  readonly slots: number
  has(slot: number): boolean
  sid(slot: number): string
}

export class Disposals<T extends Leaving> {
  readonly #hook: ResolvedOptions['dispose']
  readonly #take: (slot: number, table: T) => () => Session
  readonly #onError: (error: StoreError) => void
  #waiting: Disposed[] = []
  /** Whether the hook is being called, or is about to be: it is told in order. */
  #telling = false

  /**
   * @param take copies what a slot holds and runs no code of the app; what it returns decodes that. A
   * StoreError thrown there is told, and the hook is not
   */
  constructor(
    hook: ResolvedOptions['dispose'],
    take: (slot: number, table: T) => () => Session,
    onError: (error: StoreError) => void,
  ) {
    this.#hook = hook
    this.#take = take
    this.#onError = onError
  }

  /** Keeps a session that is about to go until {@link tell}. Without a hook nothing is kept. */
  add(table: T, slot: number, reason: DisposeReason): void {
    if (this.#hook) this.#waiting.push([table.sid(slot), this.#take(slot, table), reason])
  }

  /** Calls the hook for all that wait, and for those that its calls add. */
  tell(): void {
    if (this.#telling || this.#waiting.length === 0) return
    this.#telling = true
    for (const disposed of this.#all()) this.#call(...disposed)
    this.#telling = false
  }

  /** The same with pauses, from the next turn of the loop on. */
  async tellSoon(): Promise<void> {
    if (this.#telling || this.#waiting.length === 0) return
    this.#telling = true
    const pace = new Pace()
    await pace.pause()
    for (const disposed of this.#all()) {
      this.#call(...disposed)
      if (pace.due) await pace.pause()
    }
    this.#telling = false
  }

  /** Tells of all sessions of a table that has been emptied. */
  tellAll(gone: T): void {
    const steps = this.#oneByOne(gone)
    while (!steps.next().done);
  }

  /** The same with pauses. */
  tellAllSoon(gone: T): Promise<void> {
    return paced(this.#oneByOne(gone))
  }

  /** Keeps and tells of one after the other: copies of all of them would take room. */
  *#oneByOne(gone: T): Generator<void, void, void> {
    for (let slot = 0; slot < gone.slots && this.#hook; slot++) {
      if (!gone.has(slot)) continue
      this.add(gone, slot, 'destroyed')
      this.tell()
      yield
    }
  }

  *#all(): Generator<Disposed, void, void> {
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting
      this.#waiting = []
      yield* waiting
    }
  }

  #call(...[sid, decode, reason]: Disposed): void {
    let session: Session
    try {
      session = decode()
    } catch (error) {
      this.#onError(error as StoreError)
      return
    }
    try {
      const returned: unknown = this.#hook?.(sid, session as never, reason)
      // An async hook throws later: left alone, that would end the process.
      if (isThenable(returned)) {
        Promise.resolve(returned).catch((cause: unknown) => this.#failed(cause))
      }
    } catch (cause) {
      this.#failed(cause)
    }
  }

  #failed(cause: unknown): void {
    const message = 'Expected `dispose` to return, found that it threw'
    this.#onError(new StoreError('ERR_HOOK', message, { cause }))
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
