import { expect, test } from 'vitest'
import { isFull, isMissing, siblingPath } from '../../src/core/file.js'

test('a sibling is in the same folder', () => {
  expect(siblingPath('/folder/s.snapshot', 'x')).toBe('/folder/x')
  expect(siblingPath('s.snapshot', 'x')).toBe('x')
})

test('errors are told apart by their codes', () => {
  const all = ['ENOENT', 'ENOSPC', 'EDQUOT', 'EFBIG', 'EIO', 'EACCES', undefined].map((code) =>
    Object.assign(new Error('of a file'), { code }),
  )
  expect(all.filter(isMissing).map(({ code }) => code)).toEqual(['ENOENT'])
  expect(all.filter(isFull).map(({ code }) => code)).toEqual(['ENOSPC', 'EDQUOT', 'EFBIG'])
  expect(isMissing(null)).toBe(false)
})
