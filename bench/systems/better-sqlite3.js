/**
 * A store of the obvious kind over better-sqlite3: one table, prepared statements, WAL with
 * synchronous FULL, each call its own transaction, answered at once.
 */
import session from 'express-session'
import { join } from 'node:path'
import { packageVersion, require, whyMissing } from './package.js'

export const id = 'better-sqlite3'
export const label = 'better-sqlite3, FULL'
export const durable = true
export const version = () => packageVersion('better-sqlite3')
export const missing = () => whyMissing(() => new (require('better-sqlite3'))(':memory:').close())

/** @param {{ cookie: { expires?: Date | string | null } }} sess */
const expiry = ({ cookie }) => (cookie.expires ? +new Date(cookie.expires) : Date.now() + 86400000)

class SqliteStore extends session.Store {
  /** @param {any} database */
  constructor(database) {
    super()
    database.exec(
      'CREATE TABLE IF NOT EXISTS sessions (sid TEXT PRIMARY KEY, expires INTEGER, data TEXT)',
    )
    this.read = database.prepare('SELECT data FROM sessions WHERE sid = ? AND expires > ?')
    this.write = database.prepare('INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)')
    this.extend = database.prepare('UPDATE sessions SET expires = ? WHERE sid = ?')
    this.remove = database.prepare('DELETE FROM sessions WHERE sid = ?')
  }

  /** @param {string} sid @param {(error: any, session?: any) => void} callback @override */
  get(sid, callback) {
    const row = this.read.get(sid, Date.now())
    callback(null, row && JSON.parse(row.data))
  }

  /** @param {string} sid @param {any} sess @param {(error?: any) => void} callback @override */
  set(sid, sess, callback) {
    this.write.run(sid, expiry(sess), JSON.stringify(sess))
    callback(null)
  }

  /** @param {string} sid @param {any} sess @param {(error?: any) => void} callback @override */
  touch(sid, sess, callback) {
    this.extend.run(expiry(sess), sid)
    callback(null)
  }

  /** @param {string} sid @param {(error?: any) => void} callback @override */
  destroy(sid, callback) {
    this.remove.run(sid)
    callback(null)
  }
}

/** @param {import('./index.js').Place} place @returns {Promise<import('./index.js').Opened>} */
export async function open({ folder }) {
  const database = require('better-sqlite3')(join(folder, 'sessions.sqlite'))
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = FULL')
  return {
    store: new SqliteStore(database),
    close: () => database.close(),
    beginFill: () => database.exec('BEGIN'),
    endFill: () => database.exec('COMMIT'),
  }
}
