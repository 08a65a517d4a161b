/**
 * The one port that visitors see, in front of the version that is live.
 *
 * A connection belongs to the version that was live when it was made, as behind any load balancer
 * that drains: after a switch new connections go to the new version at once, those that were open
 * move over one by one. No visitor is ever sent back. A request is sent on once, except where it met
 * a connection that was being closed just then and can't have been read.
 */
import { Agent, createServer, request } from 'node:http'

export class Proxy {
  #target
  #connections = new Set()
  #server = createServer((req, res) => void this.#pass(req, res))

  constructor() {
    this.#server.on('connection', (socket) => {
      this.#connections.add(socket)
      socket.target = this.#target
      socket.on('close', () => this.#connections.delete(socket))
    })
  }

  /** Listens on a free port of this machine; resolves with the origin. */
  listen() {
    return new Promise((resolve, reject) => {
      this.#server.on('error', reject)
      this.#server.listen(0, '127.0.0.1', () => {
        resolve(`http://127.0.0.1:${this.#server.address().port}`)
      })
    })
  }

  /** Sends new connections to `origin` now, and the others within `ms`; resolves when all are there. */
  async switchTo(origin, ms) {
    const target = { origin, agent: new Agent({ keepAlive: true }) }
    this.#target = target
    const moves = [...this.#connections].map(async (socket) => {
      await new Promise((resolve) => setTimeout(resolve, ms * Math.random()))
      socket.target = target
    })
    await Promise.all(moves)
  }

  close() {
    this.#target?.agent.destroy()
    this.#server.closeAllConnections()
    return new Promise((resolve) => this.#server.close(resolve))
  }

  async #pass(req, res) {
    const { target } = req.socket
    const chunks = []
    for await (const chunk of req) chunks.push(chunk)
    this.#send(target, req, Buffer.concat(chunks), res, true)
  }

  #send(target, req, body, res, again) {
    const { method, url, headers } = req
    const { connection: _hop, ...rest } = headers
    const sent = request(target.origin + url, { method, headers: rest, agent: target.agent })
    sent.on('response', (answer) => {
      const { connection: _hop, 'keep-alive': _too, ...back } = answer.headers
      res.writeHead(answer.statusCode, back)
      answer.pipe(res)
      answer.on('error', () => res.destroy())
    })
    sent.on('error', (error) => {
      if (again && sent.reusedSocket && error.code === 'ECONNRESET') {
        this.#send(target, req, body, res, false)
      } else if (res.headersSent) res.destroy()
      else res.writeHead(502).end(`${error.code}`)
    })
    sent.end(body)
  }
}
