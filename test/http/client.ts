/**
 * A browser for tests: a cookie jar over node:http. In: an origin and requests by path. Out: status,
 * headers and the whole body. Redirects are not followed, so that what comes before them can be
 * looked at. It keeps cookies as a browser does (replaced by name, dropped when they expire) and
 * never knows about sessions beyond the id inside express-session's signed cookie.
 */
import { request, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http'

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  /** The raw Set-Cookie headers. */
  cookies: string[]
  body: string
  json: () => unknown
}

export interface Ask {
  headers?: OutgoingHttpHeaders
  /** A Cookie header to send in place of the jar's. */
  cookie?: string
}

export class Client {
  readonly origin: string
  readonly jar = new Map<string, string>()

  constructor(origin: string) {
    this.origin = origin
  }

  get(path = '/', ask: Ask = {}): Promise<Answer> {
    return this.#send('GET', path, undefined, ask)
  }

  /** Posts a form. */
  post(path: string, form: Record<string, string> = {}, ask: Ask = {}): Promise<Answer> {
    return this.#send('POST', path, new URLSearchParams(form).toString(), ask)
  }

  /** The same browser, talking to a server that has moved. */
  at(origin: string): Client {
    const moved = new Client(origin)
    for (const [name, value] of this.jar) moved.jar.set(name, value)
    return moved
  }

  /** What the jar sends, as a Cookie header. */
  get cookie(): string {
    return [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ')
  }

  #send(method: string, path: string, form: string | undefined, ask: Ask): Promise<Answer> {
    const headers: OutgoingHttpHeaders = { ...ask.headers }
    const cookie = ask.cookie ?? this.cookie
    if (cookie) headers.cookie = cookie
    if (form !== undefined) {
      headers['content-type'] = 'application/x-www-form-urlencoded'
      headers['content-length'] = Buffer.byteLength(form)
    }
    return new Promise((resolve, reject) => {
      const sent = request(this.origin + path, { method, headers, agent: false }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const body = Buffer.concat(chunks).toString()
          const cookies = response.headers['set-cookie'] ?? []
          for (const cookie of cookies) this.#keep(cookie)
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            cookies,
            body,
            json: () => JSON.parse(body) as unknown,
          })
        })
      })
      sent.on('error', reject)
      sent.end(form)
    })
  }

  #keep(header: string) {
    const [pair = ''] = header.split(';')
    const name = pair.slice(0, pair.indexOf('='))
    const expires = attribute(header, 'Expires')
    if (expires !== undefined && Date.parse(expires) <= Date.now()) this.jar.delete(name)
    else this.jar.set(name, pair.slice(name.length + 1))
  }
}

/** The value of an attribute of a Set-Cookie header; '' where it has none, undefined without it. */
export function attribute(header: string, name: string): string | undefined {
  for (const part of header.split(';').slice(1)) {
    const [key = '', ...value] = part.trim().split('=')
    if (key.toLowerCase() === name.toLowerCase()) return value.join('=')
  }
  return undefined
}

/** The first cookie an answer set, as a Cookie header. */
export const cookieOf = ({ cookies }: Pick<Answer, 'cookies'>) => cookies[0]?.split(';')[0] ?? ''

/** The session id inside a signed cookie: of a Set-Cookie header, or of a jar's value. */
export function sidOf(cookie: string | undefined, name = 'connect.sid'): string {
  const value = decodeURIComponent((cookie ?? '').replace(`${name}=`, '').split(';')[0] ?? '')
  const signed = /^(?:s:)?(.+)\.[^.]+$/.exec(value)
  if (!signed?.[1]) throw new Error('Expected a signed session cookie')
  return signed[1]
}
