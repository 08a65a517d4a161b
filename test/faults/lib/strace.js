/**
 * System calls of another process, watched and made to fail by strace.
 */
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** Why system calls can't be watched here; undefined where they can. */
export function whyNoStrace() {
  const tried = spawnSync('strace', ['-f', '-o', '/dev/null', 'true'], { encoding: 'utf8' })
  if (tried.error) return 'strace is not installed'
  return tried.status === 0 ? undefined : `strace can't trace here: ${tried.stderr.trim()}`
}

/**
 * Attaches to all threads of `pid` and resolves when it watches them.
 *
 * @param {{ pid: number, paths: string[], trace: string, inject?: string, log: string }} what
 * @returns {Promise<{ ended: Promise<void> }>}
 */
export async function attach({ pid, paths, trace, inject, log }) {
  const args = ['-f', '-qq', '-o', log, '-p', String(pid), '-e', `trace=${trace}`]
  if (inject) args.push('-e', `inject=${inject}`)
  for (const path of paths) args.push('-P', path)
  const tracer = spawn('strace', args, { stdio: 'ignore' })
  const ended = new Promise((resolve) => tracer.on('close', resolve))
  let over = false
  void ended.then(() => (over = true))
  while (!over && !watched(pid)) await new Promise((resolve) => setTimeout(resolve, 2))
  return { ended }
}

function watched(pid) {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`)
    return tasks.every((task) => {
      const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8')
      return /^TracerPid:\s+[1-9]/m.test(status)
    })
  } catch {
    return true
  }
}

/** How often each system call of a log was made by the thread that made it most. */
export function countCalls(log) {
  const counts = new Map()
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const [, thread, call] = /^(\d+)\s+(\w+)\(/.exec(line) ?? []
    if (!call) continue
    const threads = counts.get(call) ?? new Map()
    threads.set(thread, (threads.get(thread) ?? 0) + 1)
    counts.set(call, threads)
  }
  return new Map([...counts].map(([call, threads]) => [call, Math.max(...threads.values())]))
}
