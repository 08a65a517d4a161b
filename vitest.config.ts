import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The long campaign has its own door: npm run test:faults.
    exclude: ['test/faults/**', '**/node_modules/**'],
    globalSetup: ['test/global-setup.ts'],
    pool: 'forks',
    // Many tests wait for processes and timers; more than the cores can be under way at once.
    maxWorkers: 5,
    // What is stuck is stuck for good; what only waits for a busy machine is given the time.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
