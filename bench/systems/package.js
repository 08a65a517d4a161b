/** Which version of a peer is installed, and whether it loads. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

export const require = createRequire(import.meta.url)

/** @param {string} name @returns {string} */
export function packageVersion(name) {
  let folder = dirname(require.resolve(name))
  for (;;) {
    try {
      const description = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
      if (description.name === name) return description.version
    } catch {
      // no package.json in this folder
    }
    if (folder === dirname(folder)) return 'unknown'
    folder = dirname(folder)
  }
}

/** @param {() => unknown} load @returns {Promise<string | undefined>} why it doesn't load */
export async function whyMissing(load) {
  try {
    await load()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message.split('\n')[0] : String(error)
  }
}
