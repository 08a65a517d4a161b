/**
 * Sessions that have gone → the app's `dispose` hook.
 *
 * It is called when everything is in order again, because it may set, destroy or clear. What it
 * throws is an error in the background and nobody else's. Knows no table.
 */
import { StoreError } from './errors.js'
import type { DisposeReason, ResolvedOptions } from './options.js'

type Disposed = [sid: string, session: Record<string, unknown>, reason: DisposeReason]

export class Disposals {
  readonly #hook: ResolvedOptions['dispose']
  readonly #onError: (error: StoreError) => void
  readonly #waiting: Disposed[] = []

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

  tell(): void {
    while (this.#waiting.length > 0) {
      const [sid, session, reason] = this.#waiting.shift()!
      try {
        this.#hook?.(sid, session as never, reason)
      } catch (cause) {
        const message = 'Expected `dispose` to return, found that it threw'
        this.#onError(new StoreError('ERR_HOOK', message, { cause }))
      }
    }
  }
}
