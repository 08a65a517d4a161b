/** The app that is measured over HTTP, and the load on it. */
import autocannon from 'autocannon'
import { sign } from 'cookie-signature'
import { once } from 'node:events'
import express from 'express'
import session from 'express-session'
import { sessionId } from './sessions.js'

const secret = 'not a secret'
const connections = 50
const sessionsEach = 40
const changeEvery = 10

/** @param {any} store @returns {Promise<number>} the port on loopback */
export async function listen(store) {
  const app = express()
  app.use(session({ store, secret, resave: false, saveUninitialized: false }))
  app.get('/', (request, response) => {
    const { cookie, ...data } = request.session
    response.json({ known: Object.keys(data).length > 0, until: cookie.expires })
  })
  app.get('/count', (request, response) => {
    const kept = /** @type {any} */ (request.session)
    kept.count = (kept.count ?? 0) + 1
    response.json({ count: kept.count })
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return /** @type {import('node:net').AddressInfo} */ (server.address()).port
}

/**
 * @param {{ port: number, count: number, seconds: number }} options
 * @returns {Promise<{ rate: number, p99: number }>} answers a second, ms
 */
export async function load({ port, count, seconds }) {
  /** @type {number[]} */
  const times = []
  let next = 0
  const instance = autocannon({
    url: `http://127.0.0.1:${port}`,
    connections,
    duration: seconds,
    setupClient: (client) => client.setRequests(requests(count, next++)),
  })
  instance.on('response', (_client, status, _bytes, time) => {
    if (status === 200) times.push(time)
  })
  const result = await instance
  const wrong = result.errors + result.timeouts + result.non2xx
  if (wrong > 0) throw new Error(`${wrong} requests failed`)
  times.sort((a, b) => a - b)
  return {
    rate: result.requests.total / result.duration,
    p99: times[Math.floor(times.length * 0.99)] ?? NaN,
  }
}

/** @param {number} count @param {number} connection */
function requests(count, connection) {
  return Array.from({ length: sessionsEach }, (_, i) => {
    const sid = sessionId((connection * sessionsEach + i) % count)
    return {
      method: /** @type {const} */ ('GET'),
      path: i % changeEvery === 0 ? '/count' : '/',
      headers: { cookie: `connect.sid=${encodeURIComponent(`s:${sign(sid, secret)}`)}` },
    }
  })
}
