/**
 * A small shop whose sessions live in memory and are still there after a restart.
 *
 * In: PORT, SESSION_FILE and SESSION_SECRET from the environment. Out: the shop over HTTP, with a
 * user name, a view counter, a cart and one-time messages, all of them kept in the session.
 * It never writes a session itself: the store does, and gracefulShutdown closes it on Ctrl-C.
 */
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import express from 'express'
import session from 'express-session'
import { PersistentMemoryStore, gracefulShutdown } from 'persistent-memorystore'
import { products, shopPage, statsPage } from './views.js'

const { EXAMPLE_FAULTS, NODE_ENV, PORT = '3000', SESSION_FILE, SESSION_SECRET } = process.env
const snapshotPath =
  SESSION_FILE || fileURLToPath(new URL('./data/sessions.snapshot', import.meta.url))

// The secret signs the cookies. It has to be the same after a restart, or nobody is recognized.
if (!SESSION_SECRET) {
  if (NODE_ENV === 'production') {
    console.error('Set SESSION_SECRET: cookies signed with the example’s secret can be forged.')
    process.exit(1)
  }
  console.log('SESSION_SECRET is not set: using a well-known one, fit for trying this out only.')
}

const store = new PersistentMemoryStore({ snapshotPath })

const restored = await store.ready().catch((error) => {
  console.error(`The sessions could not be opened: ${error.message}`)
  process.exit(1)
})
const startedAt = new Date()

const app = express()
app.disable('x-powered-by')
app.use(express.urlencoded({ extended: false }))
app.use(
  session({
    store,
    secret: SESSION_SECRET || 'a well-known secret',
    resave: false,
    saveUninitialized: false,
    // For trying out, over plain HTTP. Over HTTPS add `secure: true`, and `app.set('trust proxy', 1)`
    // behind a proxy.
    cookie: { maxAge: 14 * 24 * 60 * 60 * 1000, sameSite: 'lax' },
  }),
)

/** Keeps a message for the next page this visitor sees, which may well be after a restart. */
function flash(req, message) {
  req.session.flash = [...(req.session.flash ?? []), message]
}

/** The cart is `{ [product id]: how many }`. Only ids of known products ever get into it. */
function changeCart(req, by) {
  const product = products.find(({ id }) => id === req.body?.product)
  if (!product) return
  const cart = { ...req.session.cart }
  const count = Math.max(0, (cart[product.id] ?? 0) + by)
  if (count === 0) delete cart[product.id]
  else cart[product.id] = count
  req.session.cart = cart
  flash(req, by > 0 ? `${product.name} is in your cart.` : `${product.name} taken out.`)
}

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  const { user, views, cart = {}, flash: messages = [] } = req.session
  delete req.session.flash
  res.send(shopPage({ user, views, cart, messages, restored, startedAt }))
})

app.post('/login', (req, res, next) => {
  const user = String(req.body?.user ?? '')
    .trim()
    .slice(0, 40)
  if (!user) {
    flash(req, 'Please enter a name.')
    return res.redirect(303, '/')
  }
  // A new id at log-in: one that somebody slipped to the visitor before is worth nothing then.
  const { views, cart } = req.session
  req.session.regenerate((error) => {
    if (error) return next(error)
    Object.assign(req.session, { user, views, cart })
    flash(req, `Welcome, ${user}. Stop the server and start it again: you stay logged in.`)
    res.redirect(303, '/')
  })
})

app.post('/cart/add', (req, res) => {
  changeCart(req, 1)
  res.redirect(303, '/')
})

app.post('/cart/remove', (req, res) => {
  changeCart(req, -1)
  res.redirect(303, '/')
})

app.post('/logout', (req, res, next) => {
  req.session.destroy((error) => {
    if (error) return next(error)
    res.clearCookie('connect.sid')
    res.redirect(303, '/')
  })
})

app.get('/stats', (req, res) => {
  const { user, flash: messages } = req.session
  res.send(statsPage({ user, messages: messages?.length ?? 0, stats: store.stats() }))
})

// Ways to die, for trying out what is left afterwards. Never switched on by default.
if (EXAMPLE_FAULTS === '1') {
  const after = (res, what) => res.on('finish', () => setImmediate(what)).sendStatus(202)
  app.post('/exit', (req, res) => after(res, () => process.exit(0)))
  app.post('/crash', (req, res) =>
    after(res, () => {
      throw new Error('a crash, as asked for')
    }),
  )
}

const server = createServer(app)
gracefulShutdown(server, store)
server.on('error', (error) => {
  console.error(`Can't listen: ${error.message}`)
  process.exit(1)
})
server.listen(Number(PORT), () => {
  console.log(
    `Restored ${restored.sessions} session${restored.sessions === 1 ? '' : 's'} in ${Math.round(restored.durationMs)} ms from ${snapshotPath}`,
  )
  console.log(`Listening on http://localhost:${server.address().port}`)
})
