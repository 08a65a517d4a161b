/**
 * Calls of `get` with a callback: those of one turn are read together.
 *
 * Most of reading one of many sessions is waiting for memory, and that can be waited for once for a
 * number of them. Each gets what was there when it was asked for: before the app changes anything,
 * {@link Reads.settle} reads what has been put off, and what is asked for amid a change is not. What
 * another process has written may come between.
 */
import type { SessionData } from 'express-session'
import { answerError, answerNow, type Callback, soon } from './answer.js'
import type { Clock } from './core/clock.js'
import type { Engine } from './core/engine.js'

/** A session on its way to whoever asked for it. */
interface Asked {
  readonly sid: string
  /** When it was asked for, epoch ms. */
  readonly at: number
  read: boolean
  session: SessionData | undefined
  error: unknown
}

export class Reads {
  readonly #engine: Engine
  readonly #clock: Clock
  /** What has been asked for and is not all read. */
  #asked: Asked[] = []
  /** How many of them have been read, and for how many memory is ready. */
  #done = 0
  #ready = 0
  readonly #runsCode: () => boolean
  /** How many changes are under way, one in the other. */
  #changing = 0

  /**
   * @param runsCode whether reading would run code of the app, which may change anything and count on
   * the context of whoever has asked
   */
  constructor(engine: Engine, clock: Clock, runsCode: () => boolean) {
    this.#engine = engine
    this.#clock = clock
    this.#runsCode = runsCode
  }

  /** Whether a read may wait for its answer: otherwise it must be read at once. */
  get canWait(): boolean {
    return this.#changing === 0 && !this.#runsCode() && this.#engine.isCurrent
  }

  /** Runs a part of a change. */
  amid<T>(part: () => T): T {
    this.#changing++
    try {
      return part()
    } finally {
      this.#changing--
    }
  }

  /** Reads a session no later than it answers; to be asked while it {@link canWait}. */
  ask(sid: string, callback: Callback<SessionData | undefined>): void {
    const at = this.#clock.now()
    const asked: Asked = { sid, at, read: false, session: undefined, error: undefined }
    this.#asked.push(asked)
    soon(() => {
      if (!asked.read) this.settle()
      const { session, error } = asked
      // See answerOf in answer.ts.
      asked.session = undefined
      if (error === undefined) answerNow(callback, session)
      else answerError(callback, error)
    })
  }

  /** Reads all that has been asked for: to be called before anything changes. */
  settle(): void {
    if (this.#asked.length === 0) return
    // A listener that has come since then may ask for more, or settle the rest.
    while (this.#done < this.#asked.length) {
      if (this.#done === this.#ready)
        this.#ready = this.#engine.sessions.prefetch(this.#asked, this.#done)
      this.#read(this.#asked[this.#done++]!)
    }
    this.#asked = []
    this.#done = this.#ready = 0
  }

  #read(asked: Asked): void {
    asked.read = true
    try {
      asked.session = this.#engine.sessions.get(asked.sid, asked.at) as SessionData | undefined
    } catch (error) {
      asked.error = error
    }
  }
}
