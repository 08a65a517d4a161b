import { describe, expect, test, vi } from 'vitest'
import { Waiters } from '../../src/core/waiters.js'

function waiting(count: number) {
  const waiters = new Waiters()
  const heard: string[] = []
  for (let i = 0; i < count; i++) {
    const reject = (error: Error) => heard.push(`${i} ${error.message}`)
    waiters.add({ resolve: () => heard.push(`${i}`), reject })
  }
  return { waiters, heard }
}

describe('those who wait', () => {
  test('are told in the order they came', () => {
    const { waiters, heard } = waiting(3)
    waiters.resolve()
    expect([waiters.size, heard]).toEqual([3, ['0', '1', '2']])
  })

  test('are told the error', () => {
    const { waiters, heard } = waiting(2)
    waiters.reject(new Error('full'))
    expect(heard).toEqual(['0 full', '1 full'])
  })

  test('are told in two halves, each once, the earlier ones first', () => {
    const { waiters, heard } = waiting(5)
    const later = waiters.halve()
    expect([waiters.size, later.size]).toEqual([2, 3])
    waiters.resolve()
    later.resolve()
    expect(heard).toEqual(['0', '1', '2', '3', '4'])
  })

  test('came over a time from the first to the last', () => {
    const now = vi.spyOn(performance, 'now')
    try {
      const waiters = new Waiters()
      expect(waiters.span).toBe(0)
      for (const time of [5, 7, 10]) {
        now.mockReturnValue(time)
        waiters.add({ resolve: () => undefined, reject: () => undefined })
      }
      expect(waiters.span).toBe(5)
    } finally {
      now.mockRestore()
    }
  })
})
