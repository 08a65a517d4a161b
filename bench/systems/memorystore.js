/** memorystore with the options of its README. */
import session from 'express-session'
import { packageVersion, require, whyMissing } from './package.js'

export const id = 'memorystore'
export const label = 'memorystore'
export const quick = true
export const version = () => packageVersion('memorystore')
export const missing = () => whyMissing(() => require('memorystore'))

/** @returns {Promise<import('./index.js').Opened>} */
export async function open() {
  const MemoryStore = require('memorystore')(session)
  const store = new MemoryStore({ checkPeriod: 86400000 })
  return { store, close: () => store.stopInterval() }
}
