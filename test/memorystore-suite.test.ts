/**
 * memorystore's own test suite against the drop-in, with only the import changed, as somebody who
 * switches changes it: their file, their test runner, the built package.
 */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Stage } from './http/stage.js'

const require = createRequire(import.meta.url)
const built = fileURLToPath(new URL('../dist/memorystore.js', import.meta.url))

interface MochaReport {
  stats: { tests: number; passes: number }
  failures: { fullTitle: string; err: { message?: string } }[]
}

let stage: Stage
beforeEach(async () => {
  stage = await Stage.set()
})
afterEach(() => stage.clear())

test('memorystore’s suite passes with only the import changed', async () => {
  const suite = await readFile(require.resolve('memorystore/test/store.js'), 'utf8')
  const changed = suite.replace(`require('../')`, `require(${JSON.stringify(built)})`)
  expect(changed).not.toBe(suite)
  const file = join(stage.folder, 'store.cjs')
  await writeFile(file, changed)

  const mocha = require.resolve('mocha/bin/mocha.js')
  // As memorystore's `npm test` runs it, but to the end; a timer left over would keep it from ending.
  const args = ['--check-leaks', '--no-exit', '--reporter', 'json', file]
  const printed = await new Promise<string>((resolve) => {
    execFile(process.execPath, [mocha, ...args], { cwd: stage.folder }, (_failed, stdout) => {
      resolve(stdout)
    })
  })
  const { stats, failures } = JSON.parse(printed) as MochaReport
  expect(failures.map(({ fullTitle, err }) => `${fullTitle}: ${err.message}`)).toEqual([])
  const count = suite.match(/^ *it\(/gm)?.length
  expect(count).toBeGreaterThan(15)
  expect(stats).toMatchObject({ tests: count, passes: count })
})
