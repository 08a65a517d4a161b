/**
 * Notice of what happens to the files of a path, over chokidar. Only says that something happened:
 * what, is for those who read the files to find out. Never keeps the process alive.
 */
import { watch as chokidar } from 'chokidar'
import { basename, dirname } from 'node:path'

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
