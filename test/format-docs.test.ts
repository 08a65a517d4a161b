/**
 * The examples in docs/format.md: their bodies hold what the text says, and are what this version
 * writes; the little reader at its end reads a file.
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { runInThisContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { Codec } from '../src/core/codec.js'
import { bodyOf, textOf } from './support/bodies.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const text = await readFile(new URL('../docs/format.md', import.meta.url), 'utf8')
const [, section = ''] = text.split(/^## (?=A worked example)/m)
const [example = '', stepping = ''] = section.split(/^## (?=Stepping through a file)/m)

/** The lines of the dumps with an offset, what stands there, in hexadecimal, and what it is. */
const lines = [...example.matchAll(/^([\da-f]{2,3}) {2}([\da-f]+(?: {1,2}[\da-f]+)*)(.*)$/gm)].map(
  ([, offset = '', bytes = '', note = '']) => ({
    offset: parseInt(offset, 16),
    bytes: Buffer.from(bytes.replaceAll(' ', ''), 'hex'),
    note: note.trim(),
  }),
)

/** The bytes of the lines from one on, up to `end`; no line may be out of place. */
function bytesFrom(first: number, end: (length: number, offset: number) => boolean): Buffer {
  const taken: Buffer[] = []
  let length = 0
  for (const { offset, bytes } of lines.slice(first)) {
    if (end(length, offset)) break
    expect(offset).toBe(lines[first]!.offset + length)
    taken.push(bytes)
    length += bytes.length
  }
  return Buffer.concat(taken)
}

const bodies = lines.flatMap(({ offset, bytes, note }, at) => {
  const told = /^body, (\d+) bytes/.exec(note)
  if (told) {
    const size = Number(told[1])
    expect(bytes[1]).toBe(size)
    return [bytesFrom(at + 1, (length) => length >= size)]
  }
  const alone = offset === 0 && note.includes('bytes of tokens')
  return alone ? [bytesFrom(at, (length, next) => length > 0 && next === 0)] : []
})
const sessions = [...example.matchAll(/`(\{ .*? \})`/g)].map(
  ([, literal]) => runInThisContext(`(${literal})`) as Record<string, unknown>,
)
const [, first = '', second = ''] = /\b2 keys\n.*"(.*)"\n.*"(.*)"/.exec(example) ?? []

describe('docs/format.md', () => {
  test('has bodies that hold what it says, byte for byte', () => {
    expect(bodies).toHaveLength(4)
    expect(sessions).toHaveLength(4)
    const codec = new Codec()
    codec.adopt([[first, second]])
    for (const [index, session] of sessions.entries()) {
      const body = bodies[index]!.toString('latin1')
      expect(codec.decode(bodyOf(body))).toEqual(session)
      expect(Buffer.from(textOf(codec.encode(session)), 'latin1')).toEqual(bodies[index])
    }
  })

  test('has a reader that reads files', async () => {
    const [, program = ''] = /^```js\n(.*?)^```$/ms.exec(stepping) ?? []
    const read = async (fixture: string) => {
      const path = `${root}fixtures/v1/${fixture}/sessions.snapshot`
      const run = ['--input-type=module', '-e', program, '-', path]
      return (await promisify(execFile)(process.execPath, run, { cwd: root })).stdout
    }
    expect(await read('generations')).toContain("fixture: 'cart of the first journal'")
    expect(await read('values')).toContain('bigint: 1208925819614629174706176n')
  })
})
