import { describe, expect, test } from 'vitest'
import {
  corruptPath,
  isCorruptCopy,
  isLeftover,
  isSuccessor,
  journalNumber,
  journalPath,
  leasePath,
  leaseTerm,
  previousPath,
  roleOf,
  successorPath,
} from '../../src/core/names.js'

const PATH = '/var/lib/app/s.snapshot'
const HEX = '0123456789ab'

test('paths are the snapshot’s with a suffix', () => {
  expect(previousPath(PATH)).toBe('/var/lib/app/s.snapshot.1')
  expect(journalPath(PATH, 12)).toBe('/var/lib/app/s.snapshot.journal-12')
  expect(journalPath(PATH, '…')).toBe('/var/lib/app/s.snapshot.journal-…')
  expect(leasePath(PATH, 3)).toBe('/var/lib/app/s.snapshot.lease-3')
  expect(successorPath(PATH, 42, HEX)).toBe(`/var/lib/app/s.snapshot.successor-42-${HEX}`)
  expect(corruptPath(PATH, Date.UTC(2026, 10, 23, 18, 29, 34, 730))).toBe(
    '/var/lib/app/s.snapshot.corrupt-2026-11-23T18-29-34-730Z',
  )
})

describe.each([
  ['journal', journalNumber],
  ['lease', leaseTerm],
] as const)('the number of a %s', (word, numberOf) => {
  test.each([
    ['0', 0],
    ['7', 7],
    ['007', 7],
    ['999999999999999', 999_999_999_999_999],
  ])('is read from %s', (digits, number) => {
    expect(numberOf(PATH, `s.snapshot.${word}-${digits}`)).toBe(number)
  })

  test.each([
    `s.snapshot.${word}-`,
    `s.snapshot.${word}-x`,
    `s.snapshot.${word}--1`,
    `s.snapshot.${word}-1.5`,
    `s.snapshot.${word}-1 `,
    `s.snapshot.${word}-12.${HEX}`,
    `s.snapshot.${word}-1000000000000000`,
    `s.snapshot.1.${word}-1`,
    `s.snapshot2.${word}-1`,
    `t.snapshot.${word}-1`,
    `x.s.snapshot.${word}-1`,
    `s.snapshot-${word}-1`,
    's.snapshot.other-1',
    's.snapshot',
  ])('is not read from %s', (name) => {
    expect(numberOf(PATH, name)).toBe(-1)
  })
})

test('a dot in the name of the snapshot stands for itself', () => {
  expect(journalNumber('/x/s.snapshot', 's-snapshot.journal-1')).toBe(-1)
  expect(journalNumber('/x/a+(b)', 'a+(b).journal-1')).toBe(1)
})

test('successors are told by pid and twelve digits', () => {
  expect(isSuccessor(PATH, `s.snapshot.successor-42-${HEX}`)).toBe(true)
  for (const name of [
    's.snapshot.successor-42',
    `s.snapshot.successor-42-${HEX}0`,
    `s.snapshot.successor-42-${HEX.toUpperCase()}`,
    `s.snapshot.successor-42-${HEX}.${HEX}`,
    `s.snapshot.successor--${HEX}`,
    `s.snapshot2.successor-42-${HEX}`,
    `t.snapshot.successor-42-${HEX}`,
  ]) {
    expect(isSuccessor(PATH, name), name).toBe(false)
  }
})

test('copies of a damaged file are told from those of another', () => {
  const [journal, copy] = [journalPath(PATH, 1), corruptPath('s.snapshot.journal-1', 0)]
  expect(isCorruptCopy(journal, copy)).toBe(true)
  expect(isCorruptCopy(PATH, copy)).toBe(false)
  expect(isCorruptCopy(PATH, 's.snapshot.corrupt-by-hand')).toBe(true)
  expect(isCorruptCopy(journalPath(PATH, 10), copy)).toBe(false)
})

test('what a killed process left half written is told from what somebody keeps there', () => {
  for (const suffix of [
    '.123456',
    '.1234567890',
    '.1.1234567890',
    `.lease-3.${HEX}`,
    `.successor-42-${HEX}.${HEX}`,
  ]) {
    expect(isLeftover(PATH, `s.snapshot${suffix}`), suffix).toBe(true)
  }
  for (const suffix of [
    '',
    '.1',
    '.2024',
    '.12345',
    '.12345678901',
    '.2.1234567890',
    '.1234567890.gz',
    '.journal-1',
    '.journal-1.1234567890',
    '.lease-3',
    `.lease-3.${HEX}0.gz`,
    `.successor-42-${HEX}`,
    '.corrupt-2026-11-23T18-29-34-730Z',
  ]) {
    expect(isLeftover(PATH, `s.snapshot${suffix}`), suffix).toBe(false)
  }
  expect(isLeftover(PATH, 't.snapshot.1234567890')).toBe(false)
})

test('a suffix tells what a file is to a store', () => {
  expect(
    ['', '.1', '.journal-1', '.lease-1', `.lease-1.${HEX}`, `.successor-42-${HEX}`].map(roleOf),
  ).toEqual(['snapshot', 'previous', 'journal', 'lease', 'lease', 'successor'])
  for (const suffix of ['2', '.12', '.1.1234567890', '.corrupt-x', '.journal', 'journal-1', '.bak'])
    expect(roleOf(suffix), suffix).toBeUndefined()
})
