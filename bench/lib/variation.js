/**
 * In: a session as parsed from a payload file. Out: a function that makes sessions of the same shape
 * with other values: same keys, same types, same lengths of numbers and tokens. Opaque tokens are
 * random (no store can compress them), keys that are data (`sku-…`) never repeat, words that a real
 * site repeats (`EUR`, `admin`) stay. The cookie is left out: `sessions.js` makes it.
 */

/** @typedef {import('./random.js').Random} Random */
/** @typedef {(random: Random) => any} Make */

const words =
  'account answer basket blue bridge circle corner delivery desk evening field garden green harbour island kitchen letter market morning number office order paper parcel payment picture river silver station street summer table ticket travel window winter yellow'.split(
    ' ',
  )
const accented =
  'für Léa très bientôt große Grüße señora mañana żółta łódź été forêt Åse smørbrød çok güzel ďábel přání naïve façade'.split(
    ' ',
  )
const given = 'Zoë René Åsa Łukasz Jürgen Chloé Noël Søren Íñigo Märta Élise Jo'.split(' ')
const family = 'Müller Núñez Sørensen Kovač Dvořák Lefèvre Ng Öztürk Şahin Weiß'.split(' ')

const dataKey = /^[a-z]+-[\w-]{8}$/
const month = 30 * 24 * 3600 * 1000

/** @param {any} template @returns {Make} */
export function vary(template) {
  if (Array.isArray(template)) return varyArray(template)
  if (template !== null && typeof template === 'object') return varyObject(template)
  if (typeof template === 'string') return varyString(template)
  if (typeof template === 'number') return varyNumber(template)
  if (typeof template === 'boolean') return (random) => (random.next() & 1) === 0
  return () => template
}

/** @param {any[]} template @returns {Make} */
function varyArray(template) {
  const items = template.map(vary)
  return (random) => items.map((make) => make(random))
}

/** @param {Record<string, any>} template @returns {Make} */
function varyObject(template) {
  const keys = Object.keys(template)
  const values = keys.map((key) => varyMember(key, template[key]))
  if (keys.length > 2 && keys.every((key) => dataKey.test(key))) {
    const prefix = `${/** @type {string} */ (keys[0]).split('-')[0]}-`
    return (random) => {
      const object = dictionary()
      for (const make of values) object[prefix + random.token(8)] = make(random)
      return object
    }
  }
  return literal(keys, values)
}

/**
 * An object that V8 has already given up finding a shape for, as it soon does with keys that never
 * repeat; adding such keys to a new `{}` is slower by far.
 * @returns {Record<string, any>}
 */
function dictionary() {
  /** @type {Record<string, any>} */
  const object = { a: 0, b: 0 }
  delete object.a
  delete object.b
  return object
}

/**
 * An object literal written out, since building one key by key takes longer than most stores take
 * to keep it.
 * @param {string[]} keys @param {Make[]} values @returns {Make}
 */
function literal(keys, values) {
  const members = keys.map((key, i) => `${JSON.stringify(key)}: values[${i}](random)`)
  const make = new Function('values', `return (random) => ({ ${members.join(', ')} })`)
  return make(values)
}

/** @param {string} key @param {any} value @returns {Make} */
function varyMember(key, value) {
  if (key === 'name' || key === 'first_name' || key === 'last_name') {
    const names = key === 'last_name' ? family : given
    const whole = key === 'name'
    return (random) => (whole ? `${random.pick(given)} ${random.pick(family)}` : random.pick(names))
  }
  return vary(value)
}

/** @param {number} template @returns {Make} */
function varyNumber(template) {
  if (template >= 1e12) return (random) => Date.now() - random.below(month)
  const [whole = '', decimals = ''] = String(template).split('.')
  const scale = 10 ** decimals.length
  return (random) =>
    decimals === ''
      ? random.integer(whole.length)
      : random.integer(whole.length) + (1 + random.below(scale - 1)) / scale
}

/** @type {[RegExp, (text: string) => Make][]} */
const kinds = [
  [/^\d{4}-\d\d-\d\dT[\d:.]+Z$/, () => (r) => new Date(Date.now() - r.below(month)).toISOString()],
  [/^[\da-f]{24}$/, (text) => (random) => random.hex(text.length)],
  [/^(?=.*\d)(?=.*[A-Z])[\w-]{20,}$/, varyToken],
  [/@/, () => (random) => `${random.pick(words)}${random.below(1e6)}@example.com`],
  [/^(?:\w+_)?[\w-]+\.[\w.-]+$/, varyHost],
  [/^\/\w/, () => (random) => `/${random.pick(words)}?tab=${random.pick(words)}`],
  [/ /, varyText],
  [/\d/, varyDigits],
]

/** @param {string} template @returns {Make} */
function varyString(template) {
  const kind = kinds.find(([pattern]) => pattern.test(template))
  return kind ? kind[1](template) : () => template
}

/** @param {string} template @returns {Make} */
function varyToken(template) {
  const prefix = /^[a-z]+_/.exec(template)?.[0] ?? ''
  const length = template.length - prefix.length
  return (random) => prefix + random.token(length)
}

/** @param {string} template @returns {Make} */
function varyHost(template) {
  const [, prefix = '', rest = ''] = /^(\w+_)?[\w-]+(\..*)$/.exec(template) ?? []
  return (random) => `${prefix}${random.pick(words)}-${random.below(1e5)}${rest}`
}

/** @param {string} template @returns {Make} */
function varyText(template) {
  const list = /[^\0-\x7f]/.test(template) ? accented : words
  return concatenation(
    template.split(/( )/).map((part) => {
      if (/^\d+$/.test(part)) return varyDigits(part)
      return /\p{Letter}/u.test(part) ? (random) => random.pick(list) : () => part
    }),
  )
}

/** @param {string} template @returns {Make} */
function varyDigits(template) {
  return concatenation(
    template.split(/(\d+)/).map((part) => {
      if (!/\d/.test(part)) return () => part
      const zeros = '0'.repeat(part.length)
      return (random) => (zeros + random.below(10 ** part.length)).slice(-part.length)
    }),
  )
}

/** @param {Make[]} parts @returns {Make} */
function concatenation(parts) {
  return (random) => {
    let text = ''
    for (const part of parts) text += part(random)
    return text
  }
}
