/** The sessions of the table of the same name, each made as `sessions.js` wants shapes. */
import { payload, shapeOf } from './sessions.js'

/** @typedef {import('./random.js').Random} Random */

const cookie = { originalMaxAge: 86_400_000, expires: '', httpOnly: true, path: '/' }

const scripts = [
  'Здравствуйте, ваш заказ готов к отправке и будет доставлен завтра',
  '您的订单已经准备好发货，明天送达，感谢您的购买',
  'ご注文の商品は発送準備が整い、明日お届けする予定です',
  'طلبك جاهز للشحن وسيتم تسليمه غدا شكرا لك',
  'आपका ऑर्डर भेजने के लिए तैयार है और कल पहुँच जाएगा',
  '🎁📦🚚 ✅ Größe Ærø naïve coöperation żółć',
]

/** @param {Random} random keys that are data, two levels deep */
function neverRepeating(random) {
  /** @type {Record<string, any>} */
  const state = {}
  for (let i = 0; i < 8; i++) {
    /** @type {Record<string, any>} */
    const inner = {}
    for (let j = 0; j < 3; j++) inner[`k${random.token(6)}`] = random.integer(4)
    state[`item-${random.token(8)}`] = { ...inner, name: random.token(10) }
  }
  return { state }
}

/** @param {Random} random */
function beyondAscii(random) {
  const text = () => `${random.pick(scripts)} ${random.integer(4)}`
  return {
    profile: { name: text(), city: text(), about: `${text()} ${text()}` },
    messages: Array.from({ length: 4 }, () => ({ from: text(), text: text(), read: false })),
    locale: 'ru-RU',
  }
}

/** One shape after another: every session has a few of the fields that the ones before it had. */
function changing() {
  let made = 0
  return (/** @type {Random} */ random) => {
    const version = Math.floor(made++ / 5)
    /** @type {Record<string, any>} */
    const fields = {}
    for (let i = 0; i < 10; i++) fields[`field${version + i}`] = random.integer(5)
    return { version, user: random.hex(24), fields }
  }
}

/** @param {number} [rows] how many of its rows are kept */
function report(rows) {
  const session = payload('large-report')
  session.report.rows = session.report.rows.slice(0, rows)
  return shapeOf(session)
}

/** @param {(random: Random) => any} make @returns {import('./sessions.js').Shape} */
const shape = (make) => ({ make, cookie })

/** @typedef {{ label: string, count: number, shapes: () => import('./sessions.js').Shape[] }} HardShape */

export const hardShapes = {
  'never-repeating': {
    label: 'keys that never repeat',
    count: 20_000,
    shapes: () => [shape(neverRepeating)],
  },
  large: { label: '12 KB each', count: 5_000, shapes: () => [report(325)] },
  'beyond-ascii': { label: 'text beyond ASCII', count: 20_000, shapes: () => [shape(beyondAscii)] },
  changing: { label: 'a changing shape', count: 20_000, shapes: () => [shape(changing())] },
  report: { label: 'large-report', count: 5_000, shapes: () => [report()] },
}
