/**
 * Notice of what happens to the files of a path, over chokidar. Only says that something happened:
 * what, is for those who read the files to find out. Never keeps the process alive.
 *
 * The files are looked at now and then. Were it told of every write, chokidar would read the folder
 * and look at all that is in it without end while we write there ourselves: a quarter of the event
 * loop's time during a snapshot.
 */
import { watch as chokidar } from 'chokidar'
import { basename, dirname } from 'node:path'

/** How often the files are looked at, in ms. */
const LOOK_EVERY = 250

/** Calls back when a file of `path` that `matters` comes, changes or goes; the result stops it. */
export function watch(
  path: string,
  matters: (suffix: string) => boolean,
  onChange: (suffix: string) => void,
): () => Promise<void> {
  const folder = dirname(path)
  const name = basename(path)
  const watcher = chokidar(folder, {
    depth: 0,
    persistent: false,
    ignoreInitial: true,
    usePolling: true,
    interval: LOOK_EVERY,
    binaryInterval: LOOK_EVERY,
    ignored: (candidate) => {
      if (candidate === folder) return false
      const file = basename(candidate)
      return !file.startsWith(name) || !matters(file.slice(name.length))
    },
  })
  watcher.on('all', (_event, file) => onChange(basename(file).slice(name.length)))
  // Without notice, the regular look at the files does; it is only slower.
  watcher.on('error', ignore)
  return () => watcher.close()
}

function ignore(): void {
  // See above.
}
