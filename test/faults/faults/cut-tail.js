/**
 * Files cut off at every byte: the longest whole prefix is served, and what is appended afterwards
 * is there after a reopen, with all that was served.
 */
import { checkAppend, checkServed } from '../lib/check.js'
import { journalPicture, KEY, openDamaged, snapshotPicture, spread } from '../lib/pictures.js'
import { Random } from '../lib/random.js'
import { Tally } from '../lib/tally.js'

export const name = 'cut tail'
/** More than there are bytes: every byte. */
export const full = 40_000

/** Codes that say of a file too short to tell whose it is that it is not a snapshot. */
const REFUSED = new Set(['ERR_FORMAT_FOREIGN', 'ERR_DAMAGED'])

export async function run(count, seed) {
  const tally = new Tally(name)
  const random = new Random(seed)
  const share = Math.ceil(count / 4)
  await cutJournal(tally, await journalPicture(seed), share, random)
  await cutSnapshot(tally, await snapshotPicture(seed), share, random)
  await cutSnapshot(tally, await snapshotPicture(seed, { previous: true }), share, random)
  const large = await snapshotPicture(seed, { bytes: 4000 })
  await cutSnapshot(tally, large, Math.ceil(count / 40), random)
  const sealed = Math.ceil(count / 1000)
  await cutJournal(tally, await journalPicture(seed, { key: KEY }), sealed, random)
  await cutSnapshot(tally, await snapshotPicture(seed, { key: KEY }), sealed, random)
  return tally
}

async function cutJournal(tally, picture, count, random) {
  const whole = picture.disk.read(picture.path)
  const sids = new Set(picture.states.flatMap((state) => [...state.keys()]))
  for (const length of spread(whole.length, count, random)) {
    const what = `journal cut to ${length} of ${whole.length}`
    await tally.try(what, async () => {
      const opened = await openDamaged(picture, whole.subarray(0, length))
      const kept = picture.ends.findLastIndex((end) => end <= length)
      const state = picture.states[kept] ?? new Map()
      await checkServed(tally, what, opened.store, sids, (sid) => [state.get(sid) ?? -1])
      tally.require(setAside(opened, picture, kept, length), `${what}: no copy set aside`)
      await checkAppend(tally, what, opened, picture)
    })
  }
}

/** Where a frame is torn, what is cut off has been copied first. */
function setAside({ damaged }, { path, ends }, kept, length) {
  const end = ends[kept]
  if (end === undefined || end === length) return true
  return [...damaged.entries].some(
    ([other, inode]) => other.startsWith(`${path}.corrupt-`) && inode.data.length >= length - end,
  )
}

async function cutSnapshot(tally, picture, count, random) {
  const whole = picture.disk.read(picture.path)
  const { state, bytes } = picture
  const previous = picture.disk.entries.has(`${picture.path}.1`)
  let served = 0
  for (const length of spread(whole.length, count, random)) {
    const what = `snapshot${previous ? ' with one before' : ''} cut to ${length} of ${whole.length}`
    await tally.try(what, async () => {
      let opened
      try {
        opened = await openDamaged(picture, whole.subarray(0, length))
      } catch (error) {
        tally.require(REFUSED.has(error.code) && length < 1024, `${what}: ${error.code}`)
        return
      }
      const frames = framesWithin(whole, length)
      const holds = (sid) => {
        const written = Buffer.concat([Buffer.from([0xd9, sid.length]), Buffer.from(sid)])
        return frames.some((frame) => frame.includes(written))
      }
      await checkServed(
        tally,
        what,
        opened.store,
        [...new Set([...state.keys(), ...picture.before.keys()])],
        (sid) => {
          if (!state.has(sid)) return [-1]
          // The generation before and its journals have all of it.
          if (previous) return [state.get(sid)]
          if (picture.options.encryptionKey) return [state.get(sid), -1]
          return holds(sid) ? [state.get(sid)] : [-1]
        },
        bytes,
      )
      const { length: now } = Object.keys(await opened.store.all())
      if (!previous) tally.require(now >= served, `${what}: serves fewer than cut shorter`)
      served = now
      tally.require(
        opened.errors.some(({ code }) => code === 'ERR_DAMAGED'),
        `${what}: unnoticed`,
      )
      await checkAppend(tally, what, opened, picture, bytes)
    })
  }
  if (!previous) {
    tally.require(served === state.size, `a snapshot without its last byte serves ${served}`)
  }
}

/** The payloads of the whole frames in the first `length` bytes, read off without the product. */
function framesWithin(bytes, length) {
  const frames = []
  for (let at = 0; at + 17 <= length;) {
    const end = at + 17 + bytes.readUInt32BE(at + 13)
    if (end > length) break
    frames.push(bytes.subarray(at + 17, end))
    at = end
  }
  return frames
}
