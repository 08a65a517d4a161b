/**
 * Encryption at rest: AES-256-GCM, frame by frame. Pure but for node:crypto.
 *
 * A key the user gave becomes a master key by scrypt with the salt in the header; each file gets a
 * key of its own by HKDF over its random id. A frame's nonce is its sequence number, which never
 * repeats under a file's key. File id, kind and sequence are authenticated with each frame, so
 * that frames cannot be moved, dropped unseen or brought from another file.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { FILE_ID_LENGTH } from './format.js'

/** Bytes that encryption adds to a frame. */
export const TAG_LENGTH = 16
/** The sequence number that the key check of a header stands for; no frame reaches it. */
const CHECK_SEQUENCE = 0xffffffff
/** scrypt's cost, N = 2^15, r = 8, p = 1: 32 MiB and about a tenth of a second a key. */
const SCRYPT = { N: 1 << 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 }

const derive = promisify(scrypt) as (
  key: string,
  salt: Buffer,
  length: number,
  options: object,
) => Promise<Buffer>

/** The keys a store was given: the first encrypts, or, where it is null, nothing does; all decrypt. */
export class KeyRing {
  readonly #keys: readonly (string | null)[]
  #masters = new Map<string, Promise<Buffer>>()
  #writing: { salt: Buffer; master: Buffer } | undefined

  constructor(keys: readonly (string | null)[]) {
    this.#keys = keys
  }

  /** Whether new files are encrypted. */
  get enabled(): boolean {
    return typeof this.#keys[0] === 'string'
  }

  /** Makes {@link writer} ready; with the salt of a file whose first key was ours, or a new one. */
  async prepare(salt: Buffer = randomBytes(FILE_ID_LENGTH)): Promise<void> {
    if (!this.enabled || this.#writing) return
    this.#writing = { salt, master: await this.#master(0, salt) }
  }

  /** A cipher for a new file, and the salt for its header. Only after {@link prepare}. */
  writer(id: Buffer): { cipher: FrameCipher; salt: Buffer } | undefined {
    if (!this.#writing) return undefined
    return { cipher: new FrameCipher(this.#writing.master, id), salt: this.#writing.salt }
  }

  /** The cipher that opens a file, by its key check; `undefined` where no key does. */
  async reader(
    id: Buffer,
    salt: Buffer,
    map: Buffer,
    check: Buffer | undefined,
  ): Promise<{ cipher: FrameCipher; current: boolean } | undefined> {
    for (let i = 0; i < this.#keys.length && check; i++) {
      if (this.#keys[i] === null) continue
      const cipher = new FrameCipher(await this.#master(i, salt), id)
      if (cipher.verifies(map, check)) return { cipher, current: i === 0 }
    }
    return undefined
  }

  #master(index: number, salt: Buffer): Promise<Buffer> {
    const name = `${index}:${salt.toString('hex')}`
    let master = this.#masters.get(name)
    if (!master) {
      master = derive(this.#keys[index]!, salt, 32, SCRYPT)
      this.#masters.set(name, master)
    }
    return master
  }
}

/** Seals and opens the frames of one file. */
export class FrameCipher {
  readonly #key: Buffer
  readonly #id: Buffer

  constructor(master: Buffer, id: Buffer) {
    this.#key = Buffer.from(hkdfSync('sha256', master, id, 'persistent-memorystore file key', 32))
    this.#id = id
  }

  /** Ciphertext and tag. */
  seal(kind: number, sequence: number, payload: Uint8Array): Buffer {
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce(sequence))
    cipher.setAAD(this.#bind(kind, sequence))
    return Buffer.concat([cipher.update(payload), cipher.final(), cipher.getAuthTag()])
  }

  /** The plain payload; `undefined` where it is not what was sealed. */
  open(kind: number, sequence: number, sealed: Buffer): Buffer | undefined {
    if (sealed.length < TAG_LENGTH) return undefined
    const end = sealed.length - TAG_LENGTH
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce(sequence))
    decipher.setAAD(this.#bind(kind, sequence))
    decipher.setAuthTag(sealed.subarray(end))
    try {
      return Buffer.concat([decipher.update(sealed.subarray(0, end)), decipher.final()])
    } catch {
      return undefined
    }
  }

  /** What a header carries so that a wrong key, or a changed header, is known at once. */
  check(map: Buffer): Buffer {
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce(CHECK_SEQUENCE))
    cipher.setAAD(map)
    cipher.final()
    return cipher.getAuthTag()
  }

  verifies(map: Buffer, check: Buffer): boolean {
    if (check.length !== TAG_LENGTH) return false
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce(CHECK_SEQUENCE))
    decipher.setAAD(map)
    decipher.setAuthTag(check)
    try {
      decipher.final()
      return true
    } catch {
      return false
    }
  }

  #bind(kind: number, sequence: number): Buffer {
    const bound = Buffer.alloc(FILE_ID_LENGTH + 5)
    this.#id.copy(bound)
    bound[FILE_ID_LENGTH] = kind
    bound.writeUInt32BE(sequence, FILE_ID_LENGTH + 1)
    return bound
  }
}

function nonce(sequence: number): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt32BE(sequence, 8)
  return bytes
}
