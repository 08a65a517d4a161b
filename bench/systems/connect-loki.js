/**
 * connect-loki with its defaults: the whole database is written every five seconds. It keeps and
 * hands out the session object itself, not a copy.
 */
import session from 'express-session'
import { once } from 'node:events'
import { join } from 'node:path'
import { packageVersion, require, whyMissing } from './package.js'

export const id = 'connect-loki'
export const label = 'connect-loki'
export const quick = true
export const version = () => packageVersion('connect-loki')
export const missing = () => whyMissing(() => require('connect-loki'))

/** @param {import('./index.js').Place} place @returns {Promise<import('./index.js').Opened>} */
export async function open({ folder }) {
  const LokiStore = require('connect-loki')(session)
  const store = new LokiStore({ path: join(folder, 'sessions.db') })
  await once(store, 'connect')
  return {
    store,
    close: () => store.client.autosaveDisable(),
    settle: () =>
      new Promise((resolve, reject) => {
        store.client.saveDatabase((/** @type {unknown} */ error) =>
          error ? reject(error) : resolve(undefined),
        )
      }),
  }
}
