/** connect-redis over redis, with a server of the bench's own, on loopback, with an append-only file. */
import { packageVersion, whyMissing } from './package.js'
import { RedisServer, redisServerVersion } from '../lib/redis-server.js'

/** @param {'everysec' | 'always'} appendfsync @returns {import('./index.js').System} */
function system(appendfsync) {
  return {
    id: `connect-redis-${appendfsync}`,
    label: `connect-redis, ${appendfsync}`,
    durable: appendfsync === 'always',
    version: () => `${packageVersion('connect-redis')} (${redisServerVersion()})`,
    missing: () => whyMissing(check),
    host: (folder) =>
      RedisServer.start(folder, ['--appendonly', 'yes', '--appendfsync', appendfsync]),
    open: (place) => open(place, appendfsync),
  }
}

async function check() {
  await import('connect-redis')
  await import('redis')
  if (!redisServerVersion()) throw new Error('there is no redis-server on the path')
}

/**
 * @param {import('./index.js').Place} place @param {string} appendfsync
 * @returns {Promise<import('./index.js').Opened>}
 */
async function open({ port }, appendfsync) {
  const { RedisStore } = await import('connect-redis')
  const { createClient } = await import('redis')
  const client = createClient({ socket: { host: '127.0.0.1', port } })
  await client.connect()
  return {
    store: new RedisStore({ client }),
    close: () => client.close(),
    beginFill: () => client.configSet('appendfsync', 'no'),
    endFill: () => client.configSet('appendfsync', appendfsync),
  }
}

export const redisEverysec = system('everysec')
export const redisAlways = system('always')
