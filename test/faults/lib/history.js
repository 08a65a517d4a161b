/**
 * Who was told what, session by session, and what may therefore be served after a crash.
 *
 * Each session has its states in the order of the operations, the first being what was served when
 * the history began. A state that had to be durable rules out all before it; those after it may or
 * may not have reached the disk.
 */

/** A touch may be set back by a tenth of the life, a minute at most. */
const TOUCH_TENTH = 10
const TOUCH_MOST = 60_000

/**
 * @typedef {object} State
 * @property {number} version -1: destroyed, or never there
 * @property {number} expires epoch ms
 * @property {boolean} touch only the expiry differs from the state before
 * @property {number} at when it was asked for
 * @property {number} order of the operation
 * @property {number | undefined} acknowledged when it was answered without error
 * @property {boolean} flushed a flush or snapshot asked for later has been answered
 */

export class History {
  /** @type {Map<string, State[]>} */
  #sids = new Map()
  #order = 0
  #life

  /** @param {number} life of every session, ms @param {Iterable<string>} sids all there can be */
  constructor(life, sids) {
    this.#life = life
    for (const sid of sids) this.#sids.set(sid, [this.#state(-1, 0, 0)])
  }

  get sids() {
    return [...this.#sids.keys()]
  }

  /** The version as it is in memory now. */
  version(sid) {
    return this.#sids.get(sid).at(-1).version
  }

  /** The expiry as it is in memory now. */
  expires(sid) {
    return this.#sids.get(sid).at(-1).expires
  }

  /** The same history, to go on otherwise. */
  copy() {
    const copy = new History(this.#life, this.#sids.keys())
    for (const [sid, states] of this.#sids) {
      copy.#sids.set(
        sid,
        states.map((state) => ({ ...state })),
      )
    }
    copy.#order = this.#order
    return copy
  }

  /** What is served now becomes the beginning. */
  restart(served) {
    for (const [sid, states] of this.#sids) {
      const { version, expires } = served(sid)
      states.length = 0
      states.push({ ...this.#state(version, expires, 0), flushed: true })
    }
  }

  /** Notes an operation; answers {@link acknowledge} takes. */
  note(kind, sid, version, at, expires) {
    const touched = []
    const add = (states, state) => {
      states.push(state)
      touched.push(state)
    }
    this.#order++
    if (kind === 'clear') {
      for (const states of this.#sids.values()) add(states, this.#state(-1, 0, at))
    } else {
      const states = this.#sids.get(sid)
      if (kind === 'set') add(states, this.#state(version, expires, at))
      else if (kind === 'destroy') add(states, this.#state(-1, 0, at))
      else if (states.at(-1).version >= 0) {
        add(states, { ...this.#state(states.at(-1).version, expires, at), touch: true })
      }
    }
    return touched
  }

  acknowledge(states, now) {
    for (const state of states) state.acknowledged = now
  }

  /** A mark for {@link flushed}. */
  get mark() {
    return this.#order
  }

  /** All that was asked for by then is durable. */
  flushed(mark) {
    for (const states of this.#sids.values()) {
      for (const state of states) state.flushed ||= state.order <= mark
    }
  }

  /**
   * What may be served of `sid`, where `durable` says which states must not be lost. `least` is the
   * earliest expiry it may come back with.
   */
  allowed(sid, durable) {
    const states = this.#sids.get(sid)
    const from = states.findLastIndex((state) => !state.touch && (state.flushed || durable(state)))
    const may = states.slice(Math.max(0, from))
    const due = may.filter((state) => state.touch && (state.flushed || durable(state)))
    const back = Math.min(TOUCH_MOST, this.#life / TOUCH_TENTH)
    return {
      may,
      least: due.length > 0 ? due.at(-1).expires - back : 0,
      last: due.at(-1)?.order ?? 0,
    }
  }

  /**
   * Compares what is served, sid → version and expiry, with what may be.
   *
   * @param gaps a stretch amid what was written is gone: a touch may stand without its set
   */
  check(tally, what, durable, served, gaps = false) {
    for (const sid of this.#sids.keys()) {
      tally.sessionsChecked++
      const { version, expires } = served(sid)
      const { may, least, last } = this.allowed(sid, durable)
      const fitting = may.filter((one) => one.version === version)
      if (fitting.length === 0) {
        const all = may.map((one) => one.version)
        const kind = version < may[0].version || !(version >= 0) ? 'lost' : 'wrong'
        tally.fail(kind, `${what}: ${sid} served as ${version}, expected one of ${all}`)
      } else if (version >= 0 && !may.some((one) => had(one, version, expires, gaps))) {
        tally.fail('wrong', `${what}: ${sid} has an expiry that it never had`)
      } else if (version >= 0 && expires < least && fitting.some((one) => one.order >= last)) {
        tally.fail('lost', `${what}: ${sid} lost ${least - expires} ms of its life too many`)
      }
    }
  }

  #state(version, expires, at) {
    const order = this.#order
    return { version, expires, touch: false, at, order, acknowledged: undefined, flushed: false }
  }
}

/** Whether the session had this expiry in this version, or by a touch of a version that is gone. */
function had(state, version, expires, gaps) {
  return state.expires === expires && (state.version === version || (gaps && state.touch))
}

/** Compares what a store serves with what a history allows. */
export async function checkHistory(tally, what, store, history, durable, read, gaps) {
  const served = await store.all()
  const known = new Set(history.sids)
  for (const sid of Object.keys(served)) {
    if (!known.has(sid)) tally.fail('wrong', `${what}: serves a session that never was`)
  }
  history.check(tally, what, durable, (sid) => read(sid, served[sid]), gaps)
  return served
}
