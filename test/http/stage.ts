/**
 * Where a test over HTTP plays: a folder of its own, the stores and servers opened in it, and
 * express apps around a store. `clear` stops and removes all of it, in reverse order, whatever the
 * test did. No port is fixed and nothing outlives the stage.
 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express5, { type NextFunction, type Request, type Response } from 'express'
import express4 from 'express4'
import session, { type Session, type SessionData, type SessionOptions } from 'express-session'
import { PersistentMemoryStore } from '../../src/index.js'
import { Client } from './client.js'

export type Express = typeof express5

/** Both supported generations of express, for `describe.each`. */
export const generations: { name: string; express: Express }[] = [
  { name: 'express 4', express: express4 },
  { name: 'express 5', express: express5 },
]

export type StoreOptions = NonNullable<ConstructorParameters<typeof PersistentMemoryStore>[0]>

/** What the apps of these tests keep in a session. */
export interface Visit {
  count?: number
  user?: string
  cart?: string[]
  flash?: string
}

/** The session of a request, with the fields of `Visit`. */
export const visit = (req: Request) => req.session as Session & Partial<SessionData> & Visit

/** The cookie of a session as express-session has it at run time; its types know less of it. */
export interface CookieInUse {
  expires?: Date | null
  maxAge?: number | null
  originalMaxAge: number | null
  path?: string
  domain?: string
  httpOnly?: boolean
  sameSite?: boolean | string
  priority?: string
  partitioned?: boolean
}
export const cookieInUse = (req: Request) => req.session.cookie as CookieInUse

export type Handler = (req: Request, res: Response, next: NextFunction) => unknown

export interface Served {
  client: Client
  /** What reached the app's error handler. */
  errors: Error[]
  stop: () => Promise<void>
}

export class Stage {
  readonly folder: string
  readonly #undo: (() => unknown)[] = []

  static async set(): Promise<Stage> {
    return new Stage(await mkdtemp(join(tmpdir(), 'sessions-')))
  }

  private constructor(folder: string) {
    this.folder = folder
  }

  get path(): string {
    return join(this.folder, 'sessions.snapshot')
  }

  /** Does this when the stage is cleared. */
  finally(undo: () => unknown): void {
    this.#undo.push(undo)
  }

  /** A store on this stage's file, ready. */
  async open(options: StoreOptions = {}): Promise<PersistentMemoryStore> {
    const store = new PersistentMemoryStore({ snapshotPath: this.path, ...options })
    this.finally(() => store.close())
    await store.ready()
    return store
  }

  /** Listens on a free port; answers the origin and a way to stop. */
  async listen(listener: RequestListener): Promise<{ origin: string; stop: () => Promise<void> }> {
    const server = createServer(listener)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const stop = () => halt(server)
    this.finally(stop)
    return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop }
  }

  /** An express app with express-session over `options.store`, and a client of it. */
  async serve(
    express: Express,
    options: Partial<SessionOptions>,
    handler: Handler,
  ): Promise<Served> {
    const app = express()
    const errors: Error[] = []
    app.use(session({ secret: 'a secret', resave: false, saveUninitialized: true, ...options }))
    app.use(handler)
    app.use((error: Error, _req: Request, res: Response, _next: NextFunction) => {
      errors.push(error)
      if (!res.headersSent) res.status(500).end(error.message)
    })
    const { origin, stop } = await this.listen(app)
    return { client: new Client(origin), errors, stop }
  }

  async clear(): Promise<void> {
    for (const undo of this.#undo.splice(0).reverse()) await undo()
    await rm(this.folder, { recursive: true, force: true })
  }
}

async function halt(server: Server): Promise<void> {
  if (!server.listening) return
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
}
