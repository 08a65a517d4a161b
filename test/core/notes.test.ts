import fsp, { copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { nodeNotes, noteText } from '../../src/core/notes.js'

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'notes-'))
  path = join(folder, 's.lease-1')
})

afterEach(async () => {
  vi.restoreAllMocks()
  syncBuiltinESMExports()
  await rm(folder, { recursive: true, force: true })
})

/** Makes an operation of node:fs/promises fail, for those who import it as well. */
function failing(operation: 'link', code: string) {
  vi.spyOn(fsp, operation).mockRejectedValue(Object.assign(new Error(code), { code }))
  syncBuiltinESMExports()
}

describe.each([
  ['with hard links', ''],
  ['without', 'EPERM'],
  ['on exFAT under Windows', 'EISDIR'],
])('create, %s', (_name, code) => {
  beforeEach(() => {
    if (code) failing('link', code)
  })

  test('gives exactly one of many the note', async () => {
    const texts = Array.from({ length: 20 }, (_, i) => `${i} ${'x'.repeat(200)}\n`)
    const created = await Promise.all(texts.map((text) => nodeNotes.create(path, () => text)))
    expect(created.filter(Boolean)).toHaveLength(1)
    expect(await readFile(path, 'utf8')).toBe(texts[created.indexOf(true)])
    expect(await readdir(folder)).toEqual(['s.lease-1'])
  })

  test('tells the file’s own number, which a copy doesn’t have', async () => {
    await nodeNotes.create(path, (inode) => inode)
    const note = await nodeNotes.read(path)
    expect(note!.text).toBe(note!.inode)
    await copyFile(path, `${path}-copy`)
    const copy = await nodeNotes.read(`${path}-copy`)
    expect(copy!.text).toBe(note!.text)
    expect(copy!.inode).not.toBe(note!.inode)
  })

  test('leaves nothing behind where the disk is full, and can be tried again', async () => {
    let full = true
    const fill = () => {
      if (full) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
      return 'x'
    }
    await expect(nodeNotes.create(path, fill)).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(await readdir(folder)).toEqual([])
    full = false
    expect(await nodeNotes.create(path, fill)).toBe(true)
    expect(await readdir(folder)).toEqual(['s.lease-1'])
  })

  test('keeps it from others', async () => {
    await nodeNotes.create(path, () => 'x')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })
})

test('create tells what else went wrong, and leaves nothing behind', async () => {
  failing('link', 'EIO')
  await expect(nodeNotes.create(path, () => 'x')).rejects.toMatchObject({ code: 'EIO' })
  expect(await readdir(folder)).toEqual([])
  const nowhere = join(folder, 'no', 's')
  await expect(nodeNotes.create(nowhere, () => 'x')).rejects.toMatchObject({ code: 'ENOENT' })
})

test('rewriteSync replaces the text and keeps the file', async () => {
  await nodeNotes.create(path, () => 'a long text\n')
  const before = await nodeNotes.read(path)
  nodeNotes.rewriteSync(path, 'short\n')
  const after = await nodeNotes.read(path)
  expect(after).toMatchObject({ text: 'short\n', inode: before!.inode })
  nodeNotes.rewriteSync(path, 'a text that is longer\n')
  expect((await nodeNotes.read(path))!.text).toBe('a text that is longer\n')
})

test('rewriteSync makes no note where there is none', async () => {
  expect(() => nodeNotes.rewriteSync(path, 'x')).toThrow(/ENOENT/)
  expect(await readdir(folder)).toEqual([])
})

test('date changes the date and nothing else', async () => {
  await nodeNotes.create(path, () => 'x')
  const before = await nodeNotes.read(path)
  await new Promise((resolve) => setTimeout(resolve, 10))
  await nodeNotes.date(path)
  const after = await nodeNotes.read(path)
  expect(after!.dated).not.toBe(before!.dated)
  expect({ ...after, dated: '' }).toEqual({ ...before, dated: '' })
})

test('read answers nothing where there is no note', async () => {
  expect(await nodeNotes.read(path)).toBeUndefined()
})

test('remove removes, and minds nothing', async () => {
  await nodeNotes.create(path, () => 'x')
  await nodeNotes.remove(path)
  await nodeNotes.remove(path)
  expect(await readdir(folder)).toEqual([])
})

test('siblings are the files that begin with the name and a dot', async () => {
  for (const name of ['s', 's.a', 's.lease-1', 's2', 's2.lease-1', 'other']) {
    await writeFile(join(folder, name), '')
  }
  const expected = ['s.a', 's.lease-1']
  expect((await nodeNotes.siblings(join(folder, 's'))).sort()).toEqual(expected)
  expect(nodeNotes.siblingsSync(join(folder, 's')).sort()).toEqual(expected)
})

test.each([
  ['arrays', Array.prototype],
  ['objects', Object.prototype],
])('noteText is JSON, whatever toJSON all %s have been given', (_, prototype) => {
  const fields = { pid: 1, names: ['a', 'b'], none: undefined }
  const text = JSON.stringify(fields)
  Object.defineProperty(prototype, 'toJSON', { value: () => 'spoilt', configurable: true })
  try {
    expect(noteText(fields)).toBe(text)
  } finally {
    Reflect.deleteProperty(prototype, 'toJSON')
  }
})
