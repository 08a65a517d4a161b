/**
 * A clock that tests move. Timers fire in the order in which they are due, and between two of them
 * everything that was set off gets its turns of the loop. Waits for real time only where it is used
 * with a real disk.
 */
import { vi } from 'vitest'
import type { Clock } from '../../src/core/clock.js'

interface Timer {
  at: number
  period: number
  callback: () => void
}

/** What passes by the clock at a time, and really, in ms. */
const STEP = 100
const MOMENT = 20

/** Noon of some day. */
export const NOON = Date.UTC(2024, 4, 5, 12)

export class StubClock implements Clock {
  time: number
  #timers = new Set<Timer>()

  constructor(time = NOON) {
    this.time = time
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size
  }

  now(): number {
    return this.time
  }

  after(ms: number, callback: () => void): () => void {
    return this.#add({ at: this.time + ms, period: 0, callback })
  }

  every(ms: number, callback: () => void): () => void {
    return this.#add({ at: this.time + ms, period: ms, callback })
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve))
  }

  /** Lets `ms` pass, timer by timer. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms
    await settle()
    for (let due = this.#next(end); due; due = this.#next(end)) {
      this.time = Math.max(this.time, due.at)
      if (due.period > 0) due.at += due.period
      else this.#timers.delete(due)
      due.callback()
      await settle()
    }
    this.time = end
    await settle()
  }

  /** Sets the time without letting any pass: timers stay as far away as they were. */
  jump(ms: number): void {
    this.time += ms
    for (const timer of this.#timers) timer.at += ms
  }

  #add(timer: Timer): () => void {
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  #next(end: number): Timer | undefined {
    const due = [...this.#timers].filter(({ at }) => at <= end)
    return due.sort((a, b) => a.at - b.at)[0]
  }
}

/** Lets `ms` pass by the clock, a little at a time, each with a moment for a real disk to keep up. */
export async function pass(clock: StubClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += STEP) {
    await clock.advance(Math.min(STEP, ms - passed))
    await new Promise((resolve) => setTimeout(resolve, MOMENT))
  }
}

/** Lets time pass by the clock until `work` is done. */
export async function meanwhile<T>(clock: StubClock, work: Promise<T>): Promise<T> {
  const state = { done: false }
  const ended = work.finally(() => (state.done = true))
  ended.catch(() => undefined)
  await settle()
  while (!state.done) await clock.advance(STEP)
  return ended
}

/** Lets everything happen that needs no time to pass. */
export async function settle(turns = 12): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Moves the time that has passed, which no clock can set. */
export function elapsed(): (ms: number) => void {
  let now = 1_000_000
  vi.spyOn(performance, 'now').mockImplementation(() => now)
  return (ms: number) => void (now += ms)
}
