/**
 * Which process is which: what tells a living owner from one that was killed, from a reboot, from
 * a process that got the same number later, and from one in another container.
 */
import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** A process, as a lease names it. */
export interface ProcessIdentity {
  pid: number
  /** When it started, in the kernel's own count; empty where the system does not tell. */
  started: string
  /** The machine, by a hash of its id and name; empty where it has no id, as in containers. */
  machine: string
  /** The machine's present run; empty where the system does not tell. */
  boot: string
  /** Where its pid means something: the pid namespace, or the host's name. */
  scope: string
}

const FIELDS = ['pid', 'started', 'machine', 'boot', 'scope'] as const

/** This process. */
export function ownIdentity(): ProcessIdentity {
  const machineId = read('/etc/machine-id')
  const machine = createHash('sha256').update(`${machineId}\n${hostname()}`).digest('hex')
  return {
    pid: process.pid,
    started: statOf(process.pid)?.started ?? '',
    machine: machineId === '' ? '' : machine.slice(0, 32),
    boot: read('/proc/sys/kernel/random/boot_id'),
    scope: pidNamespace(),
  }
}

/** Whether it is the same process, as far as the system tells. */
export function isSame(other: ProcessIdentity, own: ProcessIdentity): boolean {
  return own.started !== '' && FIELDS.every((field) => other[field] === own[field])
}

/** Whether a process lives. `unknown` where it can't be seen from here: then only its signs of life tell. */
export function isAlive(other: ProcessIdentity, own: ProcessIdentity): boolean | 'unknown' {
  // The same machine in another run of it: nothing of that run is left.
  const sameMachine = other.machine !== '' && other.machine === own.machine
  const bothTold = other.boot !== '' && own.boot !== ''
  if (sameMachine && bothTold && other.boot !== own.boot) return false
  if (other.boot !== own.boot || other.scope !== own.scope) return 'unknown'
  if (other.boot === '' && !sameMachine && other.scope !== hostname()) return 'unknown'
  try {
    process.kill(other.pid, 0)
  } catch (error) {
    // EPERM: it lives, and is somebody else's.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const stat = statOf(other.pid)
  // Perhaps the system does not tell, or too many files are open here.
  if (!stat) return other.started === '' || 'unknown'
  // Over, and only its parent has not asked how it ended; until its last thread is gone, one of
  // them may be writing.
  if (stat.state === 'Z' && Number(stat.threads) <= 1) return false
  return other.started === '' || other.started === stat.started
}

/**
 * Fields 3, 20 and 22 of /proc/<pid>/stat (proc(5)), counted behind the name in brackets; `undefined`
 * where that can't be read.
 */
function statOf(pid: number): { state: string; threads: string; started: string } | undefined {
  const stat = read(`/proc/${pid}/stat`)
  if (stat === '') return undefined
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { state: fields[0] ?? '', threads: fields[17] ?? '', started: fields[19] ?? '' }
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return hostname()
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}
