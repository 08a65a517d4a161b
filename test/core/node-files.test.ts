import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  open as openFile,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { isMissing, UNSEEN } from '../../src/core/file.js'
import { nodeFiles as files } from '../../src/core/node-files.js'

let folder = ''
let path = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'a folder '))
  path = join(folder, 'sessions.snapshot')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function* chunks(...texts: string[]) {
  for (const text of texts) {
    await new Promise((resolve) => setImmediate(resolve))
    yield Buffer.from(text)
  }
}
const nothing = () => Promise.resolve()
const text = (of = path) => readFile(of, 'utf8')
const names = async () => (await readdir(folder)).sort()

describe('replacing a file', () => {
  test('puts all chunks in its place, for the owner alone to read', async () => {
    expect(await files.replace(path, chunks('one ', '', 'two'), nothing)).toBe(7)
    expect(await text()).toBe('one two')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await names()).toEqual(['sessions.snapshot'])
  })

  test('leaves the old one until the new one is complete', async () => {
    await writeFile(path, 'old')
    let seen: unknown[] = []
    await files.replace(path, chunks('new'), async () => {
      const [temporary] = (await names()).filter((name) => name !== 'sessions.snapshot')
      seen = [await text(), await text(join(folder, temporary!))]
    })
    expect(seen).toEqual(['old', 'new'])
    expect(await text()).toBe('new')
  })

  test.each([
    ['its chunks can not be made', true],
    ['what comes before the renaming fails', false],
  ])('changes nothing and leaves nothing behind where %s', async (_, inChunks) => {
    await writeFile(path, 'old')
    const fault = new Error('as the test wants it')
    async function* broken() {
      yield Buffer.from('half of ')
      await nothing()
      if (inChunks) throw fault
    }
    const failing = files.replace(path, broken(), () => Promise.reject(fault))
    await expect(failing).rejects.toBe(fault)
    expect([await text(), await names()]).toEqual(['old', ['sessions.snapshot']])
  })

  test('goes one after the other for one path, whatever is asked for at once', async () => {
    const texts = Array.from({ length: 8 }, (_, i) => `${i}`.repeat(10_000))
    await Promise.all(texts.map((one) => files.replace(path, chunks(one, one), nothing)))
    const found = await text()
    expect(texts.map((one) => one + one)).toContain(found)
    expect(await names()).toEqual(['sessions.snapshot'])
  })

  test('fails where there is no folder, or a folder is in the way', async () => {
    const lost = join(folder, 'missing', 'file')
    await expect(files.replace(lost, chunks('x'), nothing)).rejects.toMatchObject({
      code: 'ENOENT',
    })
    await mkdir(path)
    await expect(files.replace(path, chunks('x'), nothing)).rejects.toMatchObject({
      code: 'EISDIR',
    })
    expect(await names()).toEqual(['sessions.snapshot'])
  })

  test('in one go does the same', async () => {
    await writeFile(path, 'old')
    let before = ''
    const written = files.replaceSync(path, [Buffer.from('one '), Buffer.from('two')], () => {
      before = 'asked'
    })
    expect([written, before, await text()]).toEqual([7, 'asked', 'one two'])
    const fault = new Error('as the test wants it')
    const failing = () =>
      files.replaceSync(path, [Buffer.from('new')], () => {
        throw fault
      })
    expect(failing).toThrow(fault)
    expect([await text(), await names()]).toEqual(['one two', ['sessions.snapshot']])
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })
})

describe('a log', () => {
  test('grows by all that is appended, in order, behind what others append', async () => {
    const log = await files.createLog(path)
    await log.append(Buffer.from('one '))
    await appendFile(path, 'theirs ')
    await log.append(Buffer.from('two '))
    log.appendSync(Buffer.from('three'))
    await log.sync()
    log.syncSync()
    await log.close()
    expect([log.path, await text()]).toEqual([path, 'one theirs two three'])
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  test('is prompt where that is asked for and can be', async () => {
    const log = await files.createLog(path, true)
    expect(log.prompt).toBe(process.platform === 'linux')
    await log.append(Buffer.from('one '))
    log.appendSync(Buffer.from('two'))
    await log.close()
    expect(await text()).toBe('one two')
  })

  test('goes on where a write stops short, up to its error', async () => {
    const log = await files.createLog(path)
    const { write } = fs
    type Write = (...rest: [number, Buffer, number, number, null, () => void]) => void
    const short = vi.fn<Write>((fd, data, from, count, position, done) => {
      write(fd, data, from, Math.min(count, 3), position, done)
    })
    Object.assign(fs, { write: short })
    syncBuiltinESMExports()
    try {
      await log.append(Buffer.from('one two'))
      expect(short).toHaveBeenCalledTimes(3)
      await log.close()
      await expect(log.append(Buffer.from('three'))).rejects.toMatchObject({
        code: 'ERR_OUT_OF_RANGE',
      })
    } finally {
      Object.assign(fs, { write })
      syncBuiltinESMExports()
    }
    expect(await text()).toBe('one two')
  })

  test('of many megabytes is written whole', async () => {
    const log = await files.createLog(path)
    const bulk = Buffer.alloc(9 * 1024 * 1024, 'x')
    await log.append(bulk)
    await log.append(Buffer.from('end'))
    await log.close()
    expect((await stat(path)).size).toBe(bulk.length + 3)
  })

  test('is never made over a file that is there', async () => {
    await writeFile(path, 'theirs')
    await expect(files.createLog(path)).rejects.toMatchObject({ code: 'EEXIST' })
    expect(() => files.createLogSync(path)).toThrow('EEXIST')
    expect(await text()).toBe('theirs')
  })

  test('in one go does the same', async () => {
    const log = files.createLogSync(path)
    log.appendSync(Buffer.from('one '))
    await log.append(Buffer.from('two'))
    await log.sync()
    log.syncSync()
    await log.close()
    expect(await text()).toBe('one two')
  })
})

test('a glance at what the disk does not tell of is none at a missing file', () => {
  expect(files.glanceSync(path)).toBe('')
  expect(files.glanceSync(join(folder, 'x'.repeat(300)))).toBe(UNSEEN)
})

describe('reading', () => {
  test('gives what is there, and no more at the end', async () => {
    await writeFile(path, '0123456789')
    const file = await files.open(path)
    expect(file.size).toBe(10)
    const read = async (offset: number, length: number) => {
      const room = Buffer.alloc(length)
      return room.toString('latin1', 0, await file.read(offset, room))
    }
    expect(await read(2, 3)).toBe('234')
    expect(await read(8, 100)).toBe('89')
    expect(await read(10, 5)).toBe('')
    await file.close()
    await expect(files.open(join(folder, 'none'))).rejects.toSatisfy(isMissing)
  })
})

test('a file that does not tell its size is open no more', async () => {
  await writeFile(path, 'text')
  const handle = await openFile(path)
  const prototype = Object.getPrototypeOf(handle) as typeof handle
  await handle.close()
  const failed = vi.spyOn(prototype, 'stat').mockRejectedValue(new Error('EIO'))
  try {
    await expect(files.open(path)).rejects.toThrow('EIO')
    expect((failed.mock.contexts[0] as typeof handle).fd).toBe(-1)
  } finally {
    failed.mockRestore()
  }
})

describe('the generation before', () => {
  test.each(['keep', 'keepSync'] as const)('%s: stays while its file is replaced', async (keep) => {
    const kept = `${path}.1`
    await writeFile(path, 'first')
    await files[keep](path, kept)
    await files.replace(path, chunks('second'), nothing)
    expect([await text(kept), await text()]).toEqual(['first', 'second'])
    await files[keep](path, kept)
    await files[keep](path, kept)
    expect([await text(kept), await text()]).toEqual(['second', 'second'])
    expect(await names()).toEqual(['sessions.snapshot', 'sessions.snapshot.1'])
    await rm(path)
    await files[keep](path, kept)
    expect(await text(kept)).toBe('second')
  })
})

describe('what else is done to files', () => {
  test('copies are made over nothing, and are for the owner alone', async () => {
    await writeFile(path, 'original')
    await chmod(path, 0o644)
    const to = `${path}.copy`
    await files.copy(path, to)
    expect([await text(to), (await stat(to)).mode & 0o777]).toEqual(['original', 0o600])
    await expect(files.copy(path, to)).rejects.toMatchObject({ code: 'EEXIST' })
  })

  test('a file is cut to a length', async () => {
    await writeFile(path, '0123456789')
    await files.truncate(path, 4)
    expect(await text()).toBe('0123')
  })

  test('removing what is not there is fine', async () => {
    await writeFile(path, 'x')
    await files.remove(path)
    await files.remove(path)
    expect(await names()).toEqual([])
  })

  test('missing folders are made, for the owner alone', async () => {
    const deep = join(folder, 'one', 'two', 'sessions.snapshot')
    await files.makeFolder(deep)
    await files.makeFolder(deep)
    expect((await stat(join(folder, 'one', 'two'))).mode & 0o777).toBe(0o700)
    await files.syncFolder(deep)
    files.syncFolderSync(deep)
    await expect(files.syncFolder(join(folder, 'none', 'x'))).rejects.toSatisfy(isMissing)
  })

  test('what is at a path is told apart', async () => {
    await writeFile(path, '')
    await symlink(path, join(folder, 'link'))
    expect(await files.kind(path)).toBe('file')
    expect(await files.kind(folder)).toBe('folder')
    expect(await files.kind(join(folder, 'link'))).toBe('link')
    expect(await files.kind(join(folder, 'none'))).toBe('none')
    expect(await files.kind('/dev/null')).toBe('other')
  })

  test('siblings begin with the name and a dot', async () => {
    for (const name of ['', '.1', '.journal-1', 'other', '2']) await writeFile(path + name, '')
    expect((await files.siblings(path)).sort()).toEqual([
      'sessions.snapshot.1',
      'sessions.snapshot.journal-1',
    ])
  })

  test('a glance tells a file that was replaced or written to', async () => {
    expect(files.glanceSync(path)).toBe('')
    await writeFile(path, 'one')
    const first = files.glanceSync(path)
    expect(files.glanceSync(path)).toBe(first)
    await appendFile(path, 'more')
    const second = files.glanceSync(path)
    await files.replace(path, chunks('one', 'more'), nothing)
    expect(new Set([first, second, files.glanceSync(path)]).size).toBe(3)
  })
})
