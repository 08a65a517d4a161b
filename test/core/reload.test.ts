/**
 * Sequences of operations against a plain Map: what a store holds before it is closed, or killed,
 * it holds after it is opened again.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HOUR } from '../support/records.js'
import { NOON } from '../support/stub-clock.js'
import { afterKill, open, restart, sessionOf, sessionsIn, type Stage } from '../support/stores.js'

const sid = fc.constantFrom('a', 'b', 'c', 'd', '\u{1f381}', '__proto__')
const life = fc.constantFrom(-1, 500, 30_000, HOUR, 5 * HOUR)
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('set'), sid, life, data: fc.jsonValue() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('touch'), sid, life }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('destroy', 'get'), sid }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait'), ms: fc.nat(3000) }) },
  { weight: 2, arbitrary: fc.constantFrom({ do: 'snapshot' }, { do: 'flush' }, { do: 'prune' }) },
  { weight: 1, arbitrary: fc.constantFrom({ do: 'clear' }, { do: 'restart' }, { do: 'later' }) },
) as fc.Arbitrary<Step>

interface Step {
  do: string
  sid: string
  life: number
  data: unknown
  ms: number
}

interface Known {
  data: unknown
  expires: number
}

/** Takes a step on the store and in the Map. */
async function take(stage: Stage, known: Map<string, Known>, one: Step): Promise<Stage> {
  const { store, clock } = stage
  const expires = clock.time + one.life
  const cookie = { originalMaxAge: one.life, expires: new Date(expires) }
  const before = known.get(one.sid)
  const alive = before !== undefined && before.expires > clock.time
  if (one.do === 'set') {
    await store.set(one.sid, sessionOf({ data: one.data }, cookie))
    known.set(one.sid, { data: one.data, expires })
  } else if (one.do === 'touch') {
    await store.touch(one.sid, sessionOf({ data: 'of no matter' }, cookie))
    if (alive) known.set(one.sid, { ...before, expires })
  } else if (one.do === 'destroy') {
    await store.destroy(one.sid)
    known.delete(one.sid)
  } else if (one.do === 'clear') {
    await store.clear()
    known.clear()
  } else if (one.do === 'get') await store.get(one.sid)
  else if (one.do === 'wait') await clock.advance(one.ms)
  else if (one.do === 'later') clock.jump(HOUR)
  else if (one.do === 'restart') return restart(stage, durabilityOf(stage))
  else
    await (one.do === 'flush'
      ? store.flush()
      : one.do === 'prune'
        ? store.prune()
        : store.snapshot())
  return stage
}

const durabilities = new WeakMap<object, 'snapshot' | 'everysec' | 'always'>()
const durabilityOf = ({ files }: Stage) => ({ durability: durabilities.get(files)! })

/** What is to be found, by sid. */
function expected(known: Map<string, Known>, now: number) {
  const alive = [...known].filter(([, { expires }]) => expires > now)
  return alive
    .map(([sid, { data, expires }]) => [sid, data, new Date(expires).toISOString()])
    .sort(bySid)
}

async function found(stage: Stage) {
  const sessions = Object.entries(await sessionsIn(stage))
  return sessions
    .map(([sid, { data, cookie }]) => [sid, data, (cookie as { expires: string }).expires])
    .sort(bySid)
}

function bySid([a]: unknown[], [b]: unknown[]): number {
  return (a as string) < (b as string) ? -1 : 1
}

test.each(['snapshot', 'everysec', 'always'] as const)(
  'with durability %s nothing is lost by a restart, and nothing comes back',
  async (durability) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        let stage = await open({ durability })
        durabilities.set(stage.files, durability)
        const known = new Map<string, Known>()
        for (const one of steps) {
          stage = await take(stage, known, one)
          expect(await found(stage)).toEqual(expected(known, stage.clock.time))
        }
        stage = await restart(stage, { durability })
        expect(await found(stage)).toEqual(expected(known, stage.clock.time))
        stage.clock.jump(HOUR)
        stage = await restart(stage, { durability })
        expect(await found(stage)).toEqual(expected(known, stage.clock.time))
        await stage.store.close()
      }),
      { numRuns: 60 },
    )
  },
)

test("with durability 'always' nothing that was acknowledged is lost by a kill", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.nat(24), async (steps, last) => {
      let stage = await open({ durability: 'always' })
      durabilities.set(stage.files, 'always')
      const known = new Map<string, Known>()
      for (const one of steps.slice(0, last)) stage = await take(stage, known, one)
      const killed = await afterKill(stage)
      // A touch is never waited for: an expiry may be the one before it.
      const touched = new Set(
        steps.slice(0, last).map((one) => (one.do === 'touch' ? one.sid : undefined)),
      )
      const untouched = (all: unknown[][]) => all.filter(([sid]) => !touched.has(sid as string))
      const before = expected(known, stage.clock.time)
      expect(untouched(await found(killed))).toEqual(untouched(before))
      await Promise.all([killed.store.close(), stage.store.close()])
    }),
    { numRuns: 60 },
  )
})

test('whatever was flushed is there after a kill, to the millisecond', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      let stage = await open()
      durabilities.set(stage.files, 'everysec')
      const known = new Map<string, Known>()
      for (const one of steps) stage = await take(stage, known, one)
      await stage.store.flush()
      const killed = await afterKill(stage)
      expect(await found(killed)).toEqual(expected(known, stage.clock.time))
      await Promise.all([killed.store.close(), stage.store.close()])
    }),
    { numRuns: 60 },
  )
})

test('a clock set back or far ahead changes no order', async () => {
  const jump = fc.constantFrom(-HOUR, HOUR, 10 * 365 * 24 * HOUR, -10 * 365 * 24 * HOUR)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(jump, fc.nat(9), sid), { maxLength: 12 }), async (jumps) => {
      let stage = await open({ ttl: '400d' })
      const known = new Map<string, number | undefined>()
      for (const [ms, n, sid] of jumps) {
        stage.clock.time = Math.max(NOON / 2, stage.clock.time + ms)
        // What looks expired while the clock is wrong is not there to be destroyed.
        const gone = n === 9 && (await stage.store.get(sid)) !== undefined
        if (gone) await stage.store.destroy(sid)
        else if (n < 9) await stage.store.set(sid, { cookie: { maxAge: 1e15 }, n } as never)
        await stage.store.flush()
        if (gone || n < 9) known.set(sid, gone ? undefined : n)
        if (n === 8) stage = await restart(stage, { ttl: '400d' })
      }
      // No session lives for as long as the clock was wrong; those set last are judged.
      const sessions = await sessionsIn(await restart(stage, { ttl: '400d' }))
      for (const [sid, { n }] of Object.entries(sessions)) expect(n).toBe(known.get(sid))
      if (jumps.length > 0) {
        const [, n, sid] = jumps.at(-1)!
        if (n < 9) expect(sessions[sid]?.['n']).toBe(n)
      }
    }),
    { numRuns: 80 },
  )
})
