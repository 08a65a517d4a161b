/**
 * Processes that are killed or end, in a small size, and each bug that the campaign has found, on
 * the shortest way to it.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { Disk } from './faults/lib/disk.js'
import { DISK_PATH, surroundingsOf } from './faults/lib/disk-files.js'
import { openStore, settle } from './faults/lib/stores.js'
import { Random } from './faults/lib/random.js'
import { TestClock } from './faults/lib/clock.js'
import * as exitWays from './faults/faults/exit-ways.js'
import * as kill from './faults/faults/kill.js'
import * as systemCalls from './faults/faults/system-calls.js'

const PACKAGE = new URL('../dist/index.js', import.meta.url).href
const PROCESSES = [
  [kill, 6],
  [exitWays, 5],
  [systemCalls, 4],
] as const

describe('processes, in a small size', () => {
  for (const [fault, count] of PROCESSES) {
    it(`survives: ${fault.name}`, async ({ skip }) => {
      const tally = await fault.run(count, 1)
      // Where it must not be skipped, there is nothing checked below.
      if (tally.skipped && process.env['PMS_REQUIRE_TOOLS'] !== '1') skip(tally.skipped)
      expect(tally.problems).toEqual([])
      expect(tally.survived).toBe(tally.tries)
      expect(tally.sessionsChecked).toBeGreaterThan(0)
    })
  }
})

/** A store that takes sessions with any data, and with part of a cookie or none. */
type LooseStore = Omit<Awaited<ReturnType<typeof openStore>>['store'], 'set' | 'touch'> & {
  set(sid: string, session: object, done?: (error?: unknown) => void): Promise<void>
  touch(sid: string, session: object): Promise<void>
}

interface Step {
  kind: string
  path: string
}

describe('what the campaign has found', () => {
  const opened: { close(): Promise<void> }[] = []
  let disk = new Disk()
  let clock = new TestClock()

  afterEach(async () => {
    disk.fault = () => undefined
    // Where the power has gone, nothing can be closed.
    await Promise.allSettled(opened.splice(0).map((store) => store.close()))
    disk = new Disk()
    clock = new TestClock()
  })

  async function open(options: object = {}, on = disk) {
    const surroundings = surroundingsOf(on, clock)
    const { store, errors } = await openStore({ snapshotPath: DISK_PATH, ...options }, surroundings)
    opened.push(store)
    return { store: store as LooseStore, errors }
  }

  /** What a start finds on a copy of the disk as it is now. */
  async function afterKill(options: object = {}) {
    return (await open(options, disk.copy())).store
  }

  /** Makes steps fail for which `which` says so, and keeps a list of all. */
  function failing(which: (step: Step) => boolean): string[] {
    const steps: string[] = []
    disk.fault = (kind: string, path: string) => {
      const name = path.slice(DISK_PATH.length)
      const fails = which({ kind, path: name })
      steps.push(`${fails ? 'failed ' : ''}${kind} ${name}`)
      return fails ? Object.assign(new Error('EIO'), { code: 'EIO' }) : undefined
    }
    return steps
  }

  it('keeps a session ended by a set or touch with an expired cookie ended', async () => {
    const { store } = await open()
    await store.set('a', { x: 1 })
    await store.set('b', { x: 1 })
    await store.flush()
    await store.set('a', { x: 1, cookie: { maxAge: 0 } })
    await store.touch('b', { cookie: { maxAge: 0 } })
    await store.flush()
    const again = await afterKill()
    expect([await again.get('a'), await again.get('b')]).toEqual([undefined, undefined])
  })

  it('reads a session that never ends, and its neighbours', async () => {
    const { store } = await open()
    await store.set('a', { x: 1, cookie: { maxAge: Infinity } })
    await store.set('b', { x: 2 })
    await store.flush()
    const again = await afterKill()
    expect(await again.get('a')).toMatchObject({ x: 1 })
    expect(await again.get('b')).toEqual({ x: 2 })
  })

  it('reads files written beside sessions whose keys are no whole characters', async () => {
    const { store } = await open()
    const odd = { 'a\ud800': 1, 'a\ud801': 2 }
    for (let i = 0; i < 30; i++) {
      await store.set(`plain-${i}`, { user: i, name: 'n' })
      await store.set(`odd-${i}`, odd)
      await store.set(`later-${i}`, { another: i, shape: true })
    }
    await store.flush()
    const again = await afterKill()
    expect(await again.length()).toBe(90)
    expect(await again.get('odd-29')).toEqual(odd)
    expect(await again.get('later-29')).toEqual({ another: 29, shape: true })
  })

  it('keeps sessions that a snapshot found expired by a clock gone astray', async () => {
    const { store } = await open()
    await store.set('a', { x: 1 })
    await store.flush()
    const before = clock.now()
    clock.set(before + 10 * 365 * 86_400_000)
    await store.snapshot()
    clock.set(before)
    expect(await store.get('a')).toEqual({ x: 1 })
    expect(await (await afterKill()).get('a')).toEqual({ x: 1 })
  })

  it('never answers a change with success that it refused to write', async () => {
    const { store } = await open({ durability: 'always' })
    await store.set('a', { x: 1 })
    let broken = true
    failing(({ kind, path }) => broken && kind === 'write' && path.startsWith('.journal'))
    await expect(store.set('b', { x: 2 })).rejects.toMatchObject({ code: 'ERR_WRITE' })
    broken = false
    await store.snapshot()
    const answer = await new Promise((resolve) => {
      void store.set('c', { x: 3 }, (error) => resolve(error ?? 'stored'))
    })
    const there = await (await afterKill()).get('c')
    expect(answer === 'stored').toBe(there !== undefined)
  })

  it('gives a journal up whose first sync failed', async () => {
    const { store } = await open({ durability: 'always' })
    await store.set('a', { x: 1 })
    let left = 1
    const steps = failing(
      ({ kind, path }) => kind === 'fdatasync' && path.startsWith('.journal') && left-- > 0,
    )
    await expect(store.snapshot()).rejects.toMatchObject({ code: 'ERR_WRITE' })
    await store.set('b', { x: 2 })
    const failed = steps.findIndex((step) => step.startsWith('failed'))
    const file = steps[failed]?.split(' ').at(-1) ?? 'none'
    const later = steps.slice(failed + 1).filter((step) => /^(write|fdatasync)/.test(step))
    expect(later.length).toBeGreaterThan(0)
    expect(later.filter((step) => step.endsWith(` ${file}`))).toEqual([])
  })

  it('salvages the latest sessions, not those that a limit had dropped', async () => {
    const { store } = await open({ max: 50 })
    for (let i = 0; i < 50; i++) await store.set(`old-${i}`, { i })
    await store.snapshot()
    for (let i = 0; i < 50; i++) await store.set(`new-${i}`, { i })
    await store.snapshot()
    await store.close()
    const bytes = Buffer.from(disk.inode(DISK_PATH).data)
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 20) ^ 0xff, bytes.length - 20)
    disk.put(DISK_PATH, bytes)
    const ids = await (await afterKill({ max: 50 })).ids()
    expect(ids.filter((sid: string) => sid.startsWith('new-'))).toHaveLength(50)
  })

  it('begins no more journals than it needs while snapshots fail', async () => {
    const { store } = await open({ snapshotInterval: 1000 })
    failing(({ kind, path }) => kind === 'rename' && path === '')
    for (let i = 0; i < 30; i++) {
      await store.set('a', { i })
      clock.advance(61_000)
      await settle(60)
    }
    const journals = disk.siblings(DISK_PATH).filter((name: string) => name.includes('.journal-'))
    expect(journals.length).toBeLessThan(5)
  })

  it('looks for whole frames in garbage in no more than a moment', async () => {
    const { store } = await open()
    await store.set('a', { x: 1 })
    await store.close()
    const journal = `${DISK_PATH}.journal-1`
    disk.put(journal, Buffer.concat([disk.inode(journal).data, Buffer.alloc(1_000_000, 0x94)]))
    const started = process.cpuUsage()
    expect(await (await afterKill()).get('a')).toEqual({ x: 1 })
    expect(process.cpuUsage(started).user).toBeLessThan(10_000_000)
  })

  it('loses no set that came while a touch of the same session was being written', async () => {
    const first = await open({ ttl: '1h' })
    await first.store.set('a', { version: 1 })
    await first.store.close()
    const { store } = await open({ ttl: '1h' })
    clock.advance(600_000)
    await store.touch('a', {})
    // The journal is being created when the set comes.
    clock.advance(2000)
    for (let turns = 0; turns < 12; turns++) {
      await store.set('a', { version: 2 + turns })
      await settle(1)
    }
    await store.flush()
    expect(await (await afterKill({ ttl: '1h' })).get('a')).toEqual({ version: 13 })
  })

  it("syncs the journal's end before it is left for the next", async () => {
    for (let steps = 1; steps < 40; steps++) {
      disk = new Disk()
      clock = new TestClock()
      const { store } = await open()
      await store.set('a', { version: 1 })
      await store.flush()
      await store.set('a', { version: 2 })
      clock.advance(300)
      await settle(30)
      disk.stopAt = disk.steps + steps
      const snapshot = store.snapshot().catch(() => undefined)
      const flushed = store.flush().then(
        () => !disk.stopped,
        () => false,
      )
      await settle(60)
      disk.stop()
      await snapshot
      if (!(await flushed)) continue
      for (let seed = 0; seed < 8; seed++) {
        const { store: again } = await open({}, disk.afterPowerLoss(new Random(seed)))
        expect(await again.get('a')).toEqual({ version: 2 })
      }
    }
  })

  it('acknowledges no set that a clear overtook without what the clear did', async () => {
    let acknowledged = 0
    for (let steps = 1; steps < 30; steps++) {
      disk = new Disk()
      clock = new TestClock()
      const before = await open({ durability: 'always' })
      await before.store.set('a', { version: 1 })
      await before.store.close()
      const { store } = await open({ durability: 'always' })
      disk.stopAt = disk.steps + steps
      const set = store.set('a', { version: 2 }).then(
        () => !disk.stopped,
        () => false,
      )
      // The set has been taken to be written, and is not yet.
      while (disk.steps < disk.stopAt - steps + 1 && !disk.stopped) await settle(1)
      const cleared = store.clear().catch(() => undefined)
      const held = await set
      disk.stop()
      await cleared
      if (!held) continue
      acknowledged++
      for (let seed = 0; seed < 8; seed++) {
        const { store: again } = await open({}, disk.afterPowerLoss(new Random(seed)))
        expect(await again.get('a')).not.toEqual({ version: 1 })
      }
    }
    expect(acknowledged).toBeGreaterThan(0)
  })

  it("flushes all that came before, with 'snapshot' too", async () => {
    const { store } = await open({ durability: 'snapshot' })
    await store.set('a', { version: 1 })
    const snapshot = store.snapshot()
    await settle(6)
    await store.set('a', { version: 2 })
    const others = [store.flush(), store.snapshot()]
    await store.set('a', { version: 3 })
    await store.flush()
    expect(await (await afterKill({ durability: 'snapshot' })).get('a')).toEqual({ version: 3 })
    await Promise.all([snapshot, ...others])
  })
})

describe.skipIf(process.platform === 'win32')('a limit on the size of files', () => {
  const script = (options: object) => `
    import { writeFileSync } from 'node:fs'
    import { PersistentMemoryStore } from ${JSON.stringify(PACKAGE)}
    const options = ${JSON.stringify(options)}
    const told = []
    const tell = ({ code }) => told.push(code)
    const store = new PersistentMemoryStore(options)
    store.on('error', () => undefined)
    await store.ready()
    await store.set('a', { n: 1, bulk: ' '.repeat(9000) }).catch(tell)
    await store.snapshot().catch(tell)
    const { n } = await store.get('a')
    await store.close().catch(tell)
    // What the app writes itself is no more deadly than it was before it had a store.
    try { writeFileSync(options.snapshotPath + '.app', Buffer.alloc(9000)) } catch (error) { tell(error) }
    await new Promise((resolve) => setImmediate(resolve))
    console.log(JSON.stringify({ n, told }))
  `

  // Once with our own hook at the exit, once with that of write-file-atomic only.
  it.each([
    ['always', true, ['ERR_WRITE', 'ERR_WRITE', 'ERR_WRITE', 'EFBIG']],
    ['snapshot', false, ['ERR_WRITE', 'ERR_WRITE', 'EFBIG']],
  ])("fails writes and ends nothing: '%s', flushOnExit %s", (durability, flushOnExit, expected) => {
    const folder = mkdtempSync(join(tmpdir(), 'pms-limit-'))
    try {
      const snapshotPath = join(folder, 'sessions.snapshot')
      const code = script({ snapshotPath, durability, flushOnExit })
      const node = [process.execPath, '--input-type=module', '-e', code]
      const limited = ['-c', 'ulimit -f 8; exec "$0" "$@"', ...node]
      const { status, signal, stdout } = spawnSync('sh', limited, { encoding: 'utf8' })
      expect([status, signal]).toEqual([0, null])
      expect(JSON.parse(stdout)).toEqual({ n: 1, told: expected })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

describe('a process that is told to end twice', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('%s while it writes', (signal) => {
    const folder = mkdtempSync(join(tmpdir(), 'pms-twice-'))
    try {
      const options = { snapshotPath: join(folder, 'sessions.snapshot'), durability: 'snapshot' }
      const run = (then: string) => {
        const code = `
          import fs from 'node:fs'
          import { syncBuiltinESMExports } from 'node:module'
          import { PersistentMemoryStore } from ${JSON.stringify(PACKAGE)}
          const store = new PersistentMemoryStore(${JSON.stringify(options)})
          await store.ready()
          ${then}
        `
        const node = ['--input-type=module', '-e', code]
        return spawnSync(process.execPath, node, { encoding: 'utf8' })
      }
      const end = `process.kill(process.pid, '${signal}')`
      const first = run(`
        await store.set('a', { n: 1 })
        const { fsyncSync } = fs
        fs.fsyncSync = (fd) => {
          console.log('writes')
          ${end}
          fsyncSync(fd)
        }
        syncBuiltinESMExports()
        setTimeout(() => undefined, 5000)
        ${end}
      `)
      expect(first.signal).toBe(signal)
      expect(first.stdout).toContain('writes')
      const { stdout } = run('console.log(JSON.stringify(await store.get("a"))), process.exit()')
      expect(stdout).toBe('{"n":1}\n')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
