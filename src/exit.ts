/**
 * The end of the process → what is unsaved is written, in one go.
 *
 * Nobody is left to listen to events by then, so what goes wrong is told on stderr. Never keeps the
 * process from ending.
 */
import { load, onExit, unload } from 'signal-exit'
import type { Engine } from './core/engine.js'
import { outliveSizeLimit } from './core/node-files.js'

/** Has `engine` flush when the process exits; the result forgets it. */
export function flushAtExit(engine: Engine): () => void {
  outliveSizeLimit()
  const atLast = () => flush(engine, false)
  const end = (_code: unknown, signal: string | null) => {
    // The first process of a container is not ended by a signal that it has no handler for.
    const lives = signal !== null && process.pid === 1
    // At a signal signal-exit lets go of all of them: another one would end the process amid this.
    if (signal !== null) load()
    flush(engine, lives)
    if (signal !== null) unload()
    // signal-exit has told of its one end by then.
    if (lives) process.once('exit', atLast)
  }
  const forget = onExit(end, { alwaysLast: true })
  return () => {
    forget()
    process.off('exit', atLast)
  }
}

function flush(engine: Engine, lives: boolean): void {
  try {
    engine.flushSync(lives)
  } catch (cause) {
    const { code = 'ERR_WRITE', message } = cause as NodeJS.ErrnoException
    process.stderr.write(`persistent-memorystore: unsaved sessions are lost: ${code}: ${message}\n`)
  }
}
