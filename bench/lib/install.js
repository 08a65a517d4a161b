/**
 * Installs the peers once for each lockfile: `npm ci` compiles better-sqlite3, which takes longer
 * than a whole quick run. A peer that can't be installed is left out, and named by the report.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('..', import.meta.url))
const lock = new URL('../package-lock.json', import.meta.url)
const mark = new URL('../node_modules/.installed-lock', import.meta.url)

export function installPeers() {
  const wanted = `${process.version}\n${readFileSync(lock, 'utf8')}`
  if (existsSync(mark) && readFileSync(mark, 'utf8') === wanted) return
  process.stderr.write(
    'Installing the peers (once; better-sqlite3 is compiled, about two minutes)\n',
  )
  const { status } = spawnSync('npm', ['ci', '--silent'], {
    cwd: folder,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  if (status !== 0) throw new Error('npm ci failed in bench/')
  writeFileSync(mark, wanted)
}
