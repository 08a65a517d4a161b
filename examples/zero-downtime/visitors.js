/**
 * Simulated visitors: each logs in, fills a cart and logs out, over and over, and knows at any
 * moment what the app must answer.
 *
 * In: the origin and how many. Out: counts of what went wrong. A visitor does one thing after the
 * other over one connection, and comes back with an old cookie after logging out.
 */
import { Agent, request } from 'node:http'

export class Visitors {
  /** What has been seen; all but `requests` should stay 0. `loggedIn` and `loggedOut` at the end. */
  counts = {
    requests: 0,
    failures: 0,
    lostLogins: 0,
    lostItems: 0,
    resurrected: 0,
    loggedIn: 0,
    loggedOut: 0,
  }
  /** Requests answered, by version. */
  byVersion = {}
  /** What failures said. */
  problems = []
  #origin
  #going = true
  #running
  #visitors = []
  /** Cookies of all who have logged out. */
  #worthless = []

  constructor(origin, count) {
    this.#origin = origin
    for (let number = 1; number <= count; number++) {
      this.#visitors.push({
        user: `visitor ${number}`,
        agent: new Agent({ keepAlive: true, maxSockets: 1 }),
        cookie: '',
        cart: [],
      })
    }
  }

  start() {
    this.#running = Promise.all(this.#visitors.map((visitor) => this.#visit(visitor)))
  }

  /** Lets everybody finish what they do; those who are logged in stay so. */
  async stop() {
    this.#going = false
    await this.#running
  }

  /** Looks once more at everybody, those who left included. */
  async check() {
    for (const visitor of this.#visitors) {
      if (!visitor.cookie) continue
      this.counts.loggedIn++
      await this.#look(visitor)
    }
    const [{ agent }] = this.#visitors
    for (const cookie of this.#worthless) {
      this.counts.loggedOut++
      await this.#comeBack(agent, cookie)
    }
    for (const visitor of this.#visitors) visitor.agent.destroy()
  }

  async #visit(visitor) {
    while (this.#going) {
      if (!(await this.#logIn(visitor))) continue
      const items = 1 + Math.floor(4 * Math.random())
      for (let item = 0; item < items && this.#going; item++) {
        await this.#add(visitor, `item ${item}`)
        await this.#look(visitor)
      }
      if (!this.#going) return
      await this.#logOut(visitor)
    }
  }

  async #logIn(visitor) {
    const { user, agent } = visitor
    const answer = await this.#ask(agent, 'POST', '/login', '', { user })
    if (answer?.status !== 200) return false
    visitor.cookie = answer.cookie
    visitor.cart = []
    return true
  }

  async #add(visitor, item) {
    const answer = await this.#ask(visitor.agent, 'POST', '/cart', visitor.cookie, { item })
    if (answer?.status === 401) return this.#lose(visitor, answer)
    if (answer?.status === 200) visitor.cart.push(item)
  }

  async #look(visitor) {
    const answer = await this.#ask(visitor.agent, 'GET', '/me', visitor.cookie)
    if (answer?.status !== 200) return
    const { user, cart } = answer.body
    if (user !== visitor.user) this.#lose(visitor, answer)
    else if (cart.join() !== visitor.cart.join()) {
      this.counts.lostItems++
      this.problems.push(
        `v${answer.version} shows a cart of ${cart.length}, not of ${visitor.cart.length}`,
      )
      visitor.cart = cart
    }
  }

  async #logOut(visitor) {
    const { agent, cookie } = visitor
    const answer = await this.#ask(agent, 'POST', '/logout', cookie)
    if (answer?.status !== 200) return
    visitor.cookie = ''
    this.#worthless.push(cookie)
    await this.#comeBack(agent, cookie)
  }

  async #comeBack(agent, cookie) {
    const answer = await this.#ask(agent, 'GET', '/me', cookie)
    if (answer?.status === 200 && answer.body.user !== null) {
      this.counts.resurrected++
      this.problems.push(`v${answer.version} knows somebody who had logged out`)
    }
  }

  #lose(visitor, { version }) {
    this.counts.lostLogins++
    this.problems.push(`v${version} does not know somebody who is logged in`)
    visitor.cookie = ''
    visitor.cart = []
  }

  /** Makes a request; `undefined` where no answer came, or one that tells of an error. */
  async #ask(agent, method, path, cookie, form) {
    this.counts.requests++
    try {
      const answer = await ask(agent, this.#origin + path, method, cookie, form)
      this.byVersion[answer.version] = (this.byVersion[answer.version] ?? 0) + 1
      if (answer.status < 500) return answer
      this.#fail(`${method} ${path} was answered with ${answer.status}`)
    } catch (error) {
      this.#fail(`${method} ${path} was not answered: ${error.code ?? error.message}`)
    }
    return undefined
  }

  #fail(problem) {
    this.counts.failures++
    this.problems.push(problem)
  }
}

function ask(agent, url, method, cookie, form) {
  const body = form ? new URLSearchParams(form).toString() : ''
  const headers = { 'content-length': Buffer.byteLength(body) }
  if (form) headers['content-type'] = 'application/x-www-form-urlencoded'
  if (cookie) headers.cookie = cookie
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent }, (response) => {
      const chunks = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const json = response.headers['content-type']?.startsWith('application/json')
        resolve({
          status: response.statusCode,
          version: response.headers['x-version'],
          cookie: response.headers['set-cookie']?.[0]?.split(';')[0],
          body: json ? JSON.parse(text) : text,
        })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
