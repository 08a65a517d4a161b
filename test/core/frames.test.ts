import { Unpackr } from 'msgpackr'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { type FrameCipher, KeyRing } from '../../src/core/cipher.js'
import { FRAME_HEADER, FrameKind, MalformedError } from '../../src/core/format.js'
import type { FrameScan } from '../../src/core/framed-file.js'
import { FrameEncoder, HEAD_LENGTH } from '../../src/core/frames.js'
import type { FileHeader } from '../../src/core/header.js'
import { errno, MemoryFiles, PATH } from '../support/memory-files.js'
import { headerOf, noKeys, openFile } from '../support/records.js'

const header = headerOf()
const keys = new KeyRing(['a key'])
let sealing: { header: FileHeader; cipher: FrameCipher }

beforeAll(async () => {
  await keys.prepare()
  const { salt, cipher } = keys.writer(header.id)!
  sealing = { header: { ...header, salt }, cipher }
})

/** The frames of a file, one by one; the first is both copies of the header. */
function framesOf(payloads: Buffer[], sealed = false, of: Partial<FileHeader> = {}): Buffer[] {
  const encoder = sealed
    ? new FrameEncoder(sealing.header, sealing.cipher)
    : new FrameEncoder({ ...header, ...of }, undefined)
  return [encoder.head(), ...payloads.map((payload) => encoder.frame(FrameKind.records, payload))]
}

interface Read {
  told: string[]
  scan: FrameScan
  files: MemoryFiles
  headDamaged: boolean
}

/** Reads a file and writes down what it tells. Reading fails beyond `most` bytes read. */
async function read(bytes: Buffer, ring = noKeys, most = Infinity): Promise<Read> {
  const files = new MemoryFiles()
  files.fail = () => (files.bytesRead > most ? errno('ETIME') : undefined)
  files.contents.set(PATH, bytes)
  const file = await openFile(files, PATH, ring)
  const told: string[] = []
  const scan = await file.read((_kind, payload) => told.push(payload.toString('latin1')))
  await file.close()
  return { told, scan, files, headDamaged: file.headDamaged }
}

const five = ['first', 'second', 'third', 'fourth', 'fifth']
const buffers = (texts: string[]) => texts.map((text) => Buffer.from(text, 'latin1'))

describe.each([
  ['plain', false],
  ['encrypted', true],
])('a file, %s,', (_, sealed) => {
  const ring = sealed ? keys : noKeys

  test('of any frames is told whole and in order', async () => {
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom(0, 70_000, 300_000).map((length) => new Uint8Array(length).fill(0x94)),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(payload, { maxLength: 10 }), async (payloads) => {
        const bytes = Buffer.concat(
          framesOf(
            payloads.map((one) => Buffer.from(one)),
            sealed,
          ),
        )
        const { told, scan } = await read(bytes, ring)
        expect(told).toEqual(payloads.map((one) => Buffer.from(one).toString('latin1')))
        const whole = { end: bytes.length, sequence: payloads.length + 2, damage: [] }
        expect(scan).toEqual({ ...whole, torn: undefined })
      }),
      { numRuns: 60 },
    )
  })

  test('with any byte flipped tells nothing wrong, and says that something is', async () => {
    const bytes = Buffer.concat(framesOf(buffers(five), sealed))
    for (let at = 0; at < bytes.length; at++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const flipped = Buffer.from(bytes)
        flipped[at]! ^= mask
        const { told, scan, headDamaged } = await read(flipped, ring)
        const noticed = headDamaged || scan.damage.length > 0 || scan.torn !== undefined
        expect(noticed, `byte ${at}`).toBe(true)
        // One frame is lost at most; the head is there twice.
        expect(told.length).toBeGreaterThanOrEqual(at < HEAD_LENGTH ? 5 : 4)
        expect(five.filter((text) => told.includes(text))).toEqual(told)
      }
    }
  })

  test('cut anywhere tells every frame before the cut, and where they end', async () => {
    const frames = framesOf(buffers(five), sealed)
    const bytes = Buffer.concat(frames)
    const ends = frames.map((_, i) => Buffer.concat(frames.slice(0, i + 1)).length)
    for (let length = HEAD_LENGTH; length < bytes.length; length++) {
      const { told, scan } = await read(bytes.subarray(0, length), ring)
      const whole = ends.filter((end) => end <= length).length - 1
      expect(told).toEqual(five.slice(0, whole))
      expect(scan).toMatchObject({ end: ends[whole], sequence: whole + 2, damage: [] })
      expect(scan.torn?.bytes ?? 0).toBe(length - ends[whole]!)
    }
  })

  test('with each sector zeroed loses what lies in it and no more', async () => {
    const texts = Array.from({ length: 40 }, (_, i) => `payload ${i} `.repeat(12))
    const frames = framesOf(buffers(texts), sealed)
    const bytes = Buffer.concat(frames)
    for (let at = 0; at < bytes.length; at += 512) {
      const torn = Buffer.from(bytes).fill(0, at, Math.min(at + 512, bytes.length))
      const { told } = await read(torn, ring)
      let start = HEAD_LENGTH
      const hit = texts.filter((_, i) => {
        const end = start + frames[i + 1]!.length
        const touches = start < at + 512 && end > at
        start = end
        return touches
      })
      expect(told).toEqual(texts.filter((text) => !hit.includes(text)))
    }
  })
})

describe('frames in the wrong place', () => {
  const frames = () => framesOf(buffers(five))
  const readParts = (order: number[], from = frames()) =>
    read(Buffer.concat([from[0]!, ...order.map((i) => from[i]!)]))

  test('one that is missing is noticed by the number of the next', async () => {
    const { told, scan } = await readParts([1, 2, 4, 5])
    expect(told).toEqual(['first', 'second', 'fourth', 'fifth'])
    expect(scan.damage).toMatchObject([{ bytes: 0, sequence: 4 }])
  })

  test('one that comes twice, or late, is not told again', async () => {
    const { told, scan } = await readParts([1, 2, 1, 3, 2, 4])
    expect(told).toEqual(['first', 'second', 'third', 'fourth'])
    expect(scan.damage.length).toBeGreaterThan(0)
  })

  test('one of another file is not told', async () => {
    const own = frames()
    const other = framesOf(buffers(five), false, { id: Buffer.alloc(16, 9) })
    const { told } = await readParts([1, 2, 3], [own[0]!, own[1]!, other[2]!, own[3]!])
    expect(told).toEqual(['first', 'third'])
  })
})

describe('damage', () => {
  test('is told once for each stretch, with where it lies and what is missing', async () => {
    const frames = framesOf(buffers(five))
    const at = (i: number) => Buffer.concat(frames.slice(0, i)).length
    const bytes = Buffer.concat(frames)
    bytes[at(2) + FRAME_HEADER]! ^= 1
    bytes[at(4) + FRAME_HEADER]! ^= 1
    const { told, scan } = await read(bytes)
    expect(told).toEqual(['first', 'third', 'fifth'])
    expect(scan.damage).toMatchObject([
      { offset: at(2), bytes: frames[2]!.length, sequence: 3 },
      { offset: at(4), bytes: frames[4]!.length, sequence: 5 },
    ])
    expect(scan.torn).toBeUndefined()
  })

  test('of a frame whose contents are not the format is told like any other', async () => {
    const files = new MemoryFiles()
    const frames = framesOf(buffers(five))
    files.contents.set(PATH, Buffer.concat(frames))
    const file = await openFile(files, PATH)
    const told: string[] = []
    const scan = await file.read((_, payload) => {
      if (payload.toString() === 'second') throw new MalformedError('as the test wants it')
      told.push(payload.toString())
    })
    expect(told).toEqual(['first', 'third', 'fourth', 'fifth'])
    const offset = frames[0]!.length + frames[1]!.length
    expect(scan.damage).toMatchObject([{ offset, bytes: frames[2]!.length, sequence: 3 }])
    const fault = new TypeError('a fault in the program')
    const reading = file.read(() => {
      throw fault
    })
    await expect(reading).rejects.toBe(fault)
  })

  test('at the end of a file that is being appended to is none yet', async () => {
    const frames = framesOf(buffers(five))
    const files = new MemoryFiles()
    const half = Buffer.concat([...frames.slice(0, 3), frames[3]!.subarray(0, 9)])
    files.contents.set(PATH, half)
    const told: string[] = []
    const onFrame = (_: unknown, payload: Buffer) => told.push(payload.toString())
    const before = await openFile(files, PATH)
    const { end, sequence, damage } = await before.read(onFrame, { live: true })
    expect([told, damage]).toEqual([['first', 'second'], []])
    files.contents.set(PATH, Buffer.concat(frames))
    const after = await openFile(files, PATH)
    const rest = await after.read(onFrame, { offset: end, sequence, live: true })
    expect(told).toEqual(five)
    expect(rest).toMatchObject({ damage: [], torn: undefined })
  })
})

describe('a file made to be hard to read', () => {
  const size = 1 << 20
  const model = framesOf(buffers(['x']))[1]!
  const claim = (length: number, sequence = 2) => {
    const frame = Buffer.from(model)
    frame.writeUInt32BE(sequence, 3)
    frame.writeUInt32BE(length, 13)
    return frame
  }
  const claims = (length: number, sequence: (n: number) => number) => {
    const count = Math.floor(size / model.length)
    return Buffer.concat(Array.from({ length: count }, (_, n) => claim(length, sequence(n))))
  }
  const behind = (bytes: Buffer) => {
    const frames = framesOf(buffers(five))
    return Buffer.concat([...frames.slice(0, 2), bytes, ...frames.slice(2)])
  }

  test('no length is believed beyond the end of the file', async () => {
    const { told, files } = await read(behind(claim(0xfffffff0)))
    expect(told).toEqual(five)
    expect(files.longestRead).toBeLessThanOrEqual(256 * 1024)
  })

  test.each([
    ['first bytes of frames', () => Buffer.alloc(size, 0x94)],
    ['noise', () => Buffer.from(Array.from({ length: size }, (_, i) => (i * i * 31 + i * 7) >> 3))],
    ['zeros', () => Buffer.alloc(size)],
    ['heads of frames from before', () => claims(size / 2, () => 2)],
    ['heads of frames from much later', () => claims(size / 2, () => 0x7fffffff)],
  ])('%s cost no more reading than a few times the file', async (_, make) => {
    const bytes = behind(make())
    const { scan, told } = await read(bytes, noKeys, bytes.length * 16)
    expect(scan).toMatchObject({ damage: [{ sequence: 3 }], torn: undefined })
    expect(told).toEqual(five)
  })

  test('where too much looks like the next frame, all behind it is damage and no torn end', async () => {
    const bytes = behind(claims(size / 2, (n) => 3 + n))
    const { scan, told } = await read(bytes, noKeys, size * 600)
    expect(scan).toMatchObject({ damage: [{ sequence: 3 }], torn: undefined, end: bytes.length })
    expect(told).toEqual(['first'])
  })
})

test('any MessagePack decoder can step through the frames', () => {
  const frames = framesOf(buffers(['first', 'second']))
  const values = new Unpackr({ useRecords: false }).unpackMultiple(Buffer.concat(frames)) as [
    number,
    number,
    number,
    Buffer,
  ][]
  expect(values.map(([kind, sequence]) => [kind, sequence])).toEqual([
    [FrameKind.header, 0],
    [FrameKind.header, 1],
    [FrameKind.records, 2],
    [FrameKind.records, 3],
  ])
  expect(values[3]![3].toString()).toBe('second')
})

describe('a file that can not be opened', () => {
  const failure = async (bytes: Buffer, ring = noKeys) => {
    const files = new MemoryFiles()
    files.contents.set(PATH, bytes)
    return openFile(files, PATH, ring).then(
      () => undefined,
      (error: unknown) => error,
    )
  }

  test.each([
    ['empty', Buffer.alloc(0)],
    ['short', Buffer.from([0x94, 0])],
    ['text', Buffer.from('{"sessions": []}'.repeat(100))],
    ['zeros', Buffer.alloc(4096)],
  ])('is foreign where it is %s', async (_, bytes) => {
    expect(await failure(bytes)).toMatchObject({ code: 'ERR_FORMAT_FOREIGN', path: PATH })
  })

  test('is damaged where both copies of the header are', async () => {
    const bytes = Buffer.concat(framesOf(buffers(five)))
    bytes[20]! ^= 1
    bytes[532]! ^= 1
    expect(await failure(bytes)).toMatchObject({ code: 'ERR_DAMAGED', path: PATH, offset: 0 })
  })

  test('lacks its key where it is encrypted and the key is wrong or not given', async () => {
    const bytes = Buffer.concat(framesOf(buffers(five), true))
    expect(await failure(bytes)).toMatchObject({ code: 'ERR_KEY', path: PATH })
    const wrong = new KeyRing(['another key'])
    expect(await failure(bytes, wrong)).toMatchObject({ code: 'ERR_KEY', path: PATH })
    expect(await failure(bytes, keys)).toBeUndefined()
  })

  test('errors of the file system come as they are', async () => {
    await expect(openFile(new MemoryFiles(), PATH)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
