/** express-session's own MemoryStore. */
import session from 'express-session'
import { packageVersion } from './package.js'

export const id = 'memory-store'
export const label = 'MemoryStore'
export const quick = true
export const version = () => packageVersion('express-session')
export const missing = async () => undefined

/** @returns {Promise<import('./index.js').Opened>} */
export async function open() {
  return { store: new session.MemoryStore(), close() {} }
}
