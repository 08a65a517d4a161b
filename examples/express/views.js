/**
 * The pages of the shop. In: plain values. Out: complete HTML documents without any external asset.
 * Whatever is put into a page goes through `html`, which escapes it; nothing else makes markup.
 */

/** What the shop sells; prices in cents. */
export const products = [
  { id: 'beans', name: 'Coffee beans', price: 1450, note: 'Washed, medium roast, 500 g' },
  { id: 'kettle', name: 'Gooseneck kettle', price: 5900, note: 'Brushed steel, 0.9 l' },
  { id: 'grinder', name: 'Hand grinder', price: 8400, note: 'Conical burrs, 18 steps' },
  { id: 'filters', name: 'Paper filters', price: 490, note: 'Unbleached, 100 of them' },
]

const escapes = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

class Markup {
  constructor(text) {
    this.text = text
  }
}

/** A template tag: escapes every value but markup it made itself; lists are joined. */
function html(strings, ...values) {
  const render = (value) => {
    if (Array.isArray(value)) return value.map(render).join('')
    if (value instanceof Markup) return value.text
    return String(value ?? '').replace(/[&<>"']/g, (character) => escapes[character])
  }
  return new Markup(strings.reduce((text, part, i) => text + render(values[i - 1]) + part))
}

const money = (cents) => `€${(cents / 100).toFixed(2)}`
const plural = (count, word) => `${count} ${word}${count === 1 ? '' : 's'}`

const style = new Markup(`
  :root { color-scheme: light dark; --paper: #faf8f4; --card: #fff; --ink: #23201c; --soft: #716a60;
    --line: #e5dfd5; --accent: #8a4b23; --on-accent: #fff; --good: #e7f2e4; --note: #fdf1d8 }
  @media (prefers-color-scheme: dark) { :root { --paper: #191715; --card: #23201d; --ink: #efeae2;
    --soft: #a59c8f; --line: #3a352f; --accent: #e0a273; --on-accent: #23150b; --good: #22301f;
    --note: #3a2f18 } }
  * { box-sizing: border-box }
  body { margin: 0; background: var(--paper); color: var(--ink);
    font: 1rem/1.55 ui-sans-serif, system-ui, sans-serif }
  header, main, footer { max-width: 60rem; margin: 0 auto; padding: 1rem 1.25rem }
  header { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem 1.25rem }
  header strong { font-size: 1.15rem; margin-right: auto }
  a { color: var(--accent) }
  h2 { font-size: 1.05rem; margin: 0 0 .75rem }
  p { margin: .25rem 0 }
  small, .soft { color: var(--soft) }
  .banner, .message { padding: .65rem .9rem; border-radius: .6rem; margin: 0 0 .75rem }
  .banner { background: var(--good) }
  .message { background: var(--note) }
  .columns { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)) }
  .card { background: var(--card); border: 1px solid var(--line); border-radius: .8rem; padding: 1.1rem }
  ul { list-style: none; margin: 0; padding: 0 }
  li { display: flex; align-items: center; gap: .75rem; padding: .55rem 0; border-top: 1px solid var(--line) }
  li:first-child { border-top: 0 }
  li > div { flex: 1; min-width: 0 }
  form { display: inline-flex; gap: .5rem; margin: 0; flex-wrap: wrap }
  input, button { font: inherit; padding: .4rem .8rem; border-radius: .5rem; border: 1px solid var(--line) }
  input { background: var(--paper); color: inherit; min-width: 0 }
  button { background: var(--accent); color: var(--on-accent); border-color: transparent; cursor: pointer }
  button.quiet { background: transparent; color: inherit; border-color: var(--line) }
  :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
  .number { font-size: 2rem; font-weight: 600; line-height: 1.2 }
  .table { overflow-x: auto }
  table { border-collapse: collapse; width: 100% }
  th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-top: 1px solid var(--line); vertical-align: top }
  tr:first-child > * { border-top: 0 }
  th { font-weight: 500; color: var(--soft); white-space: nowrap; width: 1% }
  td { overflow-wrap: anywhere; font-variant-numeric: tabular-nums }
`)

function page({ title, user, body }) {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <link rel="icon" href="data:," />
        <title>${title}</title>
        <style>
          ${style}
        </style>
      </head>
      <body>
        <header>
          <strong>Slow Coffee</strong>
          <a href="/">Shop</a>
          <a href="/stats">Sessions</a>
          ${
            user
              ? html`<span class="soft">Logged in as <b data-user>${user}</b></span>
                  <form method="post" action="/logout">
                    <button class="quiet">Log out</button>
                  </form>`
              : html`<form method="post" action="/login">
                  <input
                    name="user"
                    aria-label="Your name"
                    placeholder="Your name"
                    maxlength="40"
                    required
                  />
                  <button>Log in</button>
                </form>`
          }
        </header>
        <main>${body}</main>
        <footer>
          <small>Sessions kept in memory and on disk by persistent-memorystore.</small>
        </footer>
      </body>
    </html>`.text
}

/** What happened when the server started, in one sentence; takes the report of `store.ready()`. */
function startBanner({ sessions, expired, damaged, durationMs }, startedAt) {
  const time = html`<time datetime="${startedAt.toISOString()}"
    >${startedAt.toLocaleTimeString()}</time
  >`
  const also = [
    expired > 0 && `${expired} had expired`,
    damaged > 0 && `${plural(damaged, 'record')} could not be read`,
  ].filter(Boolean)
  const what =
    sessions > 0
      ? html`Restored ${plural(sessions, 'session')} in ${Math.round(durationMs)} ms`
      : 'No sessions to restore'
  return html`<p class="banner" data-restored="${sessions}">
    ${what} when the server started at ${time}${also.length > 0 ? ` (${also.join(', ')})` : ''}.
  </p>`
}

function cartCard(cart) {
  const lines = products.filter(({ id }) => cart[id] > 0)
  const total = lines.reduce((sum, { id, price }) => sum + price * cart[id], 0)
  return html`<section class="card">
    <h2>Your cart</h2>
    ${lines.length === 0 ? html`<p class="soft">Nothing in it yet.</p>` : ''}
    <ul>
      ${lines.map(
        ({ id, name }) =>
          html`<li data-cart="${id}">
            <div>${name} <span class="soft">× ${cart[id]}</span></div>
            <form method="post" action="/cart/remove">
              <button class="quiet" name="product" value="${id}">Remove</button>
            </form>
          </li>`,
      )}
    </ul>
    ${total > 0 ? html`<p><b>Total ${money(total)}</b></p>` : ''}
  </section>`
}

/** The front page. `cart` maps product ids to counts, `messages` are shown once. */
export function shopPage({ user, views, cart, messages, restored, startedAt }) {
  const body = html`${startBanner(restored, startedAt)}
    ${messages.map((message) => html`<p class="message" role="status">${message}</p>`)}
    <div class="columns">
      <section class="card">
        <h2>For sale</h2>
        <ul>
          ${products.map(
            ({ id, name, note, price }) =>
              html`<li>
                <div>
                  ${name} <span class="soft">${money(price)}</span><br /><small>${note}</small>
                </div>
                <form method="post" action="/cart/add">
                  <button name="product" value="${id}">Add</button>
                </form>
              </li>`,
          )}
        </ul>
      </section>
      ${cartCard(cart)}
      <section class="card">
        <h2>Your visits</h2>
        <p class="number" data-views>${views}</p>
        <p class="soft">
          Press Ctrl-C in the terminal and start the server again: the number goes on from here, the
          cart is still full and you are still logged in.
        </p>
      </section>
    </div>`
  return page({ title: 'Slow Coffee', user, body })
}

/** Any value as one readable cell: bytes, times and nested objects included. */
function cell(name, value) {
  if (value === null || value === undefined) return html`<span class="soft">none</span>`
  if (value instanceof Error) return value.message
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'object') return rows(value)
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value !== 'number') return value
  if (/bytes$|size$/i.test(name)) return `${value.toLocaleString('en')} B`
  if (/ms$/i.test(name)) return `${value.toLocaleString('en', { maximumFractionDigits: 1 })} ms`
  if (/at$/i.test(name) && value > 1e12) return new Date(value).toISOString()
  return value.toLocaleString('en')
}

function rows(values) {
  const entries = Object.entries(values)
  if (entries.length === 0) return html`<span class="soft">none</span>`
  return html`<table>
    ${entries.map(([name, value]) => {
      const label = name
        .replace(/Ms$/, '')
        .replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
      return html`<tr>
        <th scope="row">${label}</th>
        <td>${cell(name, value)}</td>
      </tr>`
    })}
  </table>`
}

/** `store.stats()` as a page; `messages` is how many are waiting for the front page. */
export function statsPage({ user, messages, stats }) {
  const body = html`${messages > 0 ? html`<p class="message">${plural(messages, 'message')} waiting in the shop.</p>` : ''}
    <section class="card">
      <h2>The session store, as it is now</h2>
      <div class="table">${rows(stats)}</div>
    </section>`
  return page({ title: 'Sessions · Slow Coffee', user, body })
}
