/**
 * A process that is asked to end: its requests are finished, its sessions saved.
 *
 * In come the server (or several), the store and signals; out go an order of events and an exit
 * code. Knows of HTTP only which connections still wait for an answer, and nothing of sessions. It
 * ends the process, and does so in every case but that of a disk that never answers.
 */
import { Server as HttpServer, type ServerResponse } from 'node:http'
import type { ServerHttp2Session } from 'node:http2'
import { Server as HttpsServer } from 'node:https'
import type { Server, Socket } from 'node:net'
import { constants } from 'node:os'
import { setImmediate as immediate } from 'node:timers/promises'
import { StoreError, type StoreErrorCode, warn, withCode } from './core/errors.js'
import { LONGEST_TIMER, show, typeName, wrong } from './core/option-values.js'

/** The options of {@link gracefulShutdown}. */
export interface ShutdownOptions {
  /**
   * Milliseconds that requests in flight get, 100 at least. Keep it below the time after which the
   * process manager kills (Docker 10 s, PM2 1.6 s, Kubernetes 30 s, systemd 90 s). Default: 10 000.
   */
  timeout?: number | undefined
  /** The signals that end the process. Default: `['SIGTERM', 'SIGINT']`. nodemon sends `'SIGUSR2'`. */
  signals?: readonly NodeJS.Signals[] | undefined
}

/** The store, as far as it is of concern here. */
interface Closable {
  flush(): Promise<unknown>
  close(): Promise<unknown>
}

/** Ctrl-C reaches a process under npm twice: from the terminal and, a moment later, from npm. */
const ECHO = 500
/** How often connections are looked through for idle ones, in ms. */
const SWEEP = 50
/** What it takes to find out which connections are idle, in ms. */
const LEAST = 2 * SWEEP
/** Codes of errors that say that another process writes the files. */
const OTHERS: readonly StoreErrorCode[] = ['ERR_OWNED', 'ERR_LEASE_LOST']

/**
 * Ends the process well when it is asked to: on a signal the server stops accepting, requests in
 * flight are finished, idle connections are closed, then the store is closed and the process exits.
 *
 * Call it once, before the servers get their first request, with every server of the process. It
 * takes http, https and http2 servers. A WebSocket or an event stream counts as a request in flight:
 * end yours on the same signal, or they are cut when `timeout` is over.
 *
 * The exit code is
 * - `0` when all went well, whatever the signal. Managers take that for a clean end: systemd does
 *   not call the unit failed, Kubernetes shows `Completed`, npm prints no error. 143, which a
 *   process killed by SIGTERM seems to have in a shell, would be a failure to all of them.
 * - `1` when something was lost: requests were cut after `timeout` (sessions are saved all the
 *   same), or sessions could not be written, because of the disk or because another process has the
 *   files. A process warning says which, with code `PMS_SHUTDOWN_TIMEOUT` or `PMS_SHUTDOWN_UNSAVED`.
 * - 128 + the signal's number, as shells do, when a second signal comes meanwhile: the process
 *   exits at once, and the store's `flushOnExit` writes what is unsaved. The same signal once more
 *   within half a second is no second signal: npm passes on the Ctrl-C that all have received.
 *
 * @returns a function that undoes it; a shutdown that has begun goes on
 * @throws TypeError or RangeError with code `ERR_OPTION_UNKNOWN` or `ERR_OPTION_VALUE`
 */
export function gracefulShutdown(
  server: Server | readonly Server[],
  store: Closable,
  options?: ShutdownOptions | null,
): () => void {
  const { timeout, signals } = check(server, store, options ?? {})
  const drains = [server].flat().map((one) => new Drain(one))
  let begun: { signal: NodeJS.Signals; at: number } | undefined

  const onSignal = (signal: NodeJS.Signals): void => {
    if (!begun) {
      begun = { signal, at: performance.now() }
      void shutDown(drains, store, timeout).then((code) => process.exit(code))
    } else if (signal !== begun.signal || performance.now() - begun.at >= ECHO) {
      process.exit(128 + constants.signals[signal])
    }
  }
  for (const signal of signals) process.on(signal, onSignal)
  return () => {
    for (const signal of signals) process.off(signal, onSignal)
    for (const drain of drains) drain.forget()
  }
}

/** Resolves with the exit code. */
async function shutDown(drains: Drain[], store: Closable, timeout: number): Promise<number> {
  let code = 0
  const drained = Promise.all(drains.map((drain) => drain.begin()))
  // A manager that loses patience while requests go on shall find this much on disk.
  store.flush().catch(ignore)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(resolve, timeout, true)))
  if ((await Promise.race([drained, late])) === true) {
    code = 1
    warn(
      'PMS_SHUTDOWN_TIMEOUT',
      `Requests were still in flight after ${timeout} ms and have been cut; saving the sessions`,
    )
    for (const drain of drains) drain.cut()
  }
  clearTimeout(timer)
  try {
    await save(store)
  } catch (error) {
    code = 1
    const reason = error instanceof Error ? error.message : String(error)
    warn('PMS_SHUTDOWN_UNSAVED', `The last changes of sessions are lost: ${reason}`)
  }
  // A warning is printed a turn later.
  await immediate()
  return code
}

/** Flushes and closes. Rejects also where another process has the files, which `close` leaves to an event. */
async function save(store: Closable): Promise<void> {
  const [flushed] = await Promise.allSettled([store.flush()])
  await store.close()
  if (flushed.status === 'fulfilled') return
  const error: unknown = flushed.reason
  if (error instanceof StoreError && OTHERS.includes(error.code)) throw error
}

/** One server, its connections, and the answers it owes. */
class Drain {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #sessions = new Set<ServerHttp2Session>()
  readonly #responses = new Set<ServerResponse>()
  #draining = false

  constructor(server: Server) {
    this.#server = server
    server.on('connection', this.#onSocket)
    server.on('secureConnection', this.#onSocket)
    server.on('session', this.#onSession)
    // On an http2 server this would switch its compatibility layer on; there `close` is enough.
    if (server instanceof HttpServer || server instanceof HttpsServer) {
      server.prependListener('request', this.#onRequest)
    }
  }

  /** Stops accepting; resolves when the last connection has ended. */
  async begin(): Promise<void> {
    this.#draining = true
    // Answers as well where it wasn't listening, or not any more, and has no connections left.
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const response of this.#responses) lastOfItsConnection(response)
    for (const session of this.#sessions) session.close()
    const sweep = setInterval(() => this.#sweep(), SWEEP)
    await closed
    clearInterval(sweep)
  }

  /** Ends every connection, whatever it is doing. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  forget(): void {
    this.#server.off('connection', this.#onSocket)
    this.#server.off('secureConnection', this.#onSocket)
    this.#server.off('session', this.#onSession)
    this.#server.off('request', this.#onRequest)
  }

  readonly #onSocket = (socket: Socket): void => {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  readonly #onSession = (session: ServerHttp2Session): void => {
    this.#sessions.add(session)
    session.once('close', () => this.#sessions.delete(session))
    if (this.#draining) session.close()
  }

  readonly #onRequest = (_request: unknown, response: ServerResponse): void => {
    this.#responses.add(response)
    response.once('close', () => this.#responses.delete(response))
    if (this.#draining) lastOfItsConnection(response)
  }

  /** Ends connections that nobody waits on, those that never carried a byte included. */
  #sweep(): void {
    const { closeIdleConnections } = this.#server as Partial<HttpServer>
    closeIdleConnections?.call(this.#server)
    // Browsers open connections ahead of time. To Node one is busy until its first request.
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy()
  }
}

function lastOfItsConnection(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('Connection', 'close')
}

function check(
  server: unknown,
  store: unknown,
  options: ShutdownOptions,
): Required<{ [K in keyof ShutdownOptions]: NonNullable<ShutdownOptions[K]> }> {
  const servers: unknown[] = [server].flat()
  const at = servers.findIndex((one) => !has(one, 'close') || !has(one, 'prependListener'))
  if (servers.length === 0 || at >= 0) {
    const odd = servers[at]
    const expected = 'what `http.createServer` or `app.listen` returns, or several of them'
    throw wrong('server', expected, odd, false, at < 0 ? 'an empty array' : typeName(odd))
  }
  if (!has(store, 'flush') || !has(store, 'close')) {
    throw wrong('store', 'a PersistentMemoryStore', store, false, typeName(store))
  }
  const given: unknown = options
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw wrong('options', 'an object', given, false)
  }
  for (const name of Object.keys(options)) {
    if (name === 'timeout' || name === 'signals') continue
    const message = `Unknown option \`${name.slice(0, 40)}\`; the options are timeout, signals`
    throw withCode(new TypeError(message), 'ERR_OPTION_UNKNOWN')
  }
  const timeout: unknown = options.timeout ?? 10_000
  if (typeof timeout !== 'number' || !(timeout >= 0 && timeout <= LONGEST_TIMER)) {
    const expected = `a number of milliseconds from 0 to ${LONGEST_TIMER}`
    throw wrong('timeout', expected, timeout, typeof timeout === 'number')
  }
  const signals: unknown = options.signals ?? ['SIGTERM', 'SIGINT']
  if (!Array.isArray(signals) || !signals.every(isCatchable)) {
    const expected = "an array of signals like 'SIGTERM' that can be caught"
    const list: readonly unknown[] | undefined = Array.isArray(signals) ? signals : undefined
    const got = list ? `one with ${show(list.find((one) => !isCatchable(one)))}` : undefined
    throw wrong('signals', expected, signals, false, got)
  }
  return { timeout: Math.max(timeout, LEAST), signals: [...new Set(signals)] }
}

function has(value: unknown, method: string): boolean {
  return typeof (value as Record<string, unknown> | null | undefined)?.[method] === 'function'
}

function isCatchable(signal: unknown): signal is NodeJS.Signals {
  const known = typeof signal === 'string' && Object.hasOwn(constants.signals, signal)
  return known && signal !== 'SIGKILL' && signal !== 'SIGSTOP'
}

function ignore(): void {
  // The store has reported it.
}
