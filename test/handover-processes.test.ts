/**
 * Owners and successors as processes of their own: closed, killed, restarted, started by mistake,
 * and the deploys of a real app, in a smaller size than the example has.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeEach, describe, expect, test } from 'vitest'
import { patient, stopwatch } from './support/patience.js'
import { StoreProcess } from './support/processes.js'
import { newPath, openAt, roleOf, sidsOf } from './support/real-stores.js'
import { sessionOf } from './support/stores.js'

const HOUR = 3_600_000
const session = (data: object = {}) =>
  sessionOf(data, { originalMaxAge: HOUR, expires: new Date(Date.now() + HOUR), path: '/' })
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const never = { snapshotInterval: 0, checkPeriod: 0 } as const
const built = new URL('../dist/index.js', import.meta.url).href

let path: string

const start = (options: Parameters<typeof StoreProcess.start>[0] = {}) =>
  StoreProcess.start({ snapshotPath: path, ...never, ...options })

beforeEach(async () => {
  path = await newPath()
})

describe('a process that is killed -9', () => {
  test('while it owns the file is followed within moments; all it answered is there', async () => {
    const owner = await start()
    const successor = await start()
    await successor.set('own', session({ by: 'successor' }))
    for (let i = 0; i < 20; i++) await owner.set(`s${i}`, session({ i }))
    await owner.call('destroy', 's0')
    await owner.end('SIGKILL')
    const spent = stopwatch()
    await expect.poll(() => successor.role(), patient).toBe('owner')
    expect(spent()).toBeLessThan(3000)
    const expected = Array.from({ length: 19 }, (_, i) => `s${i + 1}`).concat('own')
    expect(new Set((await successor.call('ids')) as string[])).toEqual(new Set(expected))
    await successor.end('SIGTERM')
    expect(await sidsOf(await openAt(path, never))).toEqual(expected.sort())
  })

  test('alone is no hindrance to the next one, which starts at once', async () => {
    const first = await start({ durability: 'always' })
    await first.set('a', session())
    await first.end('SIGKILL')
    const spent = stopwatch()
    const next = await openAt(path, { ...never, onOwned: 'throw' })
    expect(spent()).toBeLessThan(1000)
    expect(roleOf(next)).toBe('owner')
    expect(await sidsOf(next)).toEqual(['a'])
  })

  test('while it waits leaves nothing behind that slows the owner down', async () => {
    const owner = await openAt(path, never)
    const successor = await start()
    await owner.store.set('a', session())
    expect(owner.store.stats().unsaved).toBe(false)
    await successor.end('SIGKILL')
    // Its note goes with the next look at it.
    const notes = async () =>
      (await readdir(dirname(path))).filter((n) => n.includes('.successor-'))
    await expect.poll(notes, patient).toEqual([])
    await expect
      .poll(async () => {
        await owner.store.flush()
        await owner.store.set('a', session())
        return owner.store.stats().unsaved
      }, patient)
      .toBe(true)
  })

  test('between taking over and its first snapshot loses nothing that was saved', async () => {
    const owner = await start()
    const successor = await start()
    await owner.set('a', session())
    await successor.set('own', session())
    await owner.end('SIGTERM')
    await expect.poll(() => successor.role(), patient).toBe('owner')
    await successor.call('flush')
    await successor.end('SIGKILL')
    expect(await sidsOf(await openAt(path, never))).toEqual(['a', 'own'])
  })
})

test('a chain of processes: exactly one takes over, whoever dies', async () => {
  const owner = await start()
  const waiting = [await start(), await start(), await start()]
  await owner.set('a', session({ n: 1 }))
  await owner.end('SIGKILL')
  const roles = () => Promise.all(waiting.map((one) => one.role()))
  const owners = async () => (await roles()).filter((role) => role === 'owner').length
  await expect.poll(owners, patient).toBe(1)
  await wait(1500)
  expect(await owners()).toBe(1)
  const second = waiting.splice((await roles()).indexOf('owner'), 1)[0]!
  await second.set('b', session({ n: 2 }))
  for (const one of waiting) expect(await one.get('b')).toMatchObject({ n: 2 })
  await second.end('SIGTERM')
  await expect.poll(owners, patient).toBe(1)
  for (const one of waiting) {
    expect((await one.call('ids')) as string[]).toHaveLength(2)
    expect(one.told('error')).toEqual([])
  }
})

test('a process that only waits for `ready()` is not over before that', async () => {
  const owner = await openAt(path, { ...never, watch: false })
  await owner.store.set('a', session())
  await owner.store.flush()
  const script = `
    import { PersistentMemoryStore } from ${JSON.stringify(built)}
    const store = new PersistentMemoryStore({ snapshotPath: ${JSON.stringify(path)} })
    const { sessions } = await store.ready()
    console.log(sessions, store.stats().ownership.role)
    await store.close()
  `
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--input-type=module',
    '-e',
    script,
  ])
  expect(stdout).toBe('1 successor\n')
})

test('a process ends when it has nothing else to do, waiting or not', async () => {
  const script = `
    import { PersistentMemoryStore } from ${JSON.stringify(built)}
    const store = new PersistentMemoryStore({ snapshotPath: ${JSON.stringify(path)} })
    await store.ready()
    await store.set('of-' + process.argv[1], { cookie: {} })
    console.log(store.stats().ownership.role)
  `
  const run = (name: string) =>
    promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, name])
  expect((await run('first')).stdout).toBe('owner\n')
  const owner = await start()
  const { stdout, stderr } = await run('second')
  expect(stdout).toBe('successor\n')
  // With what it changed it can't but say so.
  expect(stderr).toMatch(/ERR_OWNED.*Not written: 1 session changed here/s)
  await owner.end('SIGTERM')
  expect(await sidsOf(await openAt(path, never))).toEqual(['of-first'])
})

test('two started by mistake: the second says so in words, and the first goes on', async () => {
  const first = await start()
  const script = `
    import { PersistentMemoryStore } from ${JSON.stringify(built)}
    const options = { snapshotPath: ${JSON.stringify(path)}, onOwned: 'throw' }
    await new PersistentMemoryStore(options).ready()
  `
  const second = spawn(process.execPath, ['--input-type=module', '-e', script])
  let printed = ''
  second.stderr.setEncoding('utf8').on('data', (text: string) => (printed += text))
  const [code] = (await once(second, 'exit')) as [number]
  expect(code).toBe(1)
  expect(printed).toContain(
    `Expected ${path} to be free, found that process ${first.pid} has owned`,
  )
  expect(printed).toContain('Stop that process')
  await first.set('a', session())
  expect(await first.role()).toBe('owner')
})

test('a store in a cluster worker says that it shares nothing', async () => {
  const file = join(dirname(path), 'workers.mjs')
  await writeFile(
    file,
    `
    import cluster from 'node:cluster'
    import { PersistentMemoryStore } from ${JSON.stringify(built)}
    if (cluster.isPrimary) cluster.fork()
    else {
      process.on('warning', ({ name, code, message }) => console.log(name, code, message))
      const store = new PersistentMemoryStore({ snapshotPath: ${JSON.stringify(path)} })
      await store.ready()
      const memory = new PersistentMemoryStore({ snapshotPath: false })
      await memory.ready()
      await store.close()
      process.exit()
    }
  `,
  )
  const { stdout } = await promisify(execFile)(process.execPath, [file])
  expect(stdout.trim().split('\n')).toEqual([
    'PersistentMemoryStoreWarning PMS_CLUSTER A store in a cluster worker shares no sessions with ' +
      'the other workers: see "More than one process" in the README',
  ])
})

describe('a folder', () => {
  test('that is a copy of one in use is nobody’s', async () => {
    const owner = await start()
    await owner.set('a', session())
    await owner.call('flush')
    const copy = join(dirname(path), 'copy')
    await mkdir(copy)
    for (const name of await readdir(dirname(path))) {
      if (name.includes('.')) await copyFile(join(dirname(path), name), join(copy, name))
    }
    const next = await openAt(join(copy, 'sessions.snapshot'), { ...never, onOwned: 'throw' })
    expect(roleOf(next)).toBe('owner')
    expect(await sidsOf(next)).toEqual(['a'])
    await owner.set('b', session())
    expect(await owner.role()).toBe('owner')
  })
})

test('an owner that finds its lease taken stops writing, says so and serves on', async () => {
  const owner = await openAt(path, { ...never, durability: 'always' })
  await owner.store.set('a', session())
  const lease = (await readdir(dirname(path))).find((name) => name.includes('.lease-'))!
  const text = await readFile(join(dirname(path), lease), 'utf8')
  // As another process would whose owner seemed gone to it.
  await writeFile(`${path}.lease-77`, text.replace(/"token":"\w/, '"token":"x'))
  await expect.poll(() => owner.errors.map(({ code }) => code), patient).toEqual(['ERR_LEASE_LOST'])
  const sizes = async () => {
    const names = (await readdir(dirname(path))).sort()
    const files = await Promise.all(names.map((name) => readFile(join(dirname(path), name))))
    return names.map((name, i) => [name, files[i]!.length])
  }
  const before = await sizes()
  await expect(owner.store.set('b', session({ n: 1 }))).rejects.toMatchObject({
    code: 'ERR_LEASE_LOST',
  })
  await expect(owner.store.snapshot()).rejects.toMatchObject({ code: 'ERR_LEASE_LOST' })
  await expect(owner.store.flush()).rejects.toMatchObject({ code: 'ERR_LEASE_LOST' })
  expect(await owner.store.get('b')).toMatchObject({ n: 1 })
  expect(owner.store.stats()).toMatchObject({
    ownership: { role: 'none' },
    writeError: { code: 'ERR_LEASE_LOST' },
  })
  await wait(1500)
  await owner.store.close().catch(() => {})
  expect(await sizes()).toEqual(before)
  expect(owner.errors).toHaveLength(1)
})

test('a file moved away under a successor’s eyes and back changes nothing', async () => {
  const owner = await openAt(path, never)
  await owner.store.set('a', session())
  await owner.store.snapshot()
  const successor = await openAt(path, never)
  await rename(path, `${path}.away`)
  expect(await sidsOf(successor)).toEqual(['a'])
  await rename(`${path}.away`, path)
  await owner.store.set('b', session())
  expect(await sidsOf(successor)).toEqual(['a', 'b'])
})

describe('the example of a deploy', () => {
  test('loses no login, no item and no logout over three versions', async () => {
    const deploy = fileURLToPath(new URL('../examples/zero-downtime/deploy.js', import.meta.url))
    const args = [deploy, '--visitors', '8', '--seconds', '0.5']
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
      env: { ...process.env, NODE_ENV: 'production' },
    })
    expect(stderr).toBe('')
    const figure = (name: string) => Number(new RegExp(`^${name} +(\\d+)`, 'm').exec(stdout)?.[1])
    expect(figure('requests')).toBeGreaterThan(100)
    for (const name of ['failures', 'lost logins', 'lost items', 'resurrected logouts']) {
      expect(figure(name), name).toBe(0)
    }
    expect(stdout).toMatch(/requests .*\(v1 \d+, v2 \d+, v3 \d+\)/)
    const [, loggedIn, loggedOut] = /(\d+) visitors .* (\d+) cookies/.exec(stdout)!
    expect(Number(loggedIn)).toBeGreaterThan(0)
    expect(Number(loggedOut)).toBeGreaterThan(0)
  }, 90_000)

  test('fails where logins get lost', async () => {
    // Each version on a file of its own, as if there were no hand-over.
    const folder = dirname(path)
    for (const name of ['deploy.js', 'proxy.js', 'visitors.js', 'app.js']) {
      const source = fileURLToPath(new URL(`../examples/zero-downtime/${name}`, import.meta.url))
      let text = await readFile(source, 'utf8')
      if (name === 'app.js') {
        text = text.replaceAll(/from '([a-z-]+)'/g, (_all, module: string) => {
          const resolved = module === 'persistent-memorystore' ? built : import.meta.resolve(module)
          return `from '${resolved}'`
        })
        const own = text.replace(
          'snapshotPath: SESSION_FILE',
          'snapshotPath: SESSION_FILE + VERSION',
        )
        expect(own).not.toBe(text)
        text = own
      }
      await writeFile(join(folder, name), text)
    }
    await writeFile(join(folder, 'package.json'), '{"type":"module"}')
    const args = [join(folder, 'deploy.js'), '--visitors', '4', '--seconds', '0.2']
    const failed = await promisify(execFile)(process.execPath, args).then(
      () => undefined,
      (error: unknown) => error as { code: number; stdout: string },
    )
    expect(failed?.code).toBe(1)
    expect(failed?.stdout).toMatch(/lost logins +[1-9]/)
  }, 90_000)
})
