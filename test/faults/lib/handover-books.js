/**
 * What was asked of which process and when it was answered, session by session: from it follows
 * what may be served after one of them has ended.
 */
import { sessionOf, versionOf } from './sessions.js'

const LIFE = 3_600_000

/**
 * @typedef {object} Operation
 * @property {import('./handover-process.js').StoreProcess} by
 * @property {number} version -1: destroyed
 * @property {boolean} followed whether the process was known to write before it answers
 * @property {number} answered Infinity: not, so it may have been done or not
 * @property {boolean} asOwner whether the process had told that it owns the files when it was asked
 * @property {boolean} overrules a destruction that holds against whatever else is done meanwhile
 */

/** The books of one folder. */
export class Books {
  /** @type {Map<string, Operation[]>} */
  #operations = new Map()
  /** What was served when it was last looked. @type {Map<string, number>} */
  #base = new Map()
  #versions = 0

  get sids() {
    return new Set([...this.#operations.keys(), ...this.#base.keys()])
  }

  /** The version that holds if everything asked so far is done. */
  last(sid) {
    return this.#operations.get(sid)?.at(-1)?.version ?? this.#base.get(sid) ?? -1
  }

  /** Whether a process has answered a change since the last check. */
  changedBy(one) {
    const all = [...this.#operations.values()].flat()
    return all.some(({ by, answered }) => by === one && answered < Infinity)
  }

  /** Asks for a change; resolves when it has been answered, or never will be. */
  async change(by, sid, destroy, { followed = false, overrules = false } = {}) {
    const version = destroy ? -1 : ++this.#versions
    const asOwner = by.ownerSince > 0
    const operation = { by, version, followed, overrules, asOwner, answered: Infinity }
    const before = this.#operations.get(sid) ?? []
    this.#operations.set(sid, [...before, operation])
    try {
      if (destroy) await by.call('destroy', sid)
      else await by.call('set', sid, this.session(sid, version))
      operation.answered = Date.now()
    } catch (error) {
      // A store that has closed has done nothing.
      if (error.code === 'ERR_CLOSED') {
        const all = this.#operations.get(sid)
        this.#operations.set(
          sid,
          all.filter((one) => one !== operation),
        )
      }
    }
  }

  session(sid, version) {
    const expires = new Date(Date.now() + LIFE).toISOString()
    return { ...sessionOf(sid, version), cookie: { originalMaxAge: LIFE, expires, path: '/' } }
  }

  /**
   * Checks what a process serves and goes on from there.
   *
   * @param {(operation: Operation) => boolean | undefined} holds whether an operation must have
   * come through; undefined: it cannot have
   */
  async check(tally, what, process, holds) {
    const served = await process.call('all')
    for (const sid of Object.keys(served)) {
      if (!this.sids.has(sid)) tally.fail('wrong', `${what}: serves a session that never was`)
    }
    for (const sid of this.sids) {
      tally.sessionsChecked++
      const operations = (this.#operations.get(sid) ?? []).filter((one) => holds(one) !== undefined)
      const versions = [this.#base.get(sid) ?? -1, ...operations.map(({ version }) => version)]
      const from = operations.findLastIndex((one) => holds(one) === true) + 1
      const overruling = operations.find(({ overrules }) => overrules)
      let may = versions.slice(from)
      if (overruling) may = holds(overruling) === true ? [-1] : [...may, -1]
      const version = versionOf(sid, served[sid])
      if (!may.includes(version)) {
        const back = may.every((one) => one === -1) && version !== -1
        const kind = back || Number.isNaN(version) ? 'wrong' : 'lost'
        tally.fail(kind, `${what}: ${sid} served as ${version}, expected ${may.slice(-4)}`)
      }
      this.#base.set(sid, version)
      if (version === -1) this.#base.delete(sid)
    }
    this.#operations.clear()
  }
}
