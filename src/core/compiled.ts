/**
 * The reader and the writer of a structure's records, as code of their own.
 *
 * In come the keys of a structure and the functions for a single value; out go functions for a
 * whole record. They are compiled when first used: an object literal, and fields read by name, are
 * several times faster than going key by key, which is what happens where the process forbids
 * compiling. The code is built of the keys as JSON string literals and nothing else of anybody's.
 */

/** Reads the values of a record and returns them under the structure's keys. */
export type RecordReader = () => Record<string, unknown>

/** The text of an object's fields as a record, '' if the object has a `toJSON`. */
export type RecordWriter = (object: object, depth: number) => string

type ReadValue = () => unknown
type PackField = (value: unknown, depth: number, key: string) => string

const mayCompile = (() => {
  try {
    compile('', 'true')
    return true
  } catch {
    return false
  }
})()

function compile(parameter: string, expression: string): (argument: unknown) => unknown {
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- string literals alone, see above
  return new Function(parameter, `return ${expression}`) as (argument: unknown) => unknown
}

/** None of `keys` may be `__proto__`. */
export function makeRecordReader(keys: readonly string[], read: ReadValue): RecordReader {
  let compiled: RecordReader | undefined
  return () => {
    compiled ??= mayCompile ? compileReader(keys, read) : readByKey
    return compiled()
  }

  function readByKey(): Record<string, unknown> {
    const object: Record<string, unknown> = {}
    for (const key of keys) object[key] = read()
    return object
  }
}

function compileReader(keys: readonly string[], read: ReadValue): RecordReader {
  const fields = keys.map((key) => `${JSON.stringify(key)}: read()`)
  return compile('read', `() => ({ ${fields.join(', ')} })`)(read) as RecordReader
}

/** @param token - what the text of a record starts with */
export function makeRecordWriter(
  keys: readonly string[],
  token: string,
  pack: PackField,
): RecordWriter {
  let compiled: RecordWriter | undefined
  return (object, depth) => {
    compiled ??= mayCompile ? compileWriter(keys, token, pack) : packByKey
    return compiled(object, depth)
  }

  function packByKey(object: object, depth: number): string {
    const fields = object as Record<string, unknown>
    if (fields['toJSON'] !== undefined) return ''
    return keys.reduce((text, key) => text + pack(fields[key], depth, key), token)
  }
}

function compileWriter(keys: readonly string[], token: string, pack: PackField): RecordWriter {
  const fields = keys.map((key) => JSON.stringify(key))
  const text = fields.map((key) => ` + pack(object[${key}], depth, ${key})`)
  return compile(
    'pack',
    `(object, depth) => object.toJSON === undefined ? ${JSON.stringify(token)}${text.join('')} : ''`,
  )(pack) as RecordWriter
}
