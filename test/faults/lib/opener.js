/**
 * A process that gives up root, tries to open a store and tells the code it got.
 */
import { PersistentMemoryStore } from '../../../dist/index.js'
import { tell } from './tell.js'

const { options, uid } = JSON.parse(process.argv[2])
process.setgid(uid)
process.setuid(uid)
const store = new PersistentMemoryStore(options)
store.on('error', () => undefined)
store.ready().then(
  async () => {
    tell('R []')
    await store.close()
  },
  (error) => tell(`X ${error.code}`),
)
