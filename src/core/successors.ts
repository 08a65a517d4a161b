/**
 * Which successors there are: each leaves a note beside the files and dates it while it waits.
 *
 * The owner that finds notes of living successors writes each change before it answers. A note whose
 * process is gone is removed by whoever sees that.
 */
import { randomBytes } from 'node:crypto'
import { basename } from 'node:path'
import type { Clock } from './clock.js'
import { DATE_EVERY } from './dating.js'
import { Liveness } from './liveness.js'
import { isMissing, siblingPath } from './file.js'
import { isSuccessor, successorPath } from './names.js'
import { type Notes, noteText } from './notes.js'
import { oneAtATime } from './pace.js'
import type { ProcessIdentity } from './process-identity.js'

export class Successors {
  readonly #notes: Notes
  readonly #path: string
  readonly #clock: Clock
  readonly #liveness = new Liveness()

  constructor(notes: Notes, path: string, clock: Clock) {
    this.#notes = notes
    this.#path = path
    this.#clock = clock
  }

  /** Leaves a note of this process and dates it until it is withdrawn. */
  async announce(): Promise<{ name: string; withdraw: () => Promise<void> }> {
    const path = successorPath(this.#path, process.pid, randomBytes(6).toString('hex'))
    let withdrawn = false
    const leave = async () => {
      await this.#notes.create(path, () => `${noteText(this.#liveness.own)}\n`)
      if (withdrawn) await this.#notes.remove(path)
    }
    const date = async () => {
      try {
        await this.#notes.date(path)
      } catch (error) {
        // The folder was deleted, or the owner took this process for gone.
        if (isMissing(error) && !withdrawn) await leave()
      }
    }
    await leave().catch(ignore)
    const stop = this.#clock.every(
      DATE_EVERY,
      oneAtATime(() => date().catch(ignore)),
    )
    return {
      name: basename(path),
      withdraw: async () => {
        withdrawn = true
        stop()
        await this.#notes.remove(path).catch(ignore)
      },
    }
  }

  /** The names of the notes of those that live. */
  async present(): Promise<string[]> {
    const siblings = await this.#notes.siblings(this.#path)
    const names = siblings.filter((name) => isSuccessor(this.#path, name))
    const living: string[] = []
    for (const name of names.sort()) {
      const path = siblingPath(this.#path, name)
      const note = await this.#notes.read(path)
      if (!note) continue
      if (this.#liveness.of(name, parse(note.text), note.dated)) living.push(name)
      else await this.#notes.remove(path).catch(ignore)
    }
    return living
  }
}

function parse(text: string): ProcessIdentity | undefined {
  try {
    const parsed = JSON.parse(text) as Partial<ProcessIdentity> | null
    return Number.isSafeInteger(parsed?.pid) ? (parsed as ProcessIdentity) : undefined
  } catch {
    return undefined
  }
}

function ignore(): void {
  // Without a note, what the owner writes comes within a second.
}
