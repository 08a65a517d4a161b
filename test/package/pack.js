/**
 * Packs the package as `npm publish` would, installs the tarball in an empty folder whose name has a
 * space, and uses it there as its users do: `import` and `require` of both entries, a session that
 * outlives its store, and a TypeScript compile from ES modules and CommonJS. Prints what it checked;
 * exits non-zero at the first thing that does not hold. Writes only below the temporary folder.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..')
const require = createRequire(import.meta.url)
const { name } = require('../../package.json')
const tsc = require.resolve('typescript/bin/tsc')
const folder = mkdtempSync(join(tmpdir(), 'pack check '))
const tests = []

try {
  const packed = pack()
  check('the tarball holds what it should and no more', () => checkFiles(packed.files))
  const installed = install(join(folder, packed.filename))
  check('every source map leads to a source in the tarball', () => checkMaps(installed, packed))
  check('nothing of it runs at install', () => checkScripts(installed))
  for (const file of ['esm.mjs', 'cjs.cjs', 'drop-in.mjs', 'drop-in.cjs']) {
    check(`${file} runs, without a warning`, () => {
      const output = run(process.execPath, [file], { stdio: 'pipe' })
      assert.equal(output, `${file} ok\n`)
    })
  }
  for (const project of ['nodenext', 'bundler', 'commonjs']) {
    check(`types compile: ${project}`, () => {
      run(process.execPath, [tsc, '-p', `tsconfig.${project}.json`])
    })
  }
  console.log(`package: ${tests.length} checks held`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** @param {string} what @param {() => void} body */
function check(what, body) {
  try {
    body()
  } catch (error) {
    console.error(`package: not so: ${what}`)
    throw error
  }
  tests.push(what)
  console.log(`package: ${what}`)
}

function pack() {
  const output = npm(['pack', '--json', '--ignore-scripts', '--pack-destination', folder], root)
  const parsed = JSON.parse(output)
  // npm 12 keys the list by name.
  return Array.isArray(parsed) ? parsed[0] : Object.values(parsed)[0]
}

/** @param {{ path: string }[]} files */
function checkFiles(files) {
  const paths = files.map(({ path }) => path)
  const needed = ['package.json', 'LICENSE', 'README.md', 'dist/index.js', 'dist/index.d.ts']
  for (const path of [...needed, 'dist/memorystore.js', 'dist/memorystore.d.ts']) {
    assert.ok(paths.includes(path), `${path} is missing`)
  }
  for (const path of paths) {
    const built = /^dist\/(.*?)(?:\.js|\.d\.ts)(?:\.map)?$/.exec(path)
    // A module that was renamed leaves its old build behind in dist/.
    if (built) assert.ok(paths.includes(`src/${built[1]}.ts`), `${path} has no source: stale build`)
    else assert.match(path, /^(src\/.*\.ts|docs\/.*|package\.json|[A-Z]+(\.md)?)$/, `${path}?`)
  }
}

/** @param {string} tarball */
function install(tarball) {
  cpSync(join(here, 'consumer'), folder, { recursive: true })
  const versions = ['express-session', '@types/express-session', '@types/node'].map(
    (dependency) => {
      const { version } = require(`${dependency}/package.json`)
      return `${dependency}@${version}`
    },
  )
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true }))
  npm(['install', '--no-audit', '--no-fund', '--prefer-offline', tarball, ...versions], folder)
  return join(folder, 'node_modules', name)
}

/** @param {string} installed @param {{ files: { path: string }[] }} packed */
function checkMaps(installed, packed) {
  const maps = packed.files.map(({ path }) => path).filter((path) => path.endsWith('.map'))
  assert.ok(maps.some((path) => path.endsWith('.js.map')))
  assert.ok(maps.some((path) => path.endsWith('.d.ts.map')))
  for (const path of maps) {
    const file = join(installed, path)
    for (const source of JSON.parse(readFileSync(file, 'utf8')).sources) {
      assert.ok(existsSync(join(dirname(file), source)), `${path} names ${source}`)
    }
  }
}

/** @param {string} installed */
function checkScripts(installed) {
  const { scripts } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
  for (const event of ['preinstall', 'install', 'postinstall']) {
    assert.equal(scripts[event], undefined, `${event} runs on the user's machine`)
  }
  assert.ok(!existsSync(join(installed, 'binding.gyp')))
}

/** @param {string[]} args @param {string} cwd */
function npm(args, cwd) {
  // Under `npm run` this is npm's own script; called by hand, the one on the PATH.
  const cli = process.env.npm_execpath
  const [file, first] = cli?.endsWith('.js') ? [process.execPath, [cli]] : ['npm', []]
  return execFileSync(file, [...first, ...args], {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: userEnv(),
  })
}

/** @param {string} file @param {string[]} args @param {object} [options] */
function run(file, args, options = { stdio: 'inherit' }) {
  // A warning would meet every user, so that one counts as a failure.
  const env = { ...userEnv(), NODE_OPTIONS: '--redirect-warnings=warnings.txt' }
  const output = execFileSync(file, args, { cwd: folder, encoding: 'utf8', env, ...options })
  const warnings = join(folder, 'warnings.txt')
  if (existsSync(warnings)) assert.fail(readFileSync(warnings, 'utf8'))
  return output
}

/** The environment without what `npm run` says of this repository. */
function userEnv() {
  const ours = /^(npm_package_|npm_lifecycle_|npm_config_local_prefix$|INIT_CWD$)/i
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => !ours.test(key)))
}
