/**
 * What is not a file of this store: the start fails with an error that says so by its code, every
 * operation fails with it too, and the file is the same afterwards, byte for byte.
 */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'
import { Victim } from '../lib/child.js'
import { History } from '../lib/history.js'
import { KEY } from '../lib/pictures.js'
import { Random } from '../lib/random.js'
import { sessionOf } from '../lib/sessions.js'
import { openStore } from '../lib/stores.js'
import { Tally } from '../lib/tally.js'

export const name = 'foreign files'
/** Each case, five times with other contents. */
export const full = 150

const OPENER = fileURLToPath(new URL('../lib/opener.js', import.meta.url))
const NOBODY = 65_534
const SERIALIZER = { stringify: JSON.stringify, parse: JSON.parse }

/** `make` puts something at or beside the path; the start must then fail with one of `codes`. */
const CASES = {
  'an empty file': { make: (path) => writeFileSync(path, ''), codes: ['ERR_FORMAT_FOREIGN'] },
  'a folder': { make: (path) => mkdirSync(path), codes: ['ERR_OPEN'] },
  'a text': { make: (path) => writeFileSync(path, 'sid,session\n'), codes: ['ERR_FORMAT_FOREIGN'] },
  JSON: { make: (path) => writeFileSync(path, '{"a":{}}'), codes: ['ERR_FORMAT_FOREIGN'] },
  'a file of zeros': {
    make: (path) => writeFileSync(path, Buffer.alloc(9000)),
    codes: ['ERR_FORMAT_FOREIGN'],
  },
  'random bytes': {
    make: (path, random) => writeFileSync(path, random.bytes(5000)),
    codes: ['ERR_FORMAT_FOREIGN'],
  },
  'a database': {
    make: (path) => writeFileSync(path, Buffer.from('SQLite format 3\0'.padEnd(4096, '\0'))),
    codes: ['ERR_FORMAT_FOREIGN'],
  },
  'a symbolic link': {
    make: async (path) => {
      await writeStore(`${path}-target`, {})
      symlinkSync(`${path}-target`, path)
    },
    codes: ['ERR_OPEN'],
  },
  'a link to nothing': { make: (path) => symlinkSync('nowhere', path), codes: ['ERR_OPEN'] },
  'a named pipe': { make: (path) => execFileSync('mkfifo', [path]), codes: ['ERR_OPEN'] },
  'a newer version': {
    make: async (path) => {
      await writeStore(path, {})
      newer(path)
    },
    codes: ['ERR_FORMAT_VERSION'],
  },
  'a journal of a newer version': {
    make: async (path) => {
      await writeStore(path, {})
      newer(journalOf(path))
    },
    codes: ['ERR_FORMAT_VERSION'],
  },
  'no key': { make: (path) => writeStore(path, { encryptionKey: KEY }), codes: ['ERR_KEY'] },
  'another key': {
    make: (path) => writeStore(path, { encryptionKey: KEY }),
    options: { encryptionKey: ['not that one', 'nor this'] },
    codes: ['ERR_KEY'],
  },
  'another encoding': {
    make: (path) => writeStore(path, { serializer: SERIALIZER }),
    codes: ['ERR_ENCODING'],
  },
  'the built-in encoding': {
    make: (path) => writeStore(path, {}),
    options: { serializer: SERIALIZER },
    codes: ['ERR_ENCODING'],
  },
  'damage that is not to be salvaged': {
    make: async (path, random) => {
      await writeStore(path, {})
      const bytes = readFileSync(path)
      bytes[random.between(1100, bytes.length - 1)] ^= 0x40
      writeFileSync(path, bytes)
    },
    options: { onCorrupt: 'throw' },
    codes: ['ERR_DAMAGED'],
  },
}

export async function run(count, seed) {
  const tally = new Tally(name)
  const names = Object.keys(CASES)
  for (let i = 0; i < count; i++) {
    const what = names[i % names.length]
    await tally.try(what, () => foreign(tally, what, CASES[what], new Random(seed + i)))
  }
  await tally.try('a foreign file beside', () => beside(tally))
  if (process.getuid?.() === 0) {
    for (const which of ['file', 'folder', 'journal']) {
      await tally.try(`unreadable ${which}`, () => unreadable(tally, which))
    }
  } else tally.notes.push('not root: files that may not be read have been left out')
  return tally
}

async function foreign(tally, what, { make, options, codes }, random) {
  await inFolder(async (folder) => {
    const path = join(folder, 'sessions.snapshot')
    await make(path, random)
    const before = picture(folder)
    const error = await openStore({ snapshotPath: path, ...options }).then(
      () => undefined,
      (thrown) => thrown,
    )
    tally.require(codes.includes(error?.code), `${what}: ${error?.code ?? error}`)
    tally.sessionsChecked++
    tally.require(picture(folder) === before, `${what}: not what it was`)
  })
}

/** A file of somebody else with a name of ours is not overwritten. */
async function beside(tally) {
  await inFolder(async (folder) => {
    const path = join(folder, 'sessions.snapshot')
    const precious = 'somebody keeps this'
    for (const suffix of ['.1', '.journal-1', '.journal-9', '.bak', '.2']) {
      writeFileSync(path + suffix, precious)
    }
    const { store } = await openStore({ snapshotPath: path })
    for (let i = 0; i < 3; i++) {
      await store.set(`session-${i}`, sessionOf(`session-${i}`, i))
      await store.snapshot()
    }
    await store.close()
    const kept = readdirSync(folder).filter(
      (file) => readFileSync(join(folder, file), 'utf8') === precious,
    )
    tally.require(kept.length === 5, `beside: only ${kept.length} of 5 files are left`)
    tally.sessionsChecked += 5
  })
}

async function unreadable(tally, which) {
  await inFolder(async (folder) => {
    chmodSync(folder, 0o777)
    const path = join(folder, 'sessions.snapshot')
    await writeStore(path, {})
    if (which === 'folder') chmodSync(folder, 0o700)
    const before = picture(folder)
    const victim = new Victim(
      { options: { snapshotPath: path }, uid: NOBODY },
      new History(0, []),
      {
        script: OPENER,
      },
    )
    await victim.ended
    tally.require(
      victim.refused === 'ERR_OPEN',
      `unreadable ${which}: ${victim.refused} ${victim.stderr}`,
    )
    tally.sessionsChecked++
    tally.require(picture(folder) === before, `unreadable ${which}: not what it was`)
  })
}

/** Two generations and a journal with something in it. */
async function writeStore(path, options) {
  const { store } = await openStore({ snapshotPath: path, ...options })
  for (let i = 0; i < 20; i++) await store.set(`session-${i}`, sessionOf(`session-${i}`, i))
  await store.snapshot()
  await store.snapshot()
  await store.set('later', sessionOf('later', 1))
  await store.close()
}

function journalOf(path) {
  const numbers = [1, 2, 3, 4].filter((number) => existsSync(`${path}.journal-${number}`))
  return `${path}.journal-${numbers.at(-1)}`
}

/** Makes both headers of a file say version 2, checksums and all. */
function newer(path) {
  const bytes = readFileSync(path)
  const key = Buffer.concat([Buffer.from([0xa7]), Buffer.from('version')])
  for (const start of [0, 512]) {
    const frame = bytes.subarray(start, start + 512)
    frame[frame.indexOf(key) + key.length] = 2
    let crc = crc32(frame.subarray(1, 7), 0)
    crc = crc32(frame.subarray(12, 17), crc)
    frame.writeUInt32BE(crc32(frame.subarray(17), crc), 8)
  }
  writeFileSync(path, bytes)
}

/** All there is in a folder but who has it open. */
function picture(folder) {
  const files = readdirSync(folder).filter((file) => !/\.(lease|successor)-/.test(file))
  return JSON.stringify(
    files.sort().map((file) => {
      const stats = lstatSync(join(folder, file))
      let bytes = ''
      if (stats.isSymbolicLink()) bytes = readlinkSync(join(folder, file))
      else if (stats.isFile()) bytes = readFileSync(join(folder, file), 'base64')
      return [file, stats.mode, stats.size, stats.mtimeMs, stats.ino, bytes]
    }),
  )
}

async function inFolder(body) {
  const folder = mkdtempSync(join(tmpdir(), 'pms-foreign-'))
  try {
    await body(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
