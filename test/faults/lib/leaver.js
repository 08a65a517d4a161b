/**
 * A process that writes to a store of the built package and ends in one of the ways a process ends,
 * while much of what it wrote has not been answered.
 */
import { rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { dirname } from 'node:path'
import { PersistentMemoryStore } from '../../../dist/index.js'
import { Random } from './random.js'
import { Operator, tell, tellServed } from './tell.js'

const config = JSON.parse(process.argv[2])
const random = new Random(config.seed)
const store = new PersistentMemoryStore(config.options)
const operator = new Operator(store, config)
store.on('error', (error) => tell(`! ${error.code} ${error.message}`))

/** A signal is heard by the loop, which must still be running then. */
const signalOf = (signal) => () => {
  setTimeout(() => tell('! none the signal was not heard'), 3000)
  process.kill(process.pid, signal)
}
const handled = (signal, handler) => () => {
  process.on(signal, handler)
  signalOf(signal)()
}
/** No signal ends the first process of a container that has no handler for it: it goes on. */
const outlived = (signal, end) => () => {
  const [self, kill] = [process.pid, process.kill]
  Object.defineProperty(process, 'pid', { value: 1 })
  process.kill = () => true
  kill(self, signal)
  setTimeout(() => {
    for (const sid of config.sids.slice(3, 6)) void operator.operate('set', sid)
    setTimeout(end, random.below(200))
  }, random.below(200))
}
const deleted = (end) => () => {
  rmSync(dirname(config.options.snapshotPath), { recursive: true })
  setTimeout(end, random.below(100))
}
/** How a process may end. */
const ENDS = {
  close: () => store.close(),
  'end of loop': () => undefined,
  'process.exit': () => process.exit(7),
  'process.exit in close': () => {
    void store.close()
    process.exit(7)
  },
  'process.exit soon after close': () => {
    void store.close()
    setTimeout(() => process.exit(7), random.below(4))
  },
  'process.exit while a snapshot is taken': () => {
    void store.snapshot().catch(() => undefined)
    setTimeout(() => process.exit(7), random.below(6))
  },
  'process.exit soon': () => setTimeout(() => process.exit(7), random.below(20)),
  'process.exit in beforeExit': () => process.on('beforeExit', () => process.exit(7)),
  SIGTERM: signalOf('SIGTERM'),
  SIGINT: signalOf('SIGINT'),
  SIGHUP: signalOf('SIGHUP'),
  'SIGTERM, handler exits': handled('SIGTERM', () => process.exit(7)),
  'SIGINT, handler exits later': handled('SIGINT', () => setTimeout(() => process.exit(7), 30)),
  'SIGTERM, handler closes the store': handled('SIGTERM', () => {
    store.close().then(() => process.exit(7))
  }),
  'SIGTERM, handler closes the server': () => {
    const server = createServer().listen(0, () => {
      process.on('SIGTERM', () => server.close())
      process.kill(process.pid, 'SIGTERM')
    })
  },
  'SIGTERM twice': () => {
    process.once('SIGTERM', signalOf('SIGTERM'))
    signalOf('SIGTERM')()
  },
  'SIGTERM to process 1, process.exit later': outlived('SIGTERM', () => process.exit(7)),
  'SIGTERM to process 1, close later': outlived('SIGTERM', () => store.close()),
  'folder deleted, process.exit': deleted(() => process.exit(7)),
  'folder deleted, close': deleted(() => store.close()),
  'uncaught exception': () => {
    throw new Error('nobody catches this')
  },
  'uncaught exception in a timer': () => {
    setTimeout(() => {
      throw new Error('nobody catches this')
    }, random.below(5))
  },
  'unhandled rejection': () => void Promise.reject(new Error('nobody handles this')),
}

await store.ready()
await tellServed(store, config.bytes)
for (let i = 0; i < config.operations; i++) {
  const answered = operator.operate(
    random.pick(['set', 'set', 'set', 'touch', 'destroy']),
    random.pick(config.sids),
  )
  if (random.chance(0.1)) await answered
  if (random.chance(0.02)) void operator.operate('snapshot', '-')
  if (random.chance(0.01)) void operator.operate('clear', '-')
}
tell('D')
// A timer, so that an exception is nobody's rejected promise.
setTimeout(() => {
  for (const sid of config.sids.slice(0, 3)) void operator.operate('set', sid)
  ENDS[config.end]()
}, random.below(300))
