/** One temporary folder per run, with a folder in it for each system's files; removed at the end. */
import { mkdtempSync, mkdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export class Temp {
  #count = 0

  constructor() {
    this.root = mkdtempSync(join(tmpdir(), 'session-bench-'))
    process.once('exit', () => this.remove())
  }

  /** @param {string} name @returns {string} a new, empty folder */
  folder(name) {
    const path = join(this.root, `${++this.#count}-${name}`)
    mkdirSync(path)
    return path
  }

  remove() {
    rmSync(this.root, { recursive: true, force: true, maxRetries: 3 })
  }
}
