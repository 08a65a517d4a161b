/**
 * Calls of `get` with a callback: those of one turn are read together.
 *
 * Most of reading one of many sessions is waiting for memory, and that can be waited for once for a
 * number of them. Each gets what was there when it was asked for: before anything is changed,
 * {@link Reads.settle} reads what has been put off.
 */
import type { SessionData } from 'express-session'
import { answerError, answerNow, type Callback, soon } from './answer.js'
import type { Engine } from './core/engine.js'

/** A session on its way to whoever asked for it. */
interface Asked {
  readonly sid: string
  read: boolean
  session: SessionData | undefined
  error: unknown
}

export class Reads {
  readonly #engine: Engine
  /** What has been asked for and is not all read. */
  #asked: Asked[] = []
  /** How many of them have been read, and for how many memory is ready. */
  #done = 0
  #ready = 0

  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** Reads a session no later than it answers. */
  ask(sid: string, callback: Callback<SessionData | undefined>): void {
    const asked: Asked = { sid, read: false, session: undefined, error: undefined }
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
    // Reading may run code of the app, which may ask for more, or settle the rest.
    while (this.#done < this.#asked.length) {
      if (this.#done === this.#ready) this.#prefetch()
      this.#read(this.#asked[this.#done++]!)
    }
    this.#asked = []
    this.#done = this.#ready = 0
  }

  #prefetch(): void {
    this.#ready = this.#engine.sessions.prefetch(this.#asked, this.#done)
  }

  #read(asked: Asked): void {
    asked.read = true
    try {
      asked.session = this.#engine.sessions.get(asked.sid) as SessionData | undefined
    } catch (error) {
      asked.error = error
    }
  }
}
