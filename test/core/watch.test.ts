import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { watch } from '../../src/core/watch.js'
import { patient } from '../support/patience.js'

let folder: string
let path: string
let told: string[]
let stop: () => Promise<void>

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'watch-'))
  path = join(folder, 's.snapshot')
  told = []
  await writeFile(path, 'there before')
  await writeFile(join(folder, 'other'), '')
  stop = watch(
    path,
    (suffix) => suffix === '' || suffix.startsWith('.journal-'),
    (suffix) => told.push(suffix),
  )
  // Its own reading of the folder is over when it tells of what is new.
  await expect
    .poll(async () => {
      await writeFile(`${path}.journal-0`, String(Math.random()))
      return told
    }, patient)
    .toContain('.journal-0')
  await wait(600)
  told = []
})

afterEach(async () => {
  await stop()
  await rm(folder, { recursive: true, force: true })
})

test.each([
  ['a file that is new', '.journal-7', () => writeFile(`${path}.journal-7`, 'x')],
  ['a file that grows', '', () => appendFile(path, 'more')],
  ['a file that goes', '', () => rm(path)],
  [
    'a file that is replaced',
    '',
    async () => {
      await writeFile(`${path}.12345678`, 'new')
      await rename(`${path}.12345678`, path)
    },
  ],
])('tells of %s', async (_name, suffix, change) => {
  await change()
  await expect.poll(() => told, patient).toContain(suffix)
  expect(told).not.toContain('.12345678')
})

test('tells of nothing that does not matter', async () => {
  for (const name of ['other', 's.snapshot.1', 's.snapshot2', 's.snap', 's.snapshot.lease-1']) {
    await writeFile(join(folder, name), 'x')
  }
  await writeFile(`${path}.journal-8`, 'x')
  await expect.poll(() => told, patient).toContain('.journal-8')
  await wait(100)
  expect(new Set(told)).toEqual(new Set(['.journal-8']))
})

test('goes on telling of a file that goes and comes back, over and over', async () => {
  for (let i = 0; i < 5; i++) {
    told = []
    await rm(path)
    await expect.poll(() => told, patient).toContain('')
    told = []
    await writeFile(path, `${i}`)
    await expect.poll(() => told, patient).toContain('')
  }
})

test('tells nothing when stopped', async () => {
  await stop()
  await writeFile(path, 'x')
  await wait(600)
  expect(told).toEqual([])
})

test('does not keep a process alive', async () => {
  const built = fileURLToPath(new URL('../../dist/core/watch.js', import.meta.url))
  const script = `import(${JSON.stringify(built)}).then((m) => m.watch(${JSON.stringify(path)}, () => true, () => {}))`
  const child = spawn(process.execPath, ['-e', script])
  expect(await once(child, 'exit')).toEqual([0, null])
})
