/**
 * A sid as the table looks for it: its hash, and its 24 bytes where it is base64url of so many.
 *
 * That is what express-session and @fastify/session make of random bytes, and it is compared by six
 * numbers; any other sid is compared as text. Pure.
 */
import { randomInt } from 'node:crypto'
import { packShort } from './packing.js'

/** Bytes of such a sid, packed, and its characters. */
export const PACKED_BYTES = 24
export const PACKED_CHARACTERS = 32
/** Numbers of 32 bits that the bytes are. */
export const PACKED_WORDS = PACKED_BYTES / Uint32Array.BYTES_PER_ELEMENT
/** Others in each process: nobody can make ids that all fall into one place. */
const SEED = randomInt(2 ** 32)
const FACTOR = randomInt(2 ** 31) * 2 + 1

export class SidKey {
  /** Whose key it is; `undefined`: nobody's. */
  sid: string | undefined
  hash = 0
  /** Whether {@link words} are the sid. */
  packed = false
  readonly words: Uint32Array = new Uint32Array(PACKED_WORDS)
  readonly #bytes = new Uint8Array(this.words.buffer)

  /** Makes it the key of this sid. */
  read(sid: string): this {
    this.sid = sid
    this.packed = sid.length === PACKED_CHARACTERS && packShort(sid, this.#bytes)
    this.hash = this.packed ? hashOfWords(this.words) : hashOfText(sid)
    return this
  }
}

/** 32 bits, each of which depends on every word: MurmurHash3's mixing, with a factor that is secret. */
function hashOfWords(words: Uint32Array): number {
  let hash = SEED
  for (let i = 0; i < PACKED_WORDS; i++) hash = mix(hash, words[i]!)
  return finish(hash)
}

/** The same of every character, two at a time. */
function hashOfText(sid: string): number {
  const { length } = sid
  let hash = SEED ^ length
  for (let i = 0; i < length; i += 2) {
    // Behind the last character NaN is found, which counts as 0 here.
    hash = mix(hash, sid.charCodeAt(i) | (sid.charCodeAt(i + 1) << 16))
  }
  return finish(hash)
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x85ebca6b)
  // The seed alone would not do: a change of the highest bit passes the first factor as it is.
  return Math.imul(mixed ^ (mixed >>> 13), FACTOR)
}

function finish(hash: number): number {
  const mixed = Math.imul(hash, 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
