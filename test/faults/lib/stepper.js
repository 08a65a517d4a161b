/**
 * A process that does the same few things to a store each time, so that each of its system calls can
 * be made to fail in turn. Tells its parent which files it is going to touch and waits until that
 * watches them; looks after each step whether the sessions are served; at the end writes until the
 * disk takes it, or the patience it was given is over.
 */
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { once } from 'node:events'
import { dirname } from 'node:path'
import { PersistentMemoryStore } from '../../../dist/index.js'
import { versionOf } from './sessions.js'
import { Operator, tell, tellServed } from './tell.js'

const config = JSON.parse(process.argv[2])
const { sids, options, patience } = config
const path = options.snapshotPath
const STEPS = [
  ['set', 0],
  ['set', 1],
  ['touch', 1],
  ['destroy', 2],
  ['snapshot'],
  ['set', 3],
  ['set', 0],
  ['flush'],
  ['snapshot'],
  ['destroy', 3],
  ['clear'],
  ['set', 4],
  ['set', 5],
]

tell(`P ${JSON.stringify(watched())}`)
await once(process.stdin, 'data')
process.stdin.destroy()

const store = new PersistentMemoryStore(options)
const operator = new Operator(store, config)
store.on('error', (error) => tell(`! ${error.code} ${error.message}`))
await store.ready().then(main, (error) => tell(`X ${error.code}`))

async function main() {
  await tellServed(store, 0)
  for (const [kind, which] of STEPS) {
    const sid = sids[which] ?? '-'
    await operator.operate(kind, sid)
    await look(kind, sid)
  }
  for (let i = 0; i < patience; i++) {
    if (await operator.operate('flush', '-')) break
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  tell('D')
  await store.close().catch(() => undefined)
}

/** Whatever the disk does, memory is served. */
async function look(kind, sid) {
  const session = await store.get(sid)
  const version = versionOf(sid, session)
  const right =
    kind === 'set' || kind === 'touch' ? version >= 0 : kind === 'destroy' ? version === -1 : true
  if (!right) tell(`W ${kind}`)
}

/** The files this process will touch, their temporary ones by write-file-atomic's own rule. */
function watched() {
  const writer = createRequire(import.meta.url).resolve('write-file-atomic')
  const temporary = Array.from({ length: 24 }, (_, i) => {
    const hash = createHash('sha1')
      .update(`${writer}${process.pid}0${i + 1}`)
      .digest()
    return `${path}.${hash.readUInt32BE(0)}`
  })
  const journals = Array.from({ length: 24 }, (_, i) => `${path}.journal-${i + 1}`)
  return [dirname(path), path, `${path}.1`, ...temporary, ...journals]
}
