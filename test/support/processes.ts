/**
 * Stores in processes of their own: started, called, and ended in any way. What has been started
 * is killed after the test, and nothing else.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { SessionData } from 'express-session'
import { afterEach } from 'vitest'
import type { PersistentMemoryStore, StoreStats } from '../../src/index.js'

const script = fileURLToPath(new URL('store-process.js', import.meta.url))
const running = new Set<ChildProcess>()

afterEach(async () => {
  for (const child of running) {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  running.clear()
})

type Options = NonNullable<ConstructorParameters<typeof PersistentMemoryStore>[0]>

interface Answer {
  id?: number
  value?: unknown
  error?: { code: string; message: string }
  event?: string
  payload?: unknown
}

/** A store in another process. */
export class StoreProcess {
  /** The events of the store and the warnings of the process, in order. */
  readonly events: { event: string; payload: unknown }[] = []
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(e: Error): void }>()
  #calls = 0

  /** Starts a process whose store is ready. */
  static async start(options: Options): Promise<StoreProcess> {
    const one = new StoreProcess(options)
    await one.call('ready')
    return one
  }

  private constructor(options: Options) {
    this.#child = fork(script, [JSON.stringify(options)], { execArgv: [] })
    running.add(this.#child)
    this.#child.on('message', (message: Answer) => this.#take(message))
    this.#child.on('exit', () => {
      running.delete(this.#child)
      for (const { reject } of this.#waiting.values()) reject(new Error('The process has ended'))
      this.#waiting.clear()
    })
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** Calls a method of the store; rejects with its error, or when the process ends first. */
  call(method: string, ...args: unknown[]): Promise<unknown> {
    const id = ++this.#calls
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#child.send({ id, method, args }, (error) => {
        if (error) reject(error)
      })
    })
  }

  set(sid: string, session: SessionData): Promise<unknown> {
    return this.call('set', sid, session)
  }

  get(sid: string): Promise<SessionData | undefined> {
    return this.call('get', sid) as Promise<SessionData | undefined>
  }

  async role(): Promise<string | undefined> {
    return ((await this.call('stats')) as StoreStats).ownership?.role
  }

  told(event: string): unknown[] {
    return this.events.filter((one) => one.event === event).map(({ payload }) => payload)
  }

  /** Ends the process; resolves with its exit code and signal when it has ended. */
  async end(signal: NodeJS.Signals): Promise<[number | null, NodeJS.Signals | null]> {
    const exited = once(this.#child, 'exit')
    this.#child.kill(signal)
    const [code, by] = (await exited) as [number | null, NodeJS.Signals | null]
    return [code, by]
  }

  #take({ id, value, error, event, payload }: Answer): void {
    if (event !== undefined) this.events.push({ event, payload })
    if (id === undefined) return
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error) waiting?.reject(Object.assign(new Error(error.message), { code: error.code }))
    else waiting?.resolve(value)
  }
}
