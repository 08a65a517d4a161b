/**
 * What the figures were measured on, and how quiet it was: a process that does nothing but watch its
 * event loop, a fixed piece of arithmetic timed again and again, and the disk's syncs a second.
 */
import { fdatasyncSync, openSync, closeSync, readFileSync, writeSync } from 'node:fs'
import { arch, availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { watchLoop } from './delay.js'
import { summarize } from './summary.js'

/** @returns {{ what: string, is: string }[]} */
export function describeMachine() {
  return [
    { what: 'processor', is: `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores` },
    { what: 'memory', is: `${Math.round(totalmem() / 2 ** 30)} GiB` },
    { what: 'system', is: `${distribution()}${type()} ${release()}, ${arch()}` },
    { what: 'Node', is: process.version },
  ]
}

function distribution() {
  try {
    const name = /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]
    return name ? `${name}, ` : ''
  } catch {
    return ''
  }
}

/** @param {number} ms how long to watch */
export async function measureNoise(ms) {
  const { longest, p99 } = await watchLoop(() => undefined, ms)
  return { longest, p99, spin: summarize(Array.from({ length: 40 }, spin)) }
}

/** @returns {number} ms for always the same arithmetic */
function spin() {
  const start = performance.now()
  let x = 1
  for (let i = 0; i < 5e6; i++) x = (Math.imul(x, 1664525) + 1013904223) | 0
  return performance.now() - start + (x === 0 ? 1 : 0)
}

/** @param {string} folder @param {number} ms @returns {number} appends of 4 KiB, each synced, a second */
export function syncsPerSecond(folder, ms) {
  const file = openSync(join(folder, 'syncs'), 'a')
  const block = Buffer.alloc(4096, 1)
  const start = performance.now()
  let count = 0
  while (performance.now() - start < ms) {
    writeSync(file, block)
    fdatasyncSync(file)
    count++
  }
  closeSync(file)
  return (count / (performance.now() - start)) * 1000
}
