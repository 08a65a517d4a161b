/**
 * Sessions that have gone → the app's `dispose` hook.
 *
 * It is called when everything is in order again, because it may set, destroy or clear. What it
 * throws, at once or later, is an error in the background and nobody else's. Knows no table.
 */
import { StoreError } from './errors.js'
import type { DisposeReason, ResolvedOptions } from './options.js'
import { Pace } from './pace.js'

type Disposed = [sid: string, session: Record<string, unknown>, reason: DisposeReason]

export class Disposals {
  readonly #hook: ResolvedOptions['dispose']
  readonly #onError: (error: StoreError) => void
  #waiting: Disposed[] = []
  /** Whether the hook is being called, or is about to be: it is told in order. */
  #telling = false

  constructor(hook: ResolvedOptions['dispose'], onError: (error: StoreError) => void) {
    this.#hook = hook
    this.#onError = onError
  }

  /** Whether there is a hook: a session is decoded for nothing otherwise. */
  get wanted(): boolean {
    return this.#hook !== null
  }

  /** Keeps a session for the hook until {@link tell}. */
  add(...disposed: Disposed): void {
    this.#waiting.push(disposed)
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

  *#all(): Generator<Disposed, void, void> {
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting
      this.#waiting = []
      yield* waiting
    }
  }

  #call(...[sid, session, reason]: Disposed): void {
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
