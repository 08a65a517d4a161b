/**
 * When work goes on: long work in slices, tasks one after the other, attempts after a pause.
 *
 * Everything that visits a million sessions takes its turns through here, so that the event loop
 * belongs to the requests. No I/O.
 */
import type { Clock } from './clock.js'
import { setImmediate as immediate } from 'node:timers/promises'

/** How long a slice may hold the loop, in milliseconds. */
const SLICE = 2
/** Slots between two looks at the time. A session that expires may take a good ten microseconds. */
export const SLOTS_AT_ONCE = 32

/** Says when a slice has lasted long enough. */
export class Pace {
  #until = performance.now() + SLICE

  get due(): boolean {
    return performance.now() >= this.#until
  }

  /** Lets everything else that waits for the loop go first. */
  async pause(): Promise<void> {
    await immediate()
    this.#until = performance.now() + SLICE
  }
}

/** Steps through long work to its end. */
export async function paced(steps: Iterator<unknown>): Promise<void> {
  const pace = new Pace()
  while (!steps.next().done) if (pace.due) await pace.pause()
}

/** Chunks are gathered to about this many bytes a write; one more has room behind them. */
const WRITE_AT_ONCE = 256 * 1024
const GATHER_ROOM = WRITE_AT_ONCE * 1.5

/** Chunks on their way to one write. What it hands out holds until the next one is added. */
export class Gathering {
  readonly #room = Buffer.allocUnsafeSlow(GATHER_ROOM)
  #bytes = 0

  get empty(): boolean {
    return this.#bytes === 0
  }

  /** Adds a chunk. @returns what is to be written by that */
  *add(chunk: Buffer): Generator<Buffer, void, void> {
    if (!this.empty && this.#bytes + chunk.length > GATHER_ROOM) yield this.take()
    if (chunk.length > GATHER_ROOM) yield chunk
    else this.#bytes += chunk.copy(this.#room, this.#bytes)
    if (this.#bytes >= WRITE_AT_ONCE) yield this.take()
  }

  /** All that is left, which is forgotten here. */
  take(): Buffer {
    const taken = this.#room.subarray(0, this.#bytes)
    this.#bytes = 0
    return taken
  }
}

/**
 * Chunks, gathered, with pauses in which the loop belongs to others. Either holds until the next
 * one is asked for.
 *
 * @param abort asked between chunks; true: throws an AbortedError
 * @param onDone told what `chunks` returns, before the last of them is handed out
 */
export async function* inSlices<T>(
  chunks: Generator<Buffer, T, void>,
  abort: () => boolean,
  onDone: (result: T) => void,
): AsyncGenerator<Buffer, void, void> {
  const pace = new Pace()
  const gathering = new Gathering()
  for (;;) {
    if (abort()) throw new AbortedError()
    const { value, done } = chunks.next()
    if (done) {
      onDone(value)
      break
    }
    yield* gathering.add(value)
    if (pace.due) await pace.pause()
  }
  yield gathering.take()
}

/**
 * Chunks, some joined at a time: what is written at once shares a sync. As many as a slice makes:
 * small records are many, and each may have to be waited for. Either holds until the next one is
 * asked for.
 *
 * @param gathering to be used for nothing else meanwhile
 */
export function* joined(
  chunks: Iterable<Buffer>,
  gathering: Gathering,
): Generator<Buffer, void, void> {
  // Perhaps whoever asked before gave up.
  gathering.take()
  let pace = new Pace()
  for (const chunk of chunks) {
    yield* gathering.add(chunk)
    if (!gathering.empty && !pace.due) continue
    if (!gathering.empty) yield gathering.take()
    pace = new Pace()
  }
  if (!gathering.empty) yield gathering.take()
}

/** Work was given up because the store closes. */
export class AbortedError extends Error {}

/** Runs tasks one after the other, in the order they came. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  run<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(task, task)
    this.#last = turn
    return turn
  }
}

/** Begins a task, unless the one before is still under way: a disk that hangs is asked once. */
export function oneAtATime(task: () => Promise<void>): () => void {
  let running = false
  return () => {
    if (running) return
    running = true
    void task().finally(() => (running = false))
  }
}

/** Pauses after failures, each twice the one before, from a second to a minute. */
export class BackOff {
  readonly #clock: Clock
  #failures = 0
  #cancel: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether a pause is under way. */
  get waiting(): boolean {
    return this.#cancel !== undefined
  }

  /** Calls back after the next pause. */
  wait(callback: () => void): void {
    this.#cancel?.()
    const pause = Math.min(1000 * 2 ** this.#failures++, 60_000)
    this.#cancel = this.#clock.after(pause, () => {
      this.#cancel = undefined
      callback()
    })
  }

  /** Ends a pause without calling back; the next one is the shortest again. */
  reset(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#failures = 0
  }
}
