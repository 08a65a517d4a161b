/** session-file-store: a file for each session. Its log is silenced, its lifetime set to ours. */
import session from 'express-session'
import { packageVersion, require, whyMissing } from './package.js'

export const id = 'session-file-store'
export const label = 'session-file-store'
export const version = () => packageVersion('session-file-store')
export const missing = () => whyMissing(() => require('session-file-store'))

/** @param {import('./index.js').Place} place @returns {Promise<import('./index.js').Opened>} */
export async function open({ folder }) {
  const FileStore = require('session-file-store')(session)
  const store = new FileStore({ path: folder, ttl: 86400, logFn() {} })
  return { store, close() {} }
}
