import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createLog, createLogSync } from '../../src/core/log-files.js'
import { errno } from '../support/memory-files.js'

const MODE = 0o600
const ROOM = 128 * 1024

let folder = ''
let path = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'a folder '))
  path = join(folder, 'journal')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const text = () => readFile(path, 'utf8')

/** Puts something in the place of functions of node:fs while `run` runs. */
async function instead(functions: Partial<typeof fs>, run: () => Promise<void>): Promise<void> {
  const real = Object.fromEntries(
    Object.keys(functions).map((name) => [name, fs[name as keyof typeof fs]]),
  )
  const put = (which: object) => {
    Object.assign(fs, which)
    syncBuiltinESMExports()
  }
  put(functions)
  await run().finally(() => put(real))
}

describe('a log', () => {
  test('grows by all that is appended, in order, behind what others append', async () => {
    const log = await createLog(path, MODE, false)
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

  test('goes on where a write stops short, up to its error', async () => {
    const log = await createLog(path, MODE, false)
    const { write } = fs
    type Write = (...rest: [number, Buffer, number, number, null, () => void]) => void
    const short = vi.fn<Write>((fd, data, from, count, position, done) => {
      write(fd, data, from, Math.min(count, 3), position, done)
    })
    await instead({ write: short } as unknown as Partial<typeof fs>, async () => {
      await log.append(Buffer.from('one two'))
      expect(short).toHaveBeenCalledTimes(3)
      await log.close()
      await expect(log.append(Buffer.from('three'))).rejects.toMatchObject({
        code: 'ERR_OUT_OF_RANGE',
      })
    })
    expect(await text()).toBe('one two')
  })

  test('of many megabytes is written whole', async () => {
    const log = await createLog(path, MODE, false)
    const bulk = Buffer.alloc(9 * 1024 * 1024, 'x')
    await log.append(bulk)
    await log.append(Buffer.from('end'))
    await log.close()
    expect((await stat(path)).size).toBe(bulk.length + 3)
  })

  test('is never made over a file that is there', async () => {
    await writeFile(path, 'theirs')
    await expect(createLog(path, MODE, false)).rejects.toMatchObject({ code: 'EEXIST' })
    expect(() => createLogSync(path, MODE)).toThrow('EEXIST')
    expect(await text()).toBe('theirs')
  })

  test('in one go does the same', async () => {
    const log = createLogSync(path, MODE)
    log.appendSync(Buffer.from('one '))
    await log.append(Buffer.from('two'))
    await log.sync()
    log.syncSync()
    log.closeSync()
    expect(await text()).toBe('one two')
  })
})

/** What a prompt log holds, without the zeros behind it, and how many of those there are. */
async function filled(): Promise<[text: string, zeros: number]> {
  const all = await text()
  const end = all.search(/\0*$/)
  return [all.slice(0, end), all.length - end]
}

describe.skipIf(process.platform !== 'linux')('a prompt log', () => {
  const prompt = () => createLog(path, MODE, true)

  test('has zeros behind what is appended, from the second time on, and writes over them', async () => {
    const log = await prompt()
    expect(log.prompt).toBe(true)
    await log.append(Buffer.from('one '))
    expect(await filled()).toEqual(['one ', 0])
    await log.append(Buffer.from('two '))
    expect(await filled()).toEqual(['one two ', ROOM])
    await log.append(Buffer.from('three '))
    log.appendSync(Buffer.from('four '))
    await log.append(Buffer.from('five'))
    await log.sync()
    log.syncSync()
    await log.close()
    expect(await filled()).toEqual(['one two three four five', ROOM - 15])
    expect((await stat(path)).mode & 0o777).toBe(MODE)
  })

  test('makes new room where what is appended goes beyond the last', async () => {
    const log = await prompt()
    let all = ''
    for (let i = 0; i < 40; i++) {
      const data = String.fromCharCode(97 + (i % 26)).repeat(i * 997 + 1)
      if (i % 7 === 6) log.appendSync(Buffer.from(data))
      else await log.append(Buffer.from(data))
      all += data
      const [found, zeros] = await filled()
      expect(found === all).toBe(true)
      expect(zeros).toBeLessThanOrEqual(ROOM)
    }
    await log.close()
  })

  test('goes on where a write stops short, in what is appended or in the zeros', async () => {
    const { write, writev } = fs
    const log = await prompt()
    let most = 3
    type Done = (error: Error | null, written: number) => void
    type Write = (...rest: [number, Buffer, number, number, number, Done]) => void
    const short: Write = (fd, data, from, count, position, done) => {
      write(fd, data, from, Math.min(count, most), position, done)
    }
    const shortv = (fd: number, parts: Buffer[], position: number, done: Done) => {
      writev(fd, [Buffer.concat(parts).subarray(0, most)], position, (error, written) =>
        done(error, written),
      )
    }
    await instead({ write: short, writev: shortv } as unknown as Partial<typeof fs>, async () => {
      await log.append(Buffer.from('one two '))
      await log.append(Buffer.from('three '))
      expect(await filled()).toEqual(['one two three ', 0])
      most = 100
      await log.append(Buffer.from('four '))
      expect(await filled()).toEqual(['one two three four ', 95])
      await log.append(Buffer.from('five'))
    })
    await log.close()
    expect(await filled()).toEqual(['one two three four five', 91])
  })

  test('does without zeros where there is no room for them', async () => {
    const log = await prompt()
    await log.append(Buffer.from('one '))
    const writev = vi.fn((...[, , , done]: [number, Buffer[], number, (error: Error) => void]) => {
      done(errno('ENOSPC'))
    })
    await instead({ writev } as unknown as Partial<typeof fs>, async () => {
      await log.append(Buffer.from('two '))
      await log.append(Buffer.from('three'))
    })
    expect(writev).toHaveBeenCalledTimes(1)
    await log.close()
    expect(await filled()).toEqual(['one two three', 0])
  })

  test.each([
    ['EIO', { writev: true }],
    ['ENOSPC', { writev: true, write: true }],
  ])('fails by %s, having tried no more than it may', async (code, which) => {
    const log = await prompt()
    await log.append(Buffer.from('one '))
    const fail = vi.fn((...rest: unknown[]) => {
      const done = rest.at(-1) as (error: Error) => void
      done(errno(code))
    })
    const functions = Object.fromEntries(Object.keys(which).map((name) => [name, fail]))
    await instead(functions, async () => {
      await expect(log.append(Buffer.from('two '))).rejects.toMatchObject({ code })
    })
    expect(fail).toHaveBeenCalledTimes(Object.keys(which).length)
    await log.close()
    expect(await filled()).toEqual(['one ', 0])
  })
})

test('a log is prompt only where that is asked for and can be', async () => {
  const log = await createLog(path, MODE, true)
  expect(log.prompt).toBe(process.platform === 'linux')
  await log.close()
})
