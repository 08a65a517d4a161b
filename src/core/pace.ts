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

/** Chunks are gathered to about this many bytes a write; one more has room behind them. */
const WRITE_AT_ONCE = 256 * 1024
const GATHER_ROOM = WRITE_AT_ONCE * 1.5

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
  const gathered = Buffer.allocUnsafeSlow(GATHER_ROOM)
  let bytes = 0
  for (;;) {
    if (abort()) throw new AbortedError()
    const { value, done } = chunks.next()
    if (done) {
      onDone(value)
      break
    }
    if (bytes + value.length > GATHER_ROOM) {
      yield gathered.subarray(0, bytes)
      bytes = 0
    }
    if (value.length > GATHER_ROOM) yield value
    else bytes += value.copy(gathered, bytes)
    if (bytes >= WRITE_AT_ONCE) {
      yield gathered.subarray(0, bytes)
      bytes = 0
    }
    if (pace.due) await pace.pause()
  }
  yield gathered.subarray(0, bytes)
}

/**
 * Chunks, some joined at a time: what is written at once shares a sync. As many as a slice makes:
 * small records are many, and each may have to be waited for.
 */
export function* joined(chunks: Iterable<Buffer>): Generator<Buffer, void, void> {
  let some: Buffer[] = []
  let bytes = 0
  let pace = new Pace()
  for (const chunk of chunks) {
    some.push(chunk)
    bytes += chunk.length
    if (bytes < WRITE_AT_ONCE && !pace.due) continue
    yield Buffer.concat(some)
    some = []
    bytes = 0
    pace = new Pace()
  }
  if (bytes > 0) yield some.length === 1 ? some[0]! : Buffer.concat(some)
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
