/**
 * Imports point one way. Reads what the modules in src/ import and fails where one reaches up, or
 * aside, or out to the disk, the clock or the network when that is not its business. A module that
 * is new has to be given its place here first.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../src/', import.meta.url))

/** Modules that belong together: they may import each other. */
type Family = readonly string[]

/**
 * From the ground up. A module imports from layers below its own, from its own family and from
 * families in front of it in its layer, but for the leaves, which know nothing of each other.
 */
const LAYERS: { name: string; aside: boolean; families: readonly Family[] }[] = [
  {
    name: 'words',
    aside: true,
    families: [
      ['core/errors'],
      ['core/ownership'],
      ['core/clock'],
      ['core/option-values', 'core/options'],
      ['core/object-maker'],
      ['core/cookie'],
      ['core/sid-map', 'core/slot-notes', 'core/tombstones', 'core/changes', 'core/pending'],
      ['core/lru-index'],
      ['core/pace'],
      ['core/waiters'],
      ['core/msgpack'],
      ['core/span'],
      ['core/packing'],
      ['core/sid-key', 'core/sid-index'],
      ['core/sid-text'],
      ['core/names'],
    ],
  },
  {
    name: 'leaves',
    aside: false,
    families: [
      [
        'core/codec',
        'core/flatten',
        'core/inflate',
        'core/json-view',
        'core/serializer-codec',
        'core/shapes',
        'core/token-reader',
        'core/tokens',
      ],
      ['core/format', 'core/record-writer', 'core/records', 'core/header', 'core/cipher'],
      ['core/lifetime'],
      ['core/disposals'],
      ['core/table', 'core/rows', 'core/slab'],
      ['core/file', 'core/node-files', 'core/log-files', 'core/notes'],
      ['core/liveness', 'core/dating', 'core/process-identity'],
      ['core/watch'],
    ],
  },
  {
    name: 'files',
    aside: true,
    families: [
      ['core/frames'],
      ['core/window', 'core/framed-file'],
      ['core/lapsed', 'core/merge'],
      ['core/inventory'],
    ],
  },
  { name: 'writers', aside: true, families: [['core/snapshot'], ['core/journal'], ['core/lease']] },
  {
    name: 'readers',
    aside: true,
    families: [['core/reading'], ['core/recover'], ['core/follow'], ['core/successors']],
  },
  {
    name: 'keepers',
    aside: true,
    families: [
      ['core/known-files'],
      ['core/journals'],
      ['core/generations'],
      ['core/health'],
      ['core/journaling'],
      ['core/snapshotting'],
      ['core/persistence'],
      ['core/intake'],
      ['core/owning'],
      ['core/waiting'],
      ['core/tenure'],
    ],
  },
  {
    name: 'engine',
    aside: true,
    families: [['core/recorder'], ['core/sessions', 'core/engine']],
  },
  {
    name: 'doors',
    aside: true,
    families: [
      ['answer'],
      ['events'],
      ['exit'],
      ['reads'],
      ['store'],
      ['shutdown'],
      ['memorystore', 'memorystore-options'],
      ['index'],
    ],
  },
]

/** Which packages may be imported, and by whom. */
const OUTSIDE: Record<string, readonly string[]> = {
  'node:fs': ['core/node-files', 'core/log-files', 'core/notes', 'core/process-identity'],
  'node:fs/promises': ['core/node-files', 'core/log-files', 'core/notes'],
  'write-file-atomic': ['core/node-files'],
  chokidar: ['core/watch'],
  'lru-cache': ['core/lru-index'],
  msgpackr: ['core/msgpack'],
  'msgpackr/pack': ['core/msgpack'],
  'signal-exit': ['exit'],
  'express-session': [
    'answer',
    'core/options',
    'events',
    'reads',
    'store',
    'memorystore',
    'memorystore-options',
  ],
  'node:http': ['shutdown'],
  'node:https': ['shutdown'],
  'node:http2': ['shutdown'],
  'node:net': ['shutdown'],
  'node:cluster': ['core/tenure'],
}
/** Those that do nothing but compute. */
const HARMLESS = [
  'node:crypto',
  'node:events',
  'node:os',
  'node:path',
  'node:url',
  'node:util',
  'node:zlib',
]
/** Those whose business is when, not only what. */
const TIMED = [
  'answer',
  'core/clock',
  'core/pace',
  'core/waiters',
  'core/journaling',
  'core/snapshotting',
  'core/lease',
  'core/dating',
  'core/tenure',
  'core/waiting',
  'core/notes',
  'memorystore',
  'shutdown',
]

interface Import {
  from: string
  types: boolean
}

const names = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => path.endsWith('.ts'))
  .map((path) => path.slice(0, -'.ts'.length))
const sourceOf = (name: string) => readFileSync(join(root, `${name}.ts`), 'utf8')
/** The code of a module, without comments and texts. */
const codeOf = (name: string) =>
  sourceOf(name)
    .replaceAll(/\/\*[^]*?\*\//g, '')
    .replaceAll(/\/\/.*/g, '')

function importsOf(name: string): Import[] {
  const found = codeOf(name).matchAll(
    /^(?:import|export)\s+(type\s+)?(?:([\w*{][^'"]*?)\s+from\s+)?['"]([^'"]+)['"]/gm,
  )
  return [...found].map(([, type, what = '', from]) => {
    const each = /^\{([^}]*)\}$/.exec(what.trim())?.[1]?.split(',') ?? [what]
    const types = each.filter((one) => one.trim() !== '').every((one) => /^\s*type\s/.test(one))
    return { from: resolve(name, from!), types: type !== undefined || (types && what !== '') }
  })
}

/** A module of ours by its name, anything else as it is. */
function resolve(name: string, from: string): string {
  if (!from.startsWith('.')) return from
  return relative(root, join(root, dirname(name), from))
    .replaceAll('\\', '/')
    .replace(/\.js$/, '')
}

function placeOf(name: string) {
  for (const [layer, { families, aside }] of LAYERS.entries()) {
    const family = families.findIndex((members) => members.includes(name))
    if (family >= 0) return { layer, family, aside }
  }
  return undefined
}

/** Why one module must not import another; undefined where it may. */
function breach(name: string, { from, types }: Import): string | undefined {
  const [own, other] = [placeOf(name), placeOf(from)]
  if (!own || !other) return `${!own ? name : from} has no place in the house`
  if (other.layer < own.layer) return undefined
  const told = `${name} imports ${from}`
  if (other.layer > own.layer) return `${told}, which stands above it`
  if (other.family === own.family) return undefined
  if (own.aside) return other.family < own.family ? undefined : `${told}, which comes after it`
  // What a leaf is made of may be described in another's words.
  return types ? undefined : `${told}, of another kind`
}

describe('the modules', () => {
  test('have a place each, and each place has its module', () => {
    const placed = LAYERS.flatMap(({ families }) => families.flat())
    expect([...names].sort()).toEqual([...placed].sort())
  })

  test.each(names)('%s imports from below, and from its own kind', (name) => {
    const own = importsOf(name).filter(({ from }) => names.includes(from))
    expect(own.map((one) => breach(name, one)).filter((told) => told !== undefined)).toEqual([])
  })

  test.each(names)('%s reaches out of the package only where that is its business', (name) => {
    const outside = importsOf(name).filter(({ from }) => !names.includes(from))
    const wrong = outside.filter(({ from }) => {
      if (HARMLESS.includes(from)) return false
      if (from.startsWith('node:timers')) return !TIMED.includes(name)
      return !OUTSIDE[from]?.includes(name)
    })
    expect(wrong).toEqual([])
  })

  test.each(names)('%s imports nothing behind our back', (name) => {
    expect(codeOf(name)).not.toMatch(/\b(import|require|createRequire)\s*\(/)
  })

  test.each(names.filter((name) => !TIMED.includes(name)))('%s waits for nothing', (name) => {
    expect(codeOf(name)).not.toMatch(/\b(setTimeout|setInterval|setImmediate)\b/)
    expect(codeOf(name)).not.toMatch(/\b(Date\.now\(|new Date\(\)|performance\.)/)
  })

  test.each(names)('%s begins by saying what it is', (name) => {
    expect(sourceOf(name)).toMatch(/^\/\*\*/)
  })
})

test('this test can fail', () => {
  const upwards = { from: 'core/engine', types: true }
  const sideways = { from: 'core/file', types: false }
  expect(breach('core/table', upwards)).toContain('stands above')
  expect(breach('core/codec', sideways)).toContain('of another kind')
  expect(breach('core/codec', { ...sideways, types: true })).toBeUndefined()
  expect(breach('core/snapshot', { from: 'core/journal', types: false })).toContain('after it')
  expect(breach('core/engine', { from: 'core/new-one', types: false })).toContain('no place')
  expect(breach('core/engine', { from: 'core/table', types: false })).toBeUndefined()
  const table = importsOf('core/table')
  expect(table).toContainEqual({ from: 'core/format', types: true })
  expect(table).toContainEqual({ from: 'core/sid-index', types: false })
})
