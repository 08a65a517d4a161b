/**
 * The header of a file ⇄ the payload of its first two frames. Pure.
 *
 * A header fills 512 bytes with its frame and stands twice, so that neither a flipped byte nor a
 * torn sector costs the file. Its payload is a MessagePack sequence: a map, the key check of an
 * encrypted file or nil, padding. Checked field by field before anything is believed.
 */
import { plain } from './msgpack.js'
import { LATEST_STAMP } from './clock.js'
import { StoreError } from './errors.js'
import { FILE_ID_LENGTH, FRAME_HEADER, MalformedError } from './format.js'

export const FORMAT_NAME = 'persistent-memorystore'
const FORMAT_VERSION = 1
/** Bytes of a header frame: one sector, so that the two copies never share one. */
export const HEADER_FRAME = 512
const PAYLOAD = HEADER_FRAME - FRAME_HEADER

/** What a file says of itself. */
export interface FileHeader {
  kind: 'snapshot' | 'journal'
  /** The file's own random id. */
  id: Buffer
  /** The store that the file belongs to: the same for all its generations and processes. */
  store: Buffer
  /** Which list of structures the bodies refer to. */
  lineage: Buffer
  /** A snapshot's number; a journal has that of the snapshot it began with. */
  generation: number
  /** Epoch ms. */
  created: number
  /** The highest stamp given out before the file was begun. */
  stamp: number
  encoding: 'msgpack' | 'serializer'
  /** Sessions in memory when the file was begun. */
  sessions: number
  /**
   * Whether a snapshot tells what journals may not: there are none, or it is written because they
   * could not be, or while the process exits.
   */
  tail: boolean
  /** The process that wrote it. */
  pid: number
  /** The lease under which it was written; 0: none. */
  term: number
  /** The salt of the key of an encrypted file. */
  salt: Buffer | undefined
}

/** The map of a header, without check and padding: what a key check authenticates. */
export function encodeHeaderMap(header: FileHeader): Buffer {
  const { id, store, lineage, salt, ...rest } = header
  const map = { format: FORMAT_NAME, version: FORMAT_VERSION, id, store, lineage, ...rest }
  const entries = Object.entries(salt ? { ...map, cipher: 'aes-256-gcm', salt } : map)
  const count = entries.length
  return Buffer.concat([
    Buffer.from(count < 16 ? [0x80 + count] : [0xde, 0, count]),
    ...entries.flatMap(([key, value]) => [plain.pack(key), encodeField(value)]),
  ])
}

/** By hand where the value is bytes: an app may have told msgpackr to write those in its own way. */
function encodeField(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) return plain.pack(value)
  return Buffer.concat([Buffer.of(0xc4, value.length), value])
}

/** The whole payload of a header frame. */
export function encodeHeaderPayload(map: Buffer, check: Buffer | undefined): Buffer {
  const payload = Buffer.alloc(PAYLOAD)
  let at = map.copy(payload)
  if (check) {
    payload[at++] = 0xc4
    payload[at++] = check.length
    at += check.copy(payload, at)
  } else payload[at++] = 0xc0
  payload[at] = 0xc5
  payload.writeUInt16BE(PAYLOAD - at - 3, at + 1)
  return payload
}

/**
 * Reads a header's payload.
 *
 * @throws StoreError `ERR_FORMAT_VERSION` for a newer format; MalformedError for anything else
 */
export function decodeHeaderPayload(
  payload: Buffer,
  path: string,
): { header: FileHeader; map: Buffer; check: Buffer | undefined } {
  const parts: unknown[] = []
  const ends: number[] = []
  try {
    plain.unpackMultiple(payload, ((value: unknown, _start: number, end: number) => {
      parts.push(value)
      ends.push(end)
    }) as (value: unknown) => void)
  } catch {
    throw new MalformedError('Expected a header')
  }
  const [fields, check] = parts
  const map = fields as Record<string, unknown> | null
  if (typeof map !== 'object' || map === null || map['format'] !== FORMAT_NAME) {
    throw new MalformedError('Expected a header')
  }
  if (typeof map['version'] === 'number' && map['version'] > FORMAT_VERSION) {
    throw new StoreError(
      'ERR_FORMAT_VERSION',
      `Expected a file of format version ${FORMAT_VERSION} or older, found version ${map['version']}: ` +
        'it was written by a newer release of this package. Install that release, or move the file away',
      { path },
    )
  }
  const header: FileHeader = {
    kind: oneOf(map['kind'], ['snapshot', 'journal']),
    id: bytes(map['id'], FILE_ID_LENGTH),
    store: bytes(map['store'], FILE_ID_LENGTH),
    lineage: bytes(map['lineage'], FILE_ID_LENGTH),
    generation: count(map['generation']),
    created: count(map['created']),
    stamp: Math.min(count(map['stamp']), LATEST_STAMP),
    encoding: oneOf(map['encoding'], ['msgpack', 'serializer']),
    sessions: count(map['sessions']),
    tail: map['tail'] === true,
    pid: count(map['pid']),
    term: count(map['term']),
    salt: map['salt'] === undefined ? undefined : bytes(map['salt'], FILE_ID_LENGTH),
  }
  return {
    header,
    map: Buffer.from(payload.subarray(0, ends[0])),
    check: check instanceof Uint8Array ? Buffer.from(check) : undefined,
  }
}

function oneOf<T extends string>(value: unknown, allowed: readonly T[]): T {
  if (allowed.includes(value as T)) return value as T
  throw new MalformedError('Expected a header')
}

function bytes(value: unknown, length: number): Buffer {
  if (value instanceof Uint8Array && value.length === length) return Buffer.from(value)
  throw new MalformedError('Expected a header')
}

function count(value: unknown): number {
  const number = typeof value === 'bigint' ? Number(value) : value
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number
  throw new MalformedError('Expected a header')
}
