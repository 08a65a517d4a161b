/**
 * One or two bytes of a file changed and every checksum over them put right again, then decoded: an
 * error or a session, never a crash, a hang or more memory than the file is worth. What was decoded
 * is written and read again, and the store goes on working.
 */
import { crc32 } from 'node:zlib'
import { KeyRing } from '../../../dist/core/cipher.js'
import { Codec } from '../../../dist/core/codec.js'
import { CookieShapes, restoreCookie } from '../../../dist/core/cookie.js'
import { FramedFile } from '../../../dist/core/framed-file.js'
import { MalformedError } from '../../../dist/core/format.js'
import { RecordReader } from '../../../dist/core/records.js'
import { surroundingsOf } from '../lib/disk-files.js'
import { journalPicture, openDamaged, snapshotPicture } from '../lib/pictures.js'
import { Random } from '../lib/random.js'
import { openStore } from '../lib/stores.js'
import { Tally } from '../lib/tally.js'

export const name = 'hostile bytes'
/** Mutated decodes; one in twenty of a whole file, one in five hundred through a store. */
export const full = 1_000_000

const WHOLE_FILE = 20
/** Where the two header frames end. */
const HEADERS = 1024
const WHOLE_STORE = 500
/** Many times what a file of a few thousand bytes takes, ms; the machine may be busy. */
const SLOW = 2000
const NO_KEYS = new KeyRing([])
/** More than anything that a few thousand bytes may ask for, bytes. */
const MEMORY = 1024 * 1024 * 1024
const CODES = new Set([
  'ERR_FORMAT_FOREIGN',
  'ERR_FORMAT_VERSION',
  'ERR_DAMAGED',
  'ERR_ENCODING',
  'ERR_KEY',
  'ERR_OPEN',
])

export async function run(count, seed) {
  const tally = new Tally(name)
  const random = new Random(seed)
  const pictures = [await journalPicture(seed), await snapshotPicture(seed)]
  const cases = pictures.flatMap((picture) => casesOf(picture))
  let slowest = 0
  for (let i = 0; i < count; i++) {
    const one = cases[i % cases.length]
    const started = performance.now()
    await tally.try(`mutation ${i} of seed ${seed}`, () => {
      if (i % WHOLE_STORE === 0) return throughStore(tally, one, random, `mutation ${i}`)
      const file = one.at < HEADERS || i % WHOLE_FILE === 0
      return file ? throughFile(one, random) : throughDecoder(one, random)
    })
    tally.sessionsChecked++
    slowest = Math.max(slowest, performance.now() - started)
    if (performance.now() - started > SLOW) tally.fail('wrong', `mutation ${i}: slow`)
    if (i % 500 === 499 && process.memoryUsage.rss() > MEMORY) {
      tally.fail('wrong', `mutation ${i}: ${process.memoryUsage.rss()} bytes of memory`)
    }
  }
  tally.notes.push(`the slowest took ${slowest.toFixed(0)} ms`)
  return tally
}

/** A frame of a file to mutate. */
function casesOf(picture) {
  const bytes = picture.disk.read(picture.path)
  const cases = []
  /** What bodies refer to, by the end of each frame. */
  const structures = []
  for (let at = 0; at + 17 <= bytes.length;) {
    const end = at + 17 + bytes.readUInt32BE(at + 13)
    if (at >= HEADERS && bytes[at + 1] === 1) read(bytes.subarray(at + 17, end), structures)
    cases.push({ picture, bytes, at, end, structures: [...structures] })
    at = end
  }
  return cases
}

/** A copy of the file with bytes of one frame changed and its checksum right. */
function mutate({ bytes, at, end }, random) {
  const copy = Buffer.from(bytes)
  const changes = random.between(1, 2)
  for (let i = 0; i < changes; i++) {
    // The kind and the sequence number may change too; where the frame ends may not.
    const place = random.chance(0.1)
      ? at + random.pick([1, 3, 4, 5, 6])
      : random.between(at + 17, end - 1)
    copy[place] = random.chance(0.5) ? random.below(256) : copy[place] ^ (1 << random.below(8))
  }
  seal(copy, at, end)
  return copy
}

function seal(copy, at, end) {
  const header = at < HEADERS
  const id = header ? Buffer.alloc(0) : idOf(copy)
  let crc = header ? 0 : crc32(id)
  crc = crc32(copy.subarray(at + 1, at + 7), crc)
  crc = crc32(copy.subarray(at + 12, at + 17), crc)
  crc = crc32(copy.subarray(at + 17, end), crc)
  copy.writeUInt32BE(crc, at + 8)
}

/** The file's id, behind its name in the header's map. */
function idOf(bytes) {
  const key = Buffer.from([0xa2, 0x69, 0x64, 0xc4, 16])
  const at = bytes.indexOf(key)
  return bytes.subarray(at + key.length, at + key.length + 16)
}

/** The frames of one mutated file, without a store. */
async function throughFile(one, random) {
  const files = { open: () => Promise.resolve(memoryFile(mutate(one, random))) }
  let file
  try {
    file = await FramedFile.open(files, one.picture.path, NO_KEYS)
  } catch (error) {
    if (CODES.has(error.code)) return
    throw error
  }
  const payloads = []
  await file.read((kind, payload) => {
    if (kind === 1 || kind === 3) payloads.push(Buffer.from(payload))
  })
  await file.close()
  for (const payload of payloads) decode(payload, one.structures)
}

/** The records and bodies of one mutated payload. */
function throughDecoder(one, random) {
  decode(mutate(one, random).subarray(one.at + 17, one.end), one.structures)
}

const shapes = new CookieShapes()

/** Reads the records of a payload and decodes all there is to decode. */
function decode(payload, known) {
  const codec = new Codec()
  codec.adopt(known)
  const structures = [...known]
  expectError(() =>
    read(payload, structures, ({ cookie, cookieExpires }, body) => {
      if (structures.length > codec.structures.length) expectError(() => codec.adopt(structures))
      if (body !== undefined) expectError(() => codec.decode(body))
      if (cookie) expectError(() => restoreCookie(cookie, cookieExpires))
    }),
  )
}

function read(payload, structures, entry = ignore) {
  new RecordReader(shapes).read(payload, {
    structure: (id, keys) => id === structures.length && structures.push(keys),
    needs: ignore,
    entry,
    removal: ignore,
    clear: ignore,
  })
}

function ignore() {
  // Not what this is about.
}

function memoryFile(bytes) {
  return {
    size: bytes.length,
    read: (offset, room) => Promise.resolve(bytes.copy(room, 0, offset)),
    close: () => Promise.resolve(),
  }
}

function expectError(work) {
  try {
    work()
  } catch (error) {
    if (error instanceof MalformedError || CODES.has(error.code)) return
    if (error.code === 'ERR_SESSION_DECODE') return
    throw error
  }
}

/** The same through a whole store, which must go on working. */
async function throughStore(tally, one, random, what) {
  const bytes = mutate(one, random)
  let opened
  try {
    opened = await openDamaged(one.picture, bytes)
  } catch (error) {
    tally.require(CODES.has(error.code), `${what}: ${error.code ?? error.stack}`)
    return
  }
  const { store, damaged } = opened
  for (const sid of await store.ids()) {
    await store.get(sid).catch((error) => {
      tally.require(error.code === 'ERR_SESSION_DECODE', `${what}: get: ${error.stack}`)
    })
  }
  const served = await store.all()
  await store.set('new', { written: 1 })
  await store.snapshot()
  await store.set('newer', { written: 2 })
  await store.destroy('new')
  await store.close()
  const again = await openStore(one.picture.options, surroundingsOf(damaged, one.picture.clock))
  const after = await again.store.all()
  tally.require(after.newer?.written === 2, `${what}: what was written afterwards is gone`)
  tally.require(after.new === undefined, `${what}: what was destroyed afterwards is there`)
  const lost = Object.keys(served).filter((sid) => !(sid in after))
  tally.require(lost.length === 0, `${what}: ${lost.length} sessions are gone after a reopen`)
  await again.store.close()
}
