/**
 * The example app as a process of its own, from the built package. In: a session file and how to
 * end it. Out: what it printed, where it listens, how it exited, and what its pages show. It kills
 * what it started when the stage is cleared, and nothing else.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Client } from './client.js'
import type { Stage } from './stage.js'

const script = fileURLToPath(new URL('../../examples/express/server.js', import.meta.url))
const built = fileURLToPath(new URL('../../dist/index.js', import.meta.url))

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface Shop {
  origin: string
  client: Client
  /** What it has printed so far, notices and errors included. */
  printed: () => string
  /** Sends signals, or makes the request that ends it, and waits for its end. */
  end: (...how: (NodeJS.Signals | '/exit' | '/crash')[]) => Promise<Exit>
}

/** Starts the shop on the stage's session file; resolves when it listens. */
export async function startShop(stage: Stage, env: Record<string, string> = {}): Promise<Shop> {
  if (!existsSync(built)) throw new Error('Expected a build in dist/: run `npm run build` first')
  const child = spawn(process.execPath, [script], {
    cwd: stage.folder,
    env: {
      ...process.env,
      NODE_ENV: 'development',
      PORT: '0',
      SESSION_FILE: stage.path,
      EXAMPLE_FAULTS: '1',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit').then(([code, signal]): Exit => ({
    code: code as Exit['code'],
    signal: signal as Exit['signal'],
  }))
  stage.finally(async () => {
    child.kill('SIGKILL')
    await exited
  })

  let printed = ''
  const listening = new Promise<string>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        printed += text
        const port = /Listening on http:\/\/localhost:(\d+)/.exec(printed)?.[1]
        if (port) resolve(`http://127.0.0.1:${port}`)
      })
    }
  })
  const origin = await Promise.race([
    listening,
    exited.then(({ code }) => {
      throw new Error(`The shop ended with code ${code} before it listened:\n${printed}`)
    }),
  ])
  const client = new Client(origin)

  return {
    origin,
    client,
    printed: () => printed,
    end: async (...how) => {
      for (const way of how) {
        if (way.startsWith('/')) await client.post(way, {}, { cookie: '' })
        else child.kill(way as NodeJS.Signals)
      }
      return exited
    },
  }
}

/** What the front page shows this visitor. */
export interface Seen {
  user: string | undefined
  views: number
  cart: string[]
  messages: string[]
  restored: number
}

export async function see(client: Client): Promise<Seen> {
  const { status, body } = await client.get()
  if (status !== 200) throw new Error(`Expected the front page, got status ${status}`)
  const all = (pattern: RegExp) => [...body.matchAll(pattern)].map(([, found]) => found ?? '')
  return {
    user: all(/<b data-user>([^<]*)</g)[0],
    views: Number(all(/data-views>(\d+)</g)[0]),
    cart: all(/data-cart="([^"]*)"/g),
    messages: all(/role="status">([^<]*)</g),
    restored: Number(all(/data-restored="(\d+)"/g)[0]),
  }
}
