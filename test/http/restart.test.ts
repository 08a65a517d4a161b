/**
 * The example app as a process, ended in every way a process ends and started again on the same
 * file: logged in stays logged in, with cart and waiting message, and logged out stays logged out.
 */
import { readdir, stat } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Client } from './client.js'
import { see, startShop, type Shop } from './shop.js'
import { Stage } from './stage.js'

let stage: Stage
beforeEach(async () => {
  stage = await Stage.set()
})
afterEach(() => stage.clear())

/** Comes in, fills a cart, logs in; the greeting waits for the next page. */
async function logIn({ client }: Shop): Promise<Client> {
  await client.get()
  await client.post('/cart/add', { product: 'beans' })
  await client.post('/cart/add', { product: 'kettle' })
  expect((await see(client)).messages).toHaveLength(2)
  const { status, headers } = await client.post('/login', { user: 'Ada <3' })
  expect([status, headers.location]).toEqual([303, '/'])
  return client
}

/** Logs a second visitor in and out again; answers that one with the cookie from before. */
async function logInAndOut({ client }: Shop): Promise<{ client: Client; cookie: string }> {
  const visitor = client.at(client.origin)
  visitor.jar.clear()
  await visitor.post('/login', { user: 'Ben' })
  const { cookie } = visitor
  expect((await see(visitor)).user).toBe('Ben')
  expect((await visitor.post('/logout')).status).toBe(303)
  return { client: visitor, cookie }
}

async function expectLoggedIn(client: Client): Promise<void> {
  const seen = await see(client)
  expect(seen).toMatchObject({ user: 'Ada &lt;3', views: 3, cart: ['beans', 'kettle'] })
  expect(seen.messages).toEqual([expect.stringContaining('Welcome, Ada &lt;3.')])
  expect((await see(client)).messages).toEqual([])
}

async function expectLoggedOut(client: Client, cookie: string): Promise<void> {
  const { body } = await client.get('/', { cookie })
  expect(body).not.toContain('Ben')
  expect(body).toContain('data-views>1<')
}

describe('the example app', { timeout: 30_000 }, () => {
  test.each([
    ['SIGTERM', ['SIGTERM'], 0],
    ['SIGINT', ['SIGINT'], 0],
    ['SIGINT twice, as Ctrl-C under npm sends it', ['SIGINT', 'SIGINT'], 0],
    ['process.exit(0)', ['/exit'], 0],
    ['an uncaught exception', ['/crash'], 1],
  ] as const)('keeps its sessions over %s', async (_name, how, code) => {
    const shop = await startShop(stage)
    const ada = await logIn(shop)
    const ben = await logInAndOut(shop)
    expect(await shop.end(...how)).toEqual({ code, signal: null })

    const next = await startShop(stage)
    expect((await see(next.client)).restored).toBe(1)
    await expectLoggedIn(ada.at(next.origin))
    await expectLoggedOut(ben.client.at(next.origin), ben.cookie)
    expect(next.printed()).toContain('Restored 1 session in ')

    // And once more: what was done after a restart is kept as well.
    await ada.at(next.origin).post('/cart/remove', { product: 'beans' })
    await next.end('SIGTERM')
    const last = await startShop(stage)
    expect(await see(ada.at(last.origin))).toMatchObject({ views: 5, cart: ['kettle'] })
  })

  test('keeps them where a stop comes while somebody holds a connection open', async () => {
    const shop = await startShop(stage)
    const ada = await logIn(shop)
    const socket = connect(Number(new URL(shop.origin).port), '127.0.0.1').on('error', () => {})
    stage.finally(() => socket.destroy())
    await new Promise((resolve) => socket.once('connect', resolve))
    socket.write('GET /stats HTTP/1.1\r\nHost: shop\r\nConnection: keep-alive\r\n\r\n')
    await new Promise((resolve) => socket.once('data', resolve))
    expect(await shop.end('SIGTERM')).toEqual({ code: 0, signal: null })
    await expectLoggedIn(ada.at((await startShop(stage)).origin))
  })

  test('finishes and keeps what a request in flight does', async () => {
    const shop = await startShop(stage)
    const ada = await logIn(shop)
    await see(ada)
    // A form whose body is still on its way when the signal comes.
    const headers = {
      cookie: ada.cookie,
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': 15,
    }
    const slow = request(`${shop.origin}/cart/add`, { method: 'POST', headers, agent: false })
    const answered = new Promise<number | undefined>((resolve, reject) => {
      slow.on('error', reject)
      slow.on('response', (response) => resolve(response.resume().statusCode))
    })
    slow.write('product=')
    await see(ada)
    const ended = shop.end('SIGTERM')
    await expect.poll(() => ada.get().then(String, () => 'refused')).toBe('refused')
    slow.end('grinder')
    expect(await answered).toBe(303)
    expect(await ended).toEqual({ code: 0, signal: null })
    const next = await startShop(stage)
    expect((await see(ada.at(next.origin))).cart).toEqual(['beans', 'kettle', 'grinder'])
  })

  test('writes files that only its user can read', async () => {
    const shop = await startShop(stage)
    await logIn(shop)
    await shop.end('SIGTERM')
    const names = await readdir(stage.folder)
    expect(names.length).toBeGreaterThan(0)
    for (const name of names) {
      expect((await stat(join(stage.folder, name))).mode & 0o077).toBe(0)
    }
  })

  test('escapes what a visitor enters', async () => {
    const { client } = await startShop(stage)
    await client.post('/login', { user: `<script>"'&` })
    for (const path of ['/', '/stats']) {
      const { body } = await client.get(path)
      expect(body).not.toContain('<script>')
      expect(body).toContain('&lt;script&gt;&quot;&#39;&amp;')
    }
  })

  test('gives a new id at log-in and takes only products it sells', async () => {
    const { client } = await startShop(stage)
    await client.get()
    const before = client.cookie
    await client.post('/login', { user: 'Ada' })
    expect(client.cookie).not.toBe(before)
    for (const product of ['__proto__', 'constructor', 'gold']) {
      await client.post('/cart/add', { product })
    }
    expect((await see(client)).cart).toEqual([])
  })

  test('shows the store’s figures', async () => {
    const { client } = await startShop(stage)
    await client.post('/login', { user: 'Ada' })
    const { status, body } = await client.get('/stats')
    expect(status).toBe(200)
    expect(body.replace(/\s+/g, ' ')).toMatch(/<th scope="row">sessions<\/th> <td>1<\/td>/)
  })

  test('has no way to be ended from outside unless asked for', async () => {
    const { client } = await startShop(stage, { EXAMPLE_FAULTS: '' })
    expect((await client.post('/exit')).status).toBe(404)
    expect((await client.post('/crash')).status).toBe(404)
  })

  test('does not start in production with the secret everybody knows', async () => {
    await expect(startShop(stage, { NODE_ENV: 'production' })).rejects.toThrow(/SESSION_SECRET/)
    const env = { NODE_ENV: 'production', SESSION_SECRET: 'a secret of its own' }
    expect((await see((await startShop(stage, env)).client)).views).toBe(1)
  })
})

// Without a chance to write anything at the end: what the default durability promises is that no
// more than the last second is lost.
describe('kill -9', { timeout: 30_000 }, () => {
  test('one second after a log-in: logged in, with the cart and the message', async () => {
    const shop = await startShop(stage)
    const ada = await logIn(shop)
    await wait(1000)
    expect(await shop.end('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' })
    await expectLoggedIn(ada.at((await startShop(stage)).origin))
  })

  test('one second after a log-out: logged out', async () => {
    const shop = await startShop(stage)
    const ben = await logInAndOut(shop)
    await wait(1000)
    await shop.end('SIGKILL')
    await expectLoggedOut(ben.client.at((await startShop(stage)).origin), ben.cookie)
  })

  test('one second after a log-out of a session from before a restart: logged out', async () => {
    const shop = await startShop(stage)
    await shop.client.post('/login', { user: 'Ben' })
    const { cookie } = shop.client
    await shop.end('SIGTERM')
    const next = await startShop(stage)
    const client = shop.client.at(next.origin)
    expect((await see(client)).user).toBe('Ben')
    await client.post('/logout')
    await wait(1000)
    await next.end('SIGKILL')
    await expectLoggedOut(client.at((await startShop(stage)).origin), cookie)
  })
})
