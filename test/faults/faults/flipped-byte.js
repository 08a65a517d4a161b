/**
 * Every byte of a file changed, in three ways: all of it is noticed, nothing wrong is served, what
 * stood elsewhere is salvaged, and the damaged file is set aside.
 */
import { checkDamagedJournal, checkDamagedSnapshot } from '../lib/damage.js'
import { journalPicture, KEY, snapshotPicture, spread } from '../lib/pictures.js'
import { Random } from '../lib/random.js'
import { Tally } from '../lib/tally.js'

export const name = 'flipped byte'
/** More than there are bytes, three times over: every byte. */
export const full = 160_000

const FLIPS = [0x01, 0x80, 0xff]

export async function run(count, seed) {
  const tally = new Tally(name)
  const random = new Random(seed)
  const share = Math.ceil(count / 4)
  const flip = async (label, picture, places, check) => {
    const whole = picture.disk.read(picture.path)
    for (const place of spread(whole.length * FLIPS.length, places, random)) {
      const at = Math.floor(place / FLIPS.length)
      const mask = FLIPS[place % FLIPS.length]
      const damaged = Buffer.from(whole)
      damaged[at] ^= mask
      const what = `${label}, byte ${at} of ${whole.length} ^ 0x${mask.toString(16)}`
      await tally.try(what, async () => {
        const { store } = await check(tally, what, picture, damaged)
        await store.close()
      })
    }
  }
  await flip('journal', await journalPicture(seed), share, checkDamagedJournal)
  await flip('snapshot', await snapshotPicture(seed), share, checkDamagedSnapshot)
  const variants = [
    ['snapshot with one before', { previous: true }],
    ['snapshot without journals', { previous: true, durability: 'snapshot' }],
    ['snapshot of several frames', { bytes: 4000 }],
  ]
  for (const [label, options] of variants) {
    const picture = await snapshotPicture(seed, options)
    await flip(label, picture, Math.ceil(count / 16), checkDamagedSnapshot)
  }
  const sealed = Math.ceil(count / 2000)
  await flip(
    'sealed journal',
    await journalPicture(seed, { key: KEY }),
    sealed,
    checkDamagedJournal,
  )
  const sealedSnapshot = await snapshotPicture(seed, { key: KEY })
  await flip('sealed snapshot', sealedSnapshot, sealed, checkDamagedSnapshot)
  return tally
}
