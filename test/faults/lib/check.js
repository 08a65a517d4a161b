/**
 * What a store serves, session by session, against what it may serve.
 */
import { settle, openStore } from './stores.js'
import { sessionOf, versionOf } from './sessions.js'
import { surroundingsOf } from './disk-files.js'

/**
 * @param {import('./tally.js').Tally} tally
 * @param {(sid: string) => readonly number[]} allowed versions that may be served; -1: none
 * @param {Iterable<string>} sids that may exist at all
 */
export async function checkServed(tally, what, store, sids, allowed, bytes = 0) {
  const served = await store.all()
  const known = new Set(sids)
  for (const sid of Object.keys(served)) {
    if (!known.has(sid)) tally.fail('wrong', `${what}: serves a session that never was`)
  }
  for (const sid of known) {
    tally.sessionsChecked++
    const version = versionOf(sid, served[sid], bytes)
    const may = allowed(sid)
    if (may.includes(version)) continue
    const kind = version === -1 || (Number.isInteger(version) && version < Math.min(...may))
    const expected = may.length > 6 ? `${may.slice(0, 6)}…` : `${may}`
    tally.fail(
      kind && !may.includes(-1) ? 'lost' : 'wrong',
      `${what}: ${sid} served as ${version}, expected ${expected}`,
    )
  }
}

/** Writes one more session to a store, closes it and looks whether all is there after a reopen. */
export async function checkAppend(tally, what, { store, damaged }, { options, clock }, bytes = 0) {
  const before = await store.all()
  await store.set('added', sessionOf('added', 1, bytes))
  await store.close()
  await settle(2)
  const again = await openStore(options, surroundingsOf(damaged, clock))
  const after = await again.store.all()
  tally.require(
    versionOf('added', after['added'], bytes) === 1,
    `${what}: what was appended is gone`,
  )
  for (const sid of Object.keys(before)) {
    tally.sessionsChecked++
    if (JSON.stringify(before[sid]) === JSON.stringify(after[sid])) continue
    tally.fail('lost', `${what}: ${sid} changed by an append and a reopen`)
  }
  for (const sid of Object.keys(after)) {
    tally.require(sid === 'added' || sid in before, `${what}: ${sid} came back by a reopen`)
  }
  await again.store.close()
}
