/**
 * A process that writes to a store of the built package and is going to be killed.
 */
import { PersistentMemoryStore } from '../../../dist/index.js'
import { Random } from './random.js'
import { Operator, tell, tellServed } from './tell.js'

/** @type {import('./child.js').VictimConfig} */
const config = JSON.parse(process.argv[2])
const { options, sids, writers, operations } = config
const random = new Random(config.seed)
const store = new PersistentMemoryStore(options)
const operator = new Operator(store, config)

store.on('error', (error) => tell(`! ${error.code} ${error.message}`))
store.ready().then(main, (error) => {
  tell(`X ${error.code}`)
  process.exitCode = 3
})

async function main() {
  await tellServed(store, config.bytes)
  if (writers > 0) {
    await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)))
    tell('D')
  }
  await store.close()
}

/** One of several that write at the same time, each its own sessions. */
async function write(writer) {
  const own = sids.filter((_, i) => i % writers === writer)
  for (let i = 0; i < operations; i++) {
    const answered = operator.operate(kindOf(writer === 0), random.pick(own))
    if (random.chance(0.7)) await answered
    if (random.chance(0.3)) await new Promise((resolve) => setTimeout(resolve, random.below(8)))
  }
}

function kindOf(first) {
  const way = first ? random.next() : 0.05 + 0.95 * random.next()
  if (way < 0.01) return 'snapshot'
  if (way < 0.03) return 'flush'
  if (way < 0.035) return 'clear'
  if (way < 0.65) return 'set'
  return way < 0.8 ? 'destroy' : 'touch'
}
