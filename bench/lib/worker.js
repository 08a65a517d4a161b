/**
 * The process that one system runs in. Calls come in as `{ id, table, task, args }`, over IPC or, for
 * the first one, on the command line; what the task returned goes out. Tasks are what a table's
 * module exports as `tasks`; one `state` lasts as long as the process. What a store reported in the
 * background (`state.failure`) fails the task.
 */
/** @type {Record<string, any>} */
const state = {}

/** @param {{ id: number, table: string, task: string, args: any }} call */
async function answer({ id, table, task, args }) {
  try {
    const { tasks } = await import(`../tables/${table}.js`)
    const result = await tasks[task](args, state)
    if (state.failure) throw state.failure
    process.send?.({ id, result })
  } catch (error) {
    process.send?.({ id, error: error instanceof Error ? error.stack : String(error) })
  }
}

process.on('message', (call) => void answer(/** @type {any} */ (call)))
process.once('disconnect', () => process.exit())

const first = process.argv[2]
if (first) void answer(JSON.parse(first))
