import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { isAlive, ownIdentity, type ProcessIdentity } from '../../src/core/process-identity.js'

const built = fileURLToPath(new URL('../../dist/core/process-identity.js', import.meta.url))
const own = ownIdentity()
const linux = process.platform === 'linux'

afterEach(() => vi.restoreAllMocks())

/** The identity of a Node process, told by itself after it has run `first`. */
async function identityOf(first = ''): Promise<ProcessIdentity> {
  const script = `${first};import(${JSON.stringify(built)}).then((m) => console.log(JSON.stringify(m.ownIdentity())))`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script])
  return JSON.parse(stdout) as ProcessIdentity
}

describe('ownIdentity', () => {
  test('is the same whenever it is asked for', () => {
    expect(ownIdentity()).toEqual(own)
    expect(own.pid).toBe(process.pid)
  })

  test('differs in what a process of the same machine differs in, and in nothing else', async () => {
    const other = await identityOf()
    expect(other.pid).not.toBe(own.pid)
    expect({ ...other, pid: 0, started: '' }).toEqual({ ...own, pid: 0, started: '' })
    if (linux) expect(Number(other.started)).toBeGreaterThan(Number(own.started))
  })

  test.runIf(linux)('tells the start time whatever the process calls itself', async () => {
    const before = Number(own.started)
    expect(before).toBeGreaterThan(0)
    const other = await identityOf(`process.title = 'a) (b 1 2 3 4 5'`)
    expect(Number(other.started)).toBeGreaterThan(before)
    expect(other.started).toMatch(/^\d+$/)
  })

  test('names no host in the open', () => {
    expect(own.machine).toMatch(/^([0-9a-f]{32})?$/)
  })
})

describe('isAlive', () => {
  test('of this process', () => {
    expect(isAlive(own, own)).toBe(true)
  })

  test('of another process, as long as it lives', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    await once(child, 'spawn')
    const other = { ...own, pid: child.pid!, started: '' }
    expect(isAlive(other, own)).toBe(true)
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(isAlive(other, own)).toBe(false)
  })

  test.runIf(linux)('of one that has ended, though its parent has not noticed yet', async () => {
    // In a container whose first process waits for nobody, it stays like this for good.
    const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'])
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const other = { ...own, pid: Number(line), started: '' }
    try {
      expect(isAlive(other, own)).toBe(true)
      // A shell would notice; what takes its place never asks.
      await expect.poll(() => readFileSync(`/proc/${parent.pid}/comm`, 'utf8')).toBe('sleep\n')
      process.kill(other.pid, 'SIGKILL')
      await expect.poll(() => isAlive(other, own)).toBe(false)
      expect(() => process.kill(other.pid, 0)).not.toThrow()
    } finally {
      parent.kill('SIGKILL')
    }
  })

  test.runIf(linux)('of a process whose number another one has now', () => {
    expect(isAlive({ ...own, started: String(Number(own.started) - 1) }, own)).toBe(false)
    expect(isAlive({ ...own, started: String(Number(own.started) + 1) }, own)).toBe(false)
  })

  test.runIf(linux)(
    'is unknown of a process that can’t be looked at for want of files',
    async () => {
      const script = `
      const { closeSync, openSync } = require('node:fs')
      import(${JSON.stringify(built)}).then(({ isAlive, ownIdentity }) => {
        const own = ownIdentity()
        const opened = []
        try {
          for (;;) opened.push(openSync('/dev/null'))
        } catch {}
        const found = [isAlive(own, own), isAlive({ ...own, started: '' }, own)]
        for (const fd of opened) closeSync(fd)
        console.log(JSON.stringify([...found, isAlive(own, own)]))
      })`
      const command = 'ulimit -n 64; exec "$0" -e "$1"'
      const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, script])
      expect(JSON.parse(stdout)).toEqual(['unknown', true, true])
    },
  )

  test('is unknown where this process can’t read the present run of its machine', () => {
    const here = { ...own, machine: 'a'.repeat(32), boot: '' }
    expect(isAlive({ ...here, boot: 'a boot' }, here)).toBe('unknown')
  })

  test('of one before a reboot of this machine', () => {
    const here = { ...own, machine: 'a'.repeat(32), boot: 'one boot' }
    expect(isAlive({ ...here, boot: 'another boot' }, here)).toBe(false)
  })

  test('is unknown of a process on another machine', () => {
    const other = { ...own, machine: 'f'.repeat(32), boot: 'another boot' }
    expect(isAlive(other, own)).toBe('unknown')
  })

  test('is unknown where machines that can’t be told apart run differently', () => {
    // As in containers: no machine id, and the host name may be that of two machines.
    const here = { ...own, machine: '' }
    expect(isAlive({ ...here, boot: 'another boot' }, here)).toBe('unknown')
  })

  test('is unknown of a process in another container, even one of the same number', () => {
    expect(isAlive({ ...own, scope: 'pid:[1]' }, own)).toBe('unknown')
    expect(isAlive({ ...own, scope: 'pid:[1]', pid: 999_999_999 }, own)).toBe('unknown')
  })

  test('is unknown across machines where the system tells no boots', () => {
    const here = { ...own, boot: '' }
    expect(isAlive({ ...here, machine: 'f'.repeat(32) }, here)).toBe('unknown')
    expect(isAlive(here, here)).toBe(true)
  })

  test('of a process that may not be asked', () => {
    vi.spyOn(process, 'kill').mockImplementation(() => {
      throw Object.assign(new Error('EPERM'), { code: 'EPERM' })
    })
    expect(isAlive({ ...own, started: '' }, own)).toBe(true)
  })
})
