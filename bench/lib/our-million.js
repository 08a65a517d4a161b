/**
 * The big number of sessions as our store leaves them at a stop: a folder, made once in a run. Where
 * sessions only have to be there, a copy of it is restored, which takes a quarter of filling's time.
 */
import { WorkerProcess } from './worker-process.js'

/** @param {import('./context.js').Context} context @returns {Promise<string>} the folder */
export function ourMillion(context) {
  return context.fixture('ours', () => make(context))
}

/** @param {import('./context.js').Context} context */
async function make(context) {
  const count = context.million
  context.progress(`filling ours with ${count} sessions`)
  const folder = context.temp.folder('ours')
  const worker = new WorkerProcess('restore', { cwd: folder })
  try {
    await worker.call('open', { system: 'ours-everysec', place: { folder }, count })
    await worker.call('close')
  } finally {
    await worker.stop()
  }
  return folder
}
