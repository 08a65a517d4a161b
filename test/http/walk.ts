/**
 * One walk through an app with sessions, for any framework: come in, log in, fill a cart, leave a
 * message for later, meet a restart, log out, meet another. In: how to serve an app over a store.
 * The frameworks' apps share `act`, so that they differ in the session middleware alone.
 */
import { expect } from 'vitest'
import type { PersistentMemoryStore } from '../../src/index.js'
import { Client } from './client.js'
import type { Stage, Visit } from './stage.js'

/** A request as an app of any framework hands it to `act`. */
export interface Turn {
  method: string
  path: string
  form: Record<string, string>
  session: () => Visit
  regenerate: () => Promise<unknown>
  destroy: () => Promise<unknown>
}

export type Serve = (
  store: PersistentMemoryStore,
) => Promise<{ origin: string; stop: () => Promise<unknown> }>

/** What the app does; the answer is sent as JSON. */
export async function act(turn: Turn): Promise<unknown> {
  const session = turn.session()
  switch (`${turn.method} ${turn.path}`) {
    case 'POST /login': {
      await turn.regenerate()
      turn.session().user = turn.form.user ?? ''
      return { user: turn.session().user }
    }
    case 'POST /cart': {
      session.cart = [...(session.cart ?? []), turn.form.item ?? '']
      return { cart: session.cart }
    }
    case 'POST /flash': {
      session.flash = turn.form.text ?? ''
      return {}
    }
    case 'POST /logout': {
      await turn.destroy()
      return {}
    }
    case 'GET /flash': {
      const { flash } = session
      delete session.flash
      return { flash }
    }
    default: {
      session.count = (session.count ?? 0) + 1
      return { user: session.user, count: session.count, cart: session.cart }
    }
  }
}

/** Walks through the app that `serve` starts, with two restarts on the way. */
export async function walk(stage: Stage, serve: Serve): Promise<void> {
  let store = await stage.open()
  let server = await serve(store)
  let ada = new Client(server.origin)
  let ben = new Client(server.origin)

  const restart = async () => {
    await server.stop()
    await store.close()
    store = await stage.open()
    server = await serve(store)
    ada = ada.at(server.origin)
    ben = ben.at(server.origin)
  }
  const seen = async (client: Client, path = '/') => (await client.get(path)).json()

  expect(await seen(ada)).toEqual({ count: 1 })
  expect(await seen(ada)).toEqual({ count: 2 })
  const before = ada.cookie
  expect((await ada.post('/login', { user: 'ada' })).json()).toEqual({ user: 'ada' })
  expect(ada.cookie).not.toBe(before)
  expect(await seen(ada)).toEqual({ user: 'ada', count: 1 })
  await ada.post('/cart', { item: 'tea' })
  await ada.post('/cart', { item: 'кружка ☕' })
  await ada.post('/flash', { text: 'see you' })
  await ben.post('/login', { user: 'ben' })
  await ben.post('/logout')
  expect(await seen(ben)).toEqual({ count: 1 })

  await restart()
  expect(await seen(ada)).toEqual({ user: 'ada', count: 2, cart: ['tea', 'кружка ☕'] })
  expect(await seen(ada, '/flash')).toEqual({ flash: 'see you' })
  expect(await seen(ada, '/flash')).toEqual({})
  expect(await seen(ben)).toEqual({ count: 2 })

  const loggedIn = ada.cookie
  await ada.post('/logout')
  await restart()
  expect((await ada.get('/', { cookie: loggedIn })).json()).toEqual({ count: 1 })
  expect(await seen(ben)).toEqual({ count: 3 })

  await store.clear()
  await restart()
  expect(await seen(ben)).toEqual({ count: 1 })
}
