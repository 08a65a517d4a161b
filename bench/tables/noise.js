/**
 * How quiet the machine is, from a process that does nothing: every other delay and spread is to be
 * read beside this one.
 */
import { milliseconds, perSecond, spread } from '../lib/format.js'
import { measureNoise, syncsPerSecond } from '../lib/machine.js'
import { WorkerProcess } from '../lib/worker-process.js'

export const tasks = {
  /** @param {{ ms: number, folder: string }} args */
  async measure({ ms, folder }) {
    return { ...(await measureNoise(ms)), syncs: syncsPerSecond(folder, ms / 5) }
  },
}

/** @param {import('../lib/context.js').Context} context */
export async function run(context) {
  const folder = context.temp.folder('noise')
  const worker = new WorkerProcess('noise', { cwd: folder })
  const { longest, p99, spin, syncs } = await worker.call('measure', {
    ms: context.size(5000, 1000),
    folder,
  })
  await worker.stop()
  return {
    title: 'The machine’s own noise',
    intro: 'An idle process: what it measures is the machine’s doing.',
    tables: [
      {
        columns: ['', ''],
        rows: [
          ['longest delay of an idle event loop', milliseconds(longest)],
          ['its 99th percentile', milliseconds(p99)],
          ['the same arithmetic, 40 times', spread(spin, milliseconds)],
          ['appends of 4 KiB, each synced', perSecond(syncs)],
        ],
      },
    ],
    targets: [],
    charts: [],
  }
}
