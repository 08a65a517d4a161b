/** This package, in its three durabilities. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { whyMissing } from './package.js'

const built = new URL('../../dist/index.js', import.meta.url).href
const description = new URL('../../package.json', import.meta.url)

/**
 * @param {string} variant
 * @param {(folder: string) => object} optionsIn
 * @returns {import('./index.js').System}
 */
function system(variant, optionsIn) {
  return {
    id: `ours-${variant}`,
    label: `persistent-memorystore, ${variant}`,
    ours: true,
    durable: variant === 'always',
    quick: true,
    version: () => JSON.parse(readFileSync(description, 'utf8')).version,
    missing: () => whyMissing(() => import(built)),

    async open({ folder }, overrides) {
      const { PersistentMemoryStore } = await import(built)
      const store = new PersistentMemoryStore({ ...optionsIn(folder), ...overrides })
      await store.ready()
      // What filling it leaves to be written must not be written while something else is measured.
      return { store, close: () => store.close(), settle: () => store.snapshot() }
    },
  }
}

/** @param {'snapshot' | 'everysec' | 'always'} durability */
function persistent(durability) {
  return system(durability, (folder) => ({
    snapshotPath: join(folder, 'sessions.snapshot'),
    durability,
  }))
}

export const snapshot = persistent('snapshot')
export const everysec = persistent('everysec')
export const always = persistent('always')
/** Takes part only where the cost of persistence is told from the cost of everything else. */
export const memoryOnly = system('memory-only', () => ({ snapshotPath: false }))
