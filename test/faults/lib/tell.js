/**
 * What a victim says: lines on file descriptor 3, written at once, so that a kill takes none back.
 *
 * `R <served>` restored; `B <id> <kind> <sid> <version> <at> <expires>` begun; `A <id> <at>`
 * answered; `E <id> <code>` refused; `! <code> <message>` an error told; `X <code>` could not open;
 * `P <paths>` about to begin; `W <kind>` not served; `D` done.
 */
import { writeSync } from 'node:fs'
import { sessionOf, versionOf } from './sessions.js'

export function tell(line) {
  const bytes = Buffer.from(`${line}\n`)
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(3, bytes, at)
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error
    }
  }
}

/** Tells all that a store serves. */
export async function tellServed(store, bytes) {
  const served = await store.all()
  const lines = Object.keys(served).map((sid) => {
    const expires = Date.parse(served[sid].cookie?.expires)
    return [sid, versionOf(sid, served[sid], bytes), expires]
  })
  tell(`R ${JSON.stringify(lines)}`)
}

/** Operations on a store, told before they are begun and when they are answered. */
export class Operator {
  #store
  #config
  #count = 0

  constructor(store, config) {
    this.#store = store
    this.#config = config
  }

  /**
   * @param {'set' | 'destroy' | 'touch' | 'clear' | 'snapshot' | 'flush'} kind
   * @returns {Promise<boolean>} whether it was answered without an error
   */
  operate(kind, sid) {
    const { base, life, bytes } = this.#config
    const store = this.#store
    const id = ++this.#count
    const version = base + id
    const at = Date.now()
    const expires = at + life
    const cookie = { originalMaxAge: life, expires: new Date(expires).toISOString(), path: '/' }
    const session = { ...sessionOf(sid, version, bytes), cookie }
    tell(`B ${id} ${kind} ${sid} ${version} ${at} ${expires}`)
    return new Promise((resolve) => {
      const done = (error) => {
        tell(error ? `E ${id} ${error.code}` : `A ${id} ${Date.now()}`)
        resolve(!error)
      }
      if (kind === 'set') store.set(sid, session, done)
      else if (kind === 'touch') store.touch(sid, session, done)
      else if (kind === 'destroy') store.destroy(sid, done)
      else store[kind](done)
    })
  }
}
