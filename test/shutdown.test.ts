/**
 * gracefulShutdown from outside: a server in a process of its own, from the built package, is sent
 * signals while requests and connections are in various states. What counts is what its clients get,
 * how it exits, what it prints, and what the next process finds in the file.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { Agent, createServer, type IncomingMessage, request } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { Agent as TlsAgent, request as requestTls } from 'node:https'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import express from 'express'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { gracefulShutdown, PersistentMemoryStore } from '../src/index.js'
import { Stage } from './http/stage.js'
import { stopwatch } from './support/patience.js'

/** No certificate to make, none to expire: both sides know a key. */
const psk = { ciphers: 'PSK', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const
const pskClient = {
  ...psk,
  pskCallback: () => ({ psk: Buffer.from('0123456789abcdef'), identity: 'test' }),
  checkServerIdentity: () => undefined,
}

/** Sessions that take longer to be written than a message does to arrive. */
const MANY = 250_000

/** The server. A message from the test lets a request go on, or has something else done. */
const script = `
import { createServer } from 'node:http'
import { createServer as createHttp2 } from 'node:http2'
import { createServer as createTls } from 'node:https'
import { gracefulShutdown, PersistentMemoryStore } from ${JSON.stringify(
  new URL('../dist/index.js', import.meta.url).href,
)}

const { path, kind = 'http', store: storeOptions, shutdown, early, many = 0 } = JSON.parse(process.argv[2])
const psk = { ...${JSON.stringify(psk)}, pskCallback: () => Buffer.from('0123456789abcdef') }
const store = new PersistentMemoryStore({ snapshotPath: path, ...storeOptions })
const waiting = []
const set = (sid, n) => store.set(sid, { cookie: {}, n })

async function answer(req, res) {
  if (req.url === '/') return res.end('here')
  if (req.url === '/stream') res.writeHead(200).write('first ')
  await set(req.url + ' begun', 1)
  process.send(req.url)
  await new Promise((resolve) => waiting.push(resolve))
  await set(req.url + ' done', 2)
  res.end('done')
}

const make = { http: createServer, https: (on) => createTls(psk, on), http2: createHttp2 }[kind]
const servers = [make(answer), createServer(answer)]
const undo = gracefulShutdown(servers, store, shutdown)
process.on('message', (message) => {
  if (message === 'go on') return waiting.shift()()
  if (message === 'undo') undo()
  if (message === 'set') void set('late', 3)
  if (message === 'close') servers[0].close()
  process.send(message)
})
if (early) {
  void set('early', 4)
  process.kill(process.pid, 'SIGTERM')
} else {
  await store.ready()
  for (let i = 0; i < many; i++) void set('many ' + i, i)
  for (const server of servers) await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  process.send(servers.map((server) => server.address().port))
}
`

interface Options {
  kind?: 'http' | 'https' | 'http2'
  store?: ConstructorParameters<typeof PersistentMemoryStore>[0]
  shutdown?: { timeout?: number; signals?: NodeJS.Signals[] }
  /** Be asked to end before the sessions have been read, and before listening. */
  early?: boolean
  /** Sessions to set at the start. */
  many?: number
}

class Subject {
  readonly child: ChildProcess
  readonly ended: Promise<{ code: number | null; signal: string | null; printed: string }>
  port = 0
  otherPort = 0

  constructor(file: string, path: string, options: Options) {
    this.child = fork(file, [JSON.stringify({ path, ...options })], { silent: true })
    let printed = ''
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => (printed += text))
    }
    this.ended = once(this.child, 'close').then(([code, signal]) => ({ code, signal, printed }))
  }

  /** What it sends next; an end of the process is a failure. */
  async next(): Promise<unknown> {
    const gone = this.ended.then(({ printed }) => Promise.reject(new Error(`ended: ${printed}`)))
    const [message] = await Promise.race([once(this.child, 'message'), gone])
    gone.catch(() => {})
    return message
  }

  async tell(message: string): Promise<void> {
    const echo = this.next()
    this.child.send(message)
    expect(await echo).toBe(message)
  }

  goOn(): void {
    this.child.send('go on')
  }

  /** Sends a signal and waits until connections are refused. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', port = this.port): Promise<void> {
    this.child.kill(signal)
    for (;;) {
      const socket = connect(port, '127.0.0.1')
      try {
        await once(socket, 'connect')
        socket.destroy()
      } catch {
        return
      }
    }
  }
}

let stage: Stage
beforeEach(async () => {
  stage = await Stage.set()
})
afterEach(() => stage.clear())

const pathOf = () => join(stage.folder, 'sessions', 'sessions.snapshot')

async function start(options: Options = {}): Promise<Subject> {
  const file = join(stage.folder, 'server.mjs')
  await writeFile(file, script)
  const subject = new Subject(file, pathOf(), options)
  stage.finally(async () => {
    subject.child.kill('SIGKILL')
    await subject.ended
  })
  if (!options.early) [subject.port, subject.otherPort] = (await subject.next()) as [number, number]
  return subject
}

/** The sids that the next process finds. */
async function kept(): Promise<string[]> {
  const store = new PersistentMemoryStore({ snapshotPath: pathOf() })
  stage.finally(() => store.close())
  return (await store.ids()).sort()
}

interface Got {
  response: IncomingMessage
  body: string
}

function ask(port: number, path: string, agent: Agent, send = request): Promise<Got> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, agent, ...(send === request ? {} : pskClient) }
    const sent = send(options, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => resolve({ response, body }))
      response.on('error', reject)
    })
    sent.on('error', reject).end()
  })
}

function agentOf(kind: 'http' | 'https'): { agent: Agent; send: typeof request } {
  const agent = kind === 'http' ? new Agent({ keepAlive: true }) : new TlsAgent({ keepAlive: true })
  stage.finally(() => agent.destroy())
  return { agent, send: kind === 'http' ? request : requestTls }
}

describe.each(['http', 'https'] as const)('a server of %s', (kind) => {
  test('finishes a request in flight, keeps what it did, and exits with 0', async () => {
    const { agent, send } = agentOf(kind)
    const subject = await start({ kind })
    const answer = ask(subject.port, '/slow', agent, send)
    expect(await subject.next()).toBe('/slow')
    await subject.stop()
    subject.goOn()
    const { body, response } = await answer
    expect(body).toBe('done')
    expect(response.headers.connection).toBe('close')
    expect(await subject.ended).toEqual({ code: 0, signal: null, printed: '' })
    expect(await kept()).toEqual(['/slow begun', '/slow done'])
  })

  test('does not wait for idle connections, used or not', async () => {
    const { agent, send } = agentOf(kind)
    const subject = await start({ kind })
    const { response } = await ask(subject.port, '/', agent, send)
    expect(response.headers.connection).toBe('keep-alive')
    const raw = connect(subject.port, '127.0.0.1').on('error', () => {})
    await once(raw, 'connect')
    const where = { port: subject.port, host: '127.0.0.1' }
    const unused = kind === 'http' ? connect(where) : connectTls({ ...where, ...pskClient })
    unused.on('error', () => {})
    await once(unused, kind === 'http' ? 'connect' : 'secureConnect')
    const spent = stopwatch()
    subject.child.kill('SIGTERM')
    expect(await subject.ended).toEqual({ code: 0, signal: null, printed: '' })
    // Node keeps an idle connection for 5 s and an unused one for 60; the timeout is at 10.
    expect(spent()).toBeLessThan(4000)
  })
})

test('a connection whose answer had begun is closed when it is finished', async () => {
  const { agent, send } = agentOf('http')
  const subject = await start()
  const answer = ask(subject.port, '/stream', agent, send)
  await subject.next()
  await subject.stop()
  const spent = stopwatch()
  subject.goOn()
  expect((await answer).body).toBe('first done')
  expect((await subject.ended).code).toBe(0)
  expect(spent()).toBeLessThan(4000)
})

test('an http2 stream in flight is finished, an idle session is not waited for', async () => {
  const subject = await start({ kind: 'http2' })
  const [busy, idle] = [0, 1].map(() => {
    const session = connectHttp2(`http://127.0.0.1:${subject.port}`)
    stage.finally(() => session.destroy())
    return session
  })
  const first = idle!.request({ ':path': '/' }).resume()
  await once(first, 'end')
  const stream = busy!.request({ ':path': '/slow' }).setEncoding('utf8')
  expect(await subject.next()).toBe('/slow')
  await subject.stop()
  if (!idle!.destroyed) await once(idle!, 'close')
  subject.goOn()
  const [body] = await once(stream, 'data')
  expect(body).toBe('done')
  expect(await subject.ended).toEqual({ code: 0, signal: null, printed: '' })
  expect(await kept()).toEqual(['/slow begun', '/slow done'])
})

test('of several servers, each is waited for', async () => {
  const { agent, send } = agentOf('http')
  const subject = await start()
  const answer = ask(subject.otherPort, '/slow', agent, send)
  await subject.next()
  await subject.stop('SIGTERM', subject.otherPort)
  await expect(ask(subject.port, '/', agent, send)).rejects.toThrow('ECONNREFUSED')
  subject.goOn()
  expect((await answer).body).toBe('done')
  expect((await subject.ended).code).toBe(0)
})

test('a server that has stopped listening by itself is waited for as well', async () => {
  const { agent, send } = agentOf('http')
  const subject = await start()
  const answer = ask(subject.port, '/slow', agent, send)
  await subject.next()
  await subject.tell('close')
  await subject.stop('SIGTERM', subject.otherPort)
  // Long enough for a process that waits for nobody to be gone.
  await wait(300)
  subject.goOn()
  expect((await answer).body).toBe('done')
  expect((await subject.ended).code).toBe(0)
})

test('past the timeout requests are cut, what they did is kept, and it says so', async () => {
  const { agent, send } = agentOf('http')
  const subject = await start({ shutdown: { timeout: 300 }, store: { durability: 'snapshot' } })
  const answer = ask(subject.port, '/slow', agent, send)
  answer.catch(() => {})
  await subject.next()
  await subject.stop()
  await subject.tell('set')
  await expect(answer).rejects.toThrow(/hang up|ECONNRESET/)
  const { code, printed } = await subject.ended
  expect(code).toBe(1)
  expect(printed).toMatch(/\[PMS_SHUTDOWN_TIMEOUT\].*after 300 ms/)
  expect(await kept()).toEqual(['/slow begun', 'late'])
})

test('past the timeout nobody is kept waiting for the sessions to be written', async () => {
  const { agent, send } = agentOf('http')
  const options = { shutdown: { timeout: 100 }, store: { durability: 'snapshot' } } as const
  const subject = await start({ ...options, many: MANY })
  const answer = ask(subject.port, '/slow', agent, send)
  answer.catch(() => {})
  await subject.next()
  await subject.stop()
  await expect(answer).rejects.toThrow(/hang up|ECONNRESET/)
  await subject.tell('still here')
  expect((await subject.ended).code).toBe(1)
  expect(await kept()).toHaveLength(MANY + 1)
})

describe('a second signal', () => {
  test('ends it at once, and what is unsaved is written', async () => {
    const { agent, send } = agentOf('http')
    const subject = await start({ store: { durability: 'snapshot' } })
    const answer = ask(subject.port, '/slow', agent, send)
    answer.catch(() => {})
    await subject.next()
    await subject.stop()
    await subject.tell('set')
    subject.child.kill('SIGINT')
    expect(await subject.ended).toEqual({ code: 130, signal: null, printed: '' })
    expect(await kept()).toEqual(['/slow begun', 'late'])
  })

  test('loses nothing while the sessions are being written', async () => {
    const subject = await start({ many: MANY, store: { durability: 'snapshot' } })
    await subject.stop('SIGTERM')
    subject.child.kill('SIGINT')
    expect((await subject.ended).code).toBe(130)
    expect(await kept()).toHaveLength(MANY)
  })

  test('is none where it is the same and comes at once, as under npm', async () => {
    const { agent, send } = agentOf('http')
    const subject = await start()
    const answer = ask(subject.port, '/slow', agent, send)
    answer.catch(() => {})
    await subject.next()
    await subject.stop('SIGINT')
    subject.child.kill('SIGINT')
    await subject.tell('set')
    subject.goOn()
    expect((await answer).body).toBe('done')
    expect((await subject.ended).code).toBe(0)
  })

  test('is one where somebody presses Ctrl-C again', async () => {
    const { agent, send } = agentOf('http')
    const subject = await start()
    ask(subject.port, '/slow', agent, send).catch(() => {})
    await subject.next()
    await subject.stop('SIGINT')
    await wait(600)
    subject.child.kill('SIGINT')
    expect((await subject.ended).code).toBe(130)
  })
})

test('the signals are those that were named', async () => {
  const subject = await start({ shutdown: { signals: ['SIGUSR2'] } })
  await subject.tell('set')
  subject.child.kill('SIGUSR2')
  expect(await subject.ended).toEqual({ code: 0, signal: null, printed: '' })
  expect(await kept()).toEqual(['late'])
})

test('undone, a signal ends the process as ever, sessions kept by the store alone', async () => {
  const subject = await start({ store: { durability: 'snapshot' } })
  await subject.tell('undo')
  await subject.tell('set')
  subject.child.kill('SIGTERM')
  expect(await subject.ended).toEqual({ code: null, signal: 'SIGTERM', printed: '' })
  expect(await kept()).toEqual(['late'])
})

test('asked to end while the sessions are being read, it loses none of them', async () => {
  const store = new PersistentMemoryStore({ snapshotPath: pathOf() })
  await store.ready()
  const sids = Array.from({ length: 5000 }, (_, i) => `restored ${i}`)
  await Promise.all(sids.map((sid) => store.set(sid, { cookie: {} } as never)))
  await store.close()
  const subject = await start({ early: true })
  expect(await subject.ended).toEqual({ code: 0, signal: null, printed: '' })
  expect(await kept()).toEqual(['early', ...sids].sort())
})

test('sessions that could not be written make it exit with 1 and say so', async () => {
  const subject = await start()
  const folder = dirname(pathOf())
  await rm(folder, { recursive: true })
  await writeFile(folder, 'in the way')
  await subject.tell('set')
  subject.child.kill('SIGTERM')
  const { code, printed } = await subject.ended
  expect(code).toBe(1)
  expect(printed).toContain('[PMS_SHUTDOWN_UNSAVED]')
  expect(printed).toContain('sessions.snapshot')
  expect(printed).toContain('The last changes of sessions are lost: Expected to write')
  expect(printed).not.toMatch(/PMS_SHUTDOWN_UNSAVED.*tried again/)
  expect(printed).not.toContain('late')
})

test('so do those of a process that waits for another one; without any it exits with 0', async () => {
  const owner = new PersistentMemoryStore({ snapshotPath: pathOf() })
  stage.finally(() => owner.close())
  await owner.ready()
  const idle = await start()
  idle.child.kill('SIGTERM')
  expect(await idle.ended).toMatchObject({ code: 0, printed: '' })

  const subject = await start()
  await subject.tell('set')
  subject.child.kill('SIGTERM')
  const { code, printed } = await subject.ended
  expect(code).toBe(1)
  expect(printed).toContain('[PMS_SHUTDOWN_UNSAVED]')
  expect(printed).not.toContain('late')
})

test('a disk that comes back in time makes it exit with 0', async () => {
  const subject = await start()
  const folder = dirname(pathOf())
  await rm(folder, { recursive: true })
  await writeFile(folder, 'in the way')
  const { agent, send } = agentOf('http')
  const answer = ask(subject.port, '/slow', agent, send)
  await subject.next()
  await subject.stop()
  await rm(folder)
  await mkdir(folder)
  subject.goOn()
  await answer
  expect((await subject.ended).code).toBe(0)
  expect(await kept()).toEqual(['/slow begun', '/slow done'])
})

describe('its arguments', () => {
  const store = { flush: () => Promise.resolve(), close: () => Promise.resolve() }

  test('undo takes away every listener it has added', () => {
    const server = createServer()
    const count = () => [
      ...(['SIGTERM', 'SIGINT'] as const).map((signal) => process.listenerCount(signal)),
      ...['request', 'connection', 'session'].map((event) => server.listenerCount(event)),
    ]
    const before = count()
    const undo = gracefulShutdown(server, store)
    expect(count()).not.toEqual(before)
    undo()
    expect(count()).toEqual(before)
  })

  test.each([
    ['an app in place of a server', [express(), store], /`server`.*got a function/],
    ['no server', [[], store], /`server`.*got an empty array/],
    ['what a wrapper of listen forgot to return', [undefined, store], /`server`.*got undefined/],
    ['the same among others', [[createServer(), undefined], store], /`server`.*undefined/],
    ['no store', [createServer()], /`store`.*got undefined/],
    ['a store and a server the wrong way round', [store, createServer()], /`server`/],
    ['a timeout as text', [createServer(), store, { timeout: '10s' }], /`timeout`.*'10s'/],
    ['one signal', [createServer(), store, { signals: 'SIGTERM' }], /`signals`/],
    ['no signal', [createServer(), store, { signals: ['SIGSTOP'] }], /`signals`.*'SIGSTOP'/],
    ['a timeout in place of options', [createServer(), store, 5000], /`options`.*got 5000/],
    ['a misspelling', [createServer(), store, { timeOut: 1 }], /Unknown option `timeOut`/],
  ])('%s is a TypeError', (_name, args, message) => {
    const call = () => gracefulShutdown(...(args as unknown as [never, never]))
    expect(call).toThrow(TypeError)
    expect(call).toThrow(message)
    expect(call).toThrow(expect.objectContaining({ code: expect.stringMatching(/^ERR_OPTION_/) }))
  })

  test.each([-1, NaN, Infinity, 2 ** 31])('a timeout of %s is a RangeError', (timeout) => {
    expect(() => gracefulShutdown(createServer(), store, { timeout })).toThrow(RangeError)
  })
})
