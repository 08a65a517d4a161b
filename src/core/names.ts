/**
 * What the files of a store are called. Each name is that of the snapshot with a suffix behind it.
 * Paths and names go in, paths, names and numbers come out; nothing here looks at a disk.
 */
import { basename } from 'node:path'

const PREVIOUS = '.1'
const JOURNAL = '.journal-'
const LEASE = '.lease-'
const SUCCESSOR = '.successor-'
const CORRUPT = '.corrupt-'

/** What a file is to a store. */
export type FileRole = 'snapshot' | 'previous' | 'journal' | 'lease' | 'successor'

/** The name that the generation before keeps. */
export function previousPath(path: string): string {
  return path + PREVIOUS
}

/** The path of a journal by its number; `…` for one that isn't known. */
export function journalPath(path: string, number: number | '…'): string {
  return `${path}${JOURNAL}${number}`
}

/** The number of a journal by its name, or -1. */
export function journalNumber(path: string, name: string): number {
  return numberBehind(JOURNAL, suffixOf(path, name))
}

/** The numbers of the journals among these names, from the lowest up. */
export function journalNumbers(path: string, names: readonly string[]): number[] {
  const numbers = names.map((name) => journalNumber(path, name))
  return numbers.filter((number) => number >= 0).sort((a, b) => a - b)
}

/** The path of a lease by its term. */
export function leasePath(path: string, term: number): string {
  return `${path}${LEASE}${term}`
}

/** The term of a lease by its name, or -1. */
export function leaseTerm(path: string, name: string): number {
  return numberBehind(LEASE, suffixOf(path, name))
}

/** The path of a successor's note; `unique` is 12 hexadecimal digits. */
export function successorPath(path: string, pid: number, unique: string): string {
  return `${path}${SUCCESSOR}${pid}-${unique}`
}

/** Whether a name is that of a successor's note. */
export function isSuccessor(path: string, name: string): boolean {
  return /^\.successor-\d+-[0-9a-f]{12}$/.test(suffixOf(path, name))
}

/** Where a damaged file is copied to. */
export function corruptPath(path: string, now: number): string {
  return path + CORRUPT + new Date(now).toISOString().replaceAll(/[:.]/g, '-')
}

/** Whether a name is that of a copy of this file, made because it was damaged. */
export function isCorruptCopy(path: string, name: string): boolean {
  return suffixOf(path, name).startsWith(CORRUPT)
}

/** Whether a name is that of a file that a killed process left half written. */
export function isLeftover(path: string, name: string): boolean {
  const suffix = suffixOf(path, name)
  return /^(\.1)?\.\d{6,10}$/.test(suffix) || /^\.(lease|successor)-.*\.[0-9a-f]{12}$/.test(suffix)
}

/** What a file with this suffix is, or is about to be once it has been written. */
export function roleOf(suffix: string): FileRole | undefined {
  if (suffix === '') return 'snapshot'
  if (suffix === PREVIOUS) return 'previous'
  if (suffix.startsWith(JOURNAL)) return 'journal'
  if (suffix.startsWith(LEASE)) return 'lease'
  return suffix.startsWith(SUCCESSOR) ? 'successor' : undefined
}

/** What stands behind the snapshot's name; empty also where another name stands there. */
function suffixOf(path: string, name: string): string {
  const own = basename(path)
  return name.startsWith(own) ? name.slice(own.length) : ''
}

function numberBehind(prefix: string, suffix: string): number {
  const digits = suffix.startsWith(prefix) ? suffix.slice(prefix.length) : ''
  return /^\d{1,15}$/.test(digits) ? Number(digits) : -1
}
