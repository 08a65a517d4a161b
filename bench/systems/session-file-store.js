/**
 * session-file-store: a file for each session. Its log is silenced, its lifetime set to ours. It is
 * filled with links to a few thousand files that nobody syncs: a hundred thousand synced ones take
 * minutes to write, and minutes to remove. Each is a file of its own once it has been written.
 */
import { linkSync, writeFileSync } from 'node:fs'
import session from 'express-session'
import { join } from 'node:path'
import { packageVersion, require, whyMissing } from './package.js'

export const id = 'session-file-store'
export const label = 'session-file-store'
export const version = () => packageVersion('session-file-store')
export const missing = () => whyMissing(() => require('session-file-store'))

/** @param {import('./index.js').Place} place @returns {Promise<import('./index.js').Opened>} */
export async function open({ folder }) {
  const FileStore = require('session-file-store')(session)
  const store = new FileStore({ path: folder, ttl: 86400, logFn() {} })
  return {
    store,
    close() {},
    beginFill: () => fillWithLinks(store),
    endFill: () => delete store.set,
  }
}

const different = 4500

/** Until `set` is deleted again. @param {any} store */
function fillWithLinks(store) {
  /** @type {string[]} */
  const written = []
  let filled = 0
  store.set = (
    /** @type {string} */ sid,
    /** @type {any} */ sess,
    /** @type {() => void} */ callback,
  ) => {
    const file = join(store.options.path, sid + store.options.fileExtension)
    const known = written[filled++ % different]
    if (known) linkSync(known, file)
    else {
      // As `set` writes it.
      writeFileSync(file, JSON.stringify({ ...sess, __lastAccess: Date.now() }))
      written.push(file)
    }
    callback()
  }
}
