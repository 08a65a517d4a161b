/**
 * Sectors of zeros, and tails of zeros or garbage: as with a flipped byte. A length is never
 * believed beyond the end of the file.
 */
import { checkDamagedJournal, checkDamagedSnapshot } from '../lib/damage.js'
import { journalPicture, snapshotPicture, spread } from '../lib/pictures.js'
import { Random } from '../lib/random.js'
import { Tally } from '../lib/tally.js'

export const name = 'torn sector'
export const full = 2000

const SECTOR = 512

export async function run(count, seed) {
  const tally = new Tally(name)
  const random = new Random(seed)
  const pictures = [
    ['journal', await journalPicture(seed), checkDamagedJournal],
    ['long journal', await journalPicture(seed + 1, { records: 200 }), checkDamagedJournal],
    ['snapshot', await snapshotPicture(seed), checkDamagedSnapshot],
    ['with one before', await snapshotPicture(seed, { previous: true }), checkDamagedSnapshot],
    ['large', await snapshotPicture(seed, { bytes: 2000 }), checkDamagedSnapshot],
    [
      'without journals',
      await snapshotPicture(seed, { previous: true, durability: 'snapshot' }),
      checkDamagedSnapshot,
    ],
  ]
  for (const [label, picture, check] of pictures) {
    const whole = picture.disk.read(picture.path)
    const attempt = (what, damaged) =>
      tally.try(`${label}, ${what}`, async () => {
        const { store } = await check(tally, `${label}, ${what}`, picture, damaged)
        await store.close()
      })
    const share = Math.ceil(count / pictures.length / 2)
    for (const sector of spread(Math.ceil(whole.length / SECTOR), share, random)) {
      const damaged = Buffer.from(whole)
      damaged.fill(0, sector * SECTOR, Math.min((sector + 1) * SECTOR, whole.length))
      await attempt(`sector ${sector} zeroed`, damaged)
    }
    for (const length of spread(4096, share, random).map((i) => i + 1)) {
      const zeros = random.chance(0.5)
      const tail = zeros ? Buffer.alloc(length) : hostileTail(whole, length, random)
      await attempt(
        `${length} bytes of ${zeros ? 'zeros' : 'garbage'} behind`,
        Buffer.concat([whole, tail]),
      )
    }
  }
  return tally
}

/** Garbage that may look like the beginning of a frame, or be a frame of the file seen before. */
function hostileTail(whole, length, random) {
  const way = random.below(3)
  if (way === 0) return random.bytes(length)
  if (way === 1) return Buffer.alloc(length, 0x94)
  const from = random.below(Math.max(1, whole.length - length))
  return Buffer.from(whole.subarray(from, from + length))
}
