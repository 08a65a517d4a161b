/**
 * The app that is deployed: log in, fill a cart, log out, all of it kept in the session.
 *
 * In: PORT, VERSION, SESSION_FILE and SESSION_SECRET from the environment. Out: JSON over HTTP, and
 * one line with its port once it is ready. It takes no notice of other versions of itself: the store
 * follows the one that is running, and takes the file over when that one stops.
 */
import { createServer } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import express from 'express'
import session from 'express-session'
import { PersistentMemoryStore, gracefulShutdown } from 'persistent-memorystore'

const { PORT = '3000', SESSION_FILE = 'sessions.snapshot', SESSION_SECRET, VERSION } = process.env
if (!SESSION_SECRET) {
  console.error('Set SESSION_SECRET, the same for all versions: it signs the cookies.')
  process.exit(1)
}

const store = new PersistentMemoryStore({ snapshotPath: SESSION_FILE })
store.on('error', (error) => console.error(`v${VERSION}: ${error.code} ${error.message}`))

// Until then a version has not seen the sessions there are, and must get no requests.
await store.ready()

const app = express()
app.disable('x-powered-by')
app.use((_req, res, next) => {
  res.set('x-version', VERSION)
  next()
})
app.use(express.urlencoded({ extended: false }))
app.use(
  session({
    store,
    secret: SESSION_SECRET,
    resave: false,
    saveUninitialized: false,
    // For trying out, over plain HTTP. Over HTTPS add `secure: true`, and `app.set('trust proxy', 1)`
    // behind a proxy.
    cookie: { maxAge: 14 * 24 * 60 * 60 * 1000, sameSite: 'lax' },
  }),
)

const show = ({ session: { user = null, cart = [] } }) => ({ user, cart })

app.get('/me', (req, res) => {
  res.json(show(req))
})

app.post('/login', async (req, res, next) => {
  const user = String(req.body?.user ?? '')
  if (!user) return res.status(400).json({ error: 'Expected a user' })
  // What checking a password takes.
  await wait(20 * Math.random())
  req.session.regenerate((error) => {
    if (error) return next(error)
    req.session.user = user
    req.session.cart = []
    res.json(show(req))
  })
})

app.post('/cart', async (req, res) => {
  if (!req.session.user) return res.status(401).json({ error: 'Expected a login' })
  // What asking a warehouse takes: some of these are under way whenever a version stops.
  await wait(20 * Math.random())
  req.session.cart.push(String(req.body?.item))
  res.json(show(req))
})

app.post('/logout', (req, res, next) => {
  req.session.destroy((error) => {
    if (error) return next(error)
    res.json({ user: null, cart: [] })
  })
})

const server = createServer(app)
gracefulShutdown(server, store)
server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`Listening on http://127.0.0.1:${server.address().port}`)
})
