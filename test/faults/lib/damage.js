/**
 * What may be served from a damaged file: everything but what stood in the frames that were hit,
 * read off the undamaged file without the product.
 */
import { checkServed } from './check.js'
import { apply, openDamaged } from './pictures.js'

/** Where the frames of a whole file are, its two header frames included. */
function framesOf(bytes) {
  const frames = []
  for (let at = 0; at + 17 <= bytes.length;) {
    const end = at + 17 + bytes.readUInt32BE(at + 13)
    frames.push({ start: at, end })
    at = end
  }
  return frames
}

function hitFrames(whole, damaged) {
  return framesOf(whole).filter(
    ({ start, end }) => !whole.subarray(start, end).equals(damaged.subarray(start, end)),
  )
}

/** Opens a journal in which bytes differ and checks what it serves. */
export async function checkDamagedJournal(tally, what, picture, damaged) {
  const whole = picture.disk.read(picture.path)
  const hit = hitFrames(whole, damaged)
  const state = new Map()
  picture.ops.forEach((op, k) => {
    const start = k === 0 ? 1024 : picture.ends[k - 1]
    const lost = hit.some((frame) => frame.start < picture.ends[k] && frame.end > start)
    if (!lost) apply(state, op)
  })
  const sids = new Set(picture.ops.map(({ sid }) => sid))
  const opened = await openDamaged(picture, damaged)
  await checkServed(tally, what, opened.store, sids, (sid) => [state.get(sid) ?? -1])
  noticed(tally, what, opened, picture, damaged)
  return opened
}

/** Opens a snapshot in which bytes differ and checks what it serves. */
export async function checkDamagedSnapshot(tally, what, picture, damaged) {
  const { state, before, bytes } = picture
  const whole = picture.disk.read(picture.path)
  const hit = hitFrames(whole, damaged).map(({ start, end }) => whole.subarray(start, end))
  const previous = picture.disk.entries.has(`${picture.path}.1`)
  const journals = picture.options.durability !== 'snapshot'
  const wasHit = (sid) => {
    if (picture.options.encryptionKey) return hit.length > 0
    const written = Buffer.concat([Buffer.from([0xd9, sid.length]), Buffer.from(sid)])
    return hit.some((frame) => frame.includes(written))
  }
  const opened = await openDamaged(picture, damaged)
  const allowed = (sid) => {
    // Destroyed long before: whatever is damaged, it stays so.
    if (!state.has(sid)) return [-1]
    if (!wasHit(sid) || (previous && journals)) return [state.get(sid)]
    return previous ? [state.get(sid), before.get(sid), -1] : [state.get(sid), -1]
  }
  const sids = new Set([...state.keys(), ...before.keys()])
  await checkServed(tally, what, opened.store, sids, allowed, bytes)
  noticed(tally, what, opened, picture, damaged)
  return opened
}

/** Damage is in the report, and the damaged file is still to be had. */
function noticed(tally, what, { report, damaged: disk }, { path }, damaged) {
  const file = report.files.find((one) => one.path === path)
  const state = file?.state
  tally.require(state === 'damaged' || state === 'torn', `${what}: reported as ${state}`)
  const kept = [...disk.entries].some(
    ([other, inode]) => other.startsWith(`${path}.corrupt-`) && inode.data.equals(damaged),
  )
  tally.require(kept, `${what}: the damaged file has not been set aside`)
}
