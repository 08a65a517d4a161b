/**
 * How an operation answers: its callback from the event loop, once, or a promise where there is none.
 */
import type { Store } from 'express-session'
import { show } from './core/option-values.js'

/** express-session's own type for it, `any`: a callback that names another fits the stores there. */
type CallbackError = Parameters<Parameters<Store['get']>[1]>[0]

/** How an operation answers a callback. */
export type Callback<T = void> = (error: CallbackError, value?: T) => void

/** Answers when a promise settles, or hands it on where there is no callback. */
export function settle<T>(promise: Promise<T>, callback?: Callback<T>): Promise<T> | void {
  if (typeof callback !== 'function') return promise
  promise.then(
    (value) => nextTick(answerOf(callback, value)),
    (error: unknown) => answerError(callback, error),
  )
}

/**
 * As they are when this is loaded, as in MemoryStore: tests that fake timers would wait for an answer
 * for ever.
 */
const { setImmediate } = globalThis
const nextTick = process.nextTick.bind(process)

/** So many answers may follow from others before the loop turns: a millisecond's worth or so. */
const CHAINED_MOST = 256

/** Whether a callback of somebody's is being called. */
let answering = false
/** How many have, whoever asked. */
let chained = 0
/**
 * What comes right after an answer waits for this. process.nextTick makes an object each time, of a
 * hidden class that V8 forgets and has no room to learn anew in a process with many objects keyed by
 * data: a `touch` then takes twice as long, in Node 20 at least.
 */
const now = Promise.resolve()

/** The answers that one turn of the loop begins with. */
class Turn {
  left = 0
  #over: Promise<void> | undefined
  #end: (() => void) | undefined

  /** Resolves when all of them have been given. */
  get over(): Promise<void> {
    return (this.#over ??= new Promise((resolve) => (this.#end = resolve)))
  }

  end(): void {
    this.#end?.()
  }
}

/** The turn that is under way, or was last. */
let turn = new Turn()
/** The one after it, once there is anything to answer in it. */
let nextTurn: Turn | undefined

/** Answers from the event loop, as {@link soon} says. */
export function answerSoon<T>(callback: Callback<T>, value: T | undefined): void {
  soon(answerOf(callback, value))
}

/**
 * Runs an answer from the event loop: what the requests of one turn ask for together, as MemoryStore
 * does, so that each stage of the app is run for all of them; what is asked for in an answer right
 * after those, as a rule without another turn; but not without end, or nobody else would get one.
 */
export function soon(answer: () => void): void {
  if (answering && chained < CHAINED_MOST) {
    if (chained++ === 0) setImmediate(turned)
    void (turn.left > 0 ? turn.over : now).then(answer)
    return
  }
  nextTurn ??= new Turn()
  nextTurn.left++
  setImmediate(run, answer, nextTurn)
}

function run(answer: () => void, its: Turn): void {
  if (turn !== its) {
    turn = its
    nextTurn = undefined
  }
  answer()
  if (--its.left === 0) its.end()
}

function turned(): void {
  chained = 0
}

/**
 * Lets go of the value in answering: Node's queue may hand out entries that V8 has made among the
 * old, and what one of them still refers to when it is done would outlive every collection of the
 * young: half the speed of `get`, in every second process of Node 20.
 */
function answerOf<T>(callback: Callback<T>, value: T | undefined): () => void {
  return () => {
    const answer = value
    value = undefined
    answerNow(callback, answer)
  }
}

/** Calls a callback where nothing of ours is under way. */
export function answerNow<T>(callback: Callback<T>, value: T | undefined): void {
  answering = true
  try {
    callback(null, value)
  } catch (error) {
    throwLater(error)
  } finally {
    answering = false
  }
}

/** Throws what is not of our making where nothing is under way: an uncaught exception, as it should be. */
export function throwLater(error: unknown): void {
  nextTick(() => {
    throw error
  })
}

/** Answers with an error. */
export function fail(error: unknown, callback?: Callback<never>): Promise<never> | void {
  if (typeof callback !== 'function') return Promise.reject(error)
  answerError(callback, error)
}

/** A rejection that nobody takes ends no process, as it would by itself. */
export function quiet<T>(answer: T): T {
  if (answer instanceof Promise) answer.catch(() => undefined)
  return answer
}

/** What is as good as nothing would tell the callback that all went well. */
export function answerError(callback: Callback<never>, error: unknown): void {
  const told = error || new Error(`Something without a value was thrown: ${show(error)}`)
  nextTick(callback, told)
}
