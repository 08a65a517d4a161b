import { Packr } from 'msgpackr'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LATEST_STAMP } from '../../src/core/clock.js'
import { StoreError } from '../../src/core/errors.js'
import { FRAME_HEADER, MalformedError } from '../../src/core/format.js'
import {
  decodeHeaderPayload,
  encodeHeaderMap,
  encodeHeaderPayload,
  type FileHeader,
  HEADER_FRAME,
} from '../../src/core/header.js'
import { headerOf } from '../support/records.js'

const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes))
const number = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER))
const header: fc.Arbitrary<FileHeader> = fc.record({
  kind: fc.constantFrom('snapshot' as const, 'journal' as const),
  id,
  store: id,
  lineage: id,
  generation: number,
  created: number,
  stamp: fc.integer({ min: 0, max: LATEST_STAMP }),
  encoding: fc.constantFrom('msgpack' as const, 'serializer' as const),
  sessions: number,
  tail: fc.boolean(),
  pid: number,
  term: number,
  salt: fc.option(id, { nil: undefined }),
})
const packr = new Packr({ useRecords: false, variableMapSize: true })

/** The payload of a header with these fields in place of its own. */
function payloadOf(fields: Record<string, unknown>): Buffer {
  const map = packr.unpack(encodeHeaderMap(headerOf())) as Record<string, unknown>
  return encodeHeaderPayload(Buffer.from(packr.pack({ ...map, ...fields })), undefined)
}

describe('a header', () => {
  test('comes back as it was, in one sector, whatever it says', () => {
    fc.assert(
      fc.property(header, (written) => {
        const map = encodeHeaderMap(written)
        const check = written.salt ? Buffer.alloc(16, 7) : undefined
        const payload = encodeHeaderPayload(map, check)
        expect(payload.length + FRAME_HEADER).toBe(HEADER_FRAME)
        expect(decodeHeaderPayload(payload, 'f')).toEqual({ header: written, map, check })
      }),
    )
  })

  test('is MessagePack from its first byte to its last', () => {
    const check = Buffer.alloc(16, 7)
    const payload = encodeHeaderPayload(encodeHeaderMap(headerOf({ salt: check })), check)
    const [map, second, padding, ...more] = packr.unpackMultiple(payload) as unknown[]
    expect(map).toMatchObject({
      format: 'persistent-memorystore',
      version: 1,
      kind: 'snapshot',
      generation: 1,
      cipher: 'aes-256-gcm',
    })
    expect(second).toEqual(check)
    expect(padding).toBeInstanceOf(Uint8Array)
    expect(more).toEqual([])
  })

  test('with fields that nobody knows yet is read all the same', () => {
    const { header } = decodeHeaderPayload(payloadOf({ later: 'more', version: 1 }), 'f')
    expect(header).toEqual(headerOf())
  })

  test('with a stamp that no other could be higher than is read with the highest there is', () => {
    const { header } = decodeHeaderPayload(payloadOf({ stamp: 2 ** 53 - 1 }), 'f')
    expect(header.stamp).toBe(LATEST_STAMP)
  })

  test('of a newer version is told apart by its code, whatever its other fields are', () => {
    const newer = payloadOf({ version: 2, kind: 'something new', id: 'short' })
    const failure = (() => {
      try {
        return decodeHeaderPayload(newer, '/some/file')
      } catch (error) {
        return error
      }
    })()
    expect(failure).toBeInstanceOf(StoreError)
    expect(failure).toMatchObject({ code: 'ERR_FORMAT_VERSION', path: '/some/file' })
  })

  test.each([
    ['another format', { format: 'something else' }],
    ['no kind', { kind: undefined }],
    ['another kind', { kind: 'constructor' }],
    ['an id that is too short', { id: Buffer.alloc(15) }],
    ['an id that is a text', { id: 'x'.repeat(16) }],
    ['a generation below zero', { generation: -1 }],
    ['a generation that is no whole number', { generation: 0.5 }],
    ['a generation beyond the safe ones', { generation: 2n ** 60n }],
    ['a stamp that is a text', { stamp: '5' }],
    ['another encoding', { encoding: 'json' }],
    ['a salt of another length', { salt: Buffer.alloc(4) }],
  ])('with %s is none', (_, fields) => {
    expect(() => decodeHeaderPayload(payloadOf(fields), 'f')).toThrow(MalformedError)
  })

  test('that is any bytes does no more than throw', () => {
    const own = encodeHeaderPayload(encodeHeaderMap(headerOf()), undefined)
    const mutated = fc.array(fc.tuple(fc.nat(own.length - 1), fc.nat(255)), { maxLength: 3 })
    const attempt = (bytes: Buffer) => {
      try {
        decodeHeaderPayload(bytes, 'f')
      } catch (error) {
        if (!(error instanceof MalformedError)) {
          expect(error).toMatchObject({ code: 'ERR_FORMAT_VERSION' })
        }
      }
    }
    fc.assert(
      fc.property(mutated, fc.uint8Array({ maxLength: 495 }), (changes, random) => {
        attempt(Buffer.from(random))
        const bytes = Buffer.from(own)
        for (const [at, byte] of changes) bytes[at] = byte
        attempt(bytes)
      }),
      { numRuns: 1000 },
    )
  })
})
