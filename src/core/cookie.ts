/**
 * Cookie ⇄ shape and expiry.
 *
 * Nearly every session of an app carries the same cookie but for its expiry, so what is the same
 * is kept once, as an interned frozen shape, and the expiry apart, as a number. That is why a touch
 * re-encodes nothing. Pure: no clock of its own, no I/O. What a cookie holds is what its own
 * `toJSON` says, as JSON would carry it.
 */
import { types } from 'node:util'
import { LATEST_DATE } from './clock.js'
import { withCode } from './errors.js'
import { ObjectMaker } from './object-maker.js'

/** How `expires` was written, so that it comes back in the same form. */
type ExpiresForm = 'absent' | 'null' | 'false' | 'date' | 'other'

/** All of a cookie but the moment it expires. Interned: equal cookies share one. */
export interface CookieShape {
  readonly form: ExpiresForm
  /** Every field but `expires`, in order; with form `'other'` that one too, as it was. */
  readonly keys: readonly string[]
  readonly values: readonly unknown[]
  /**
   * Makes a cookie of them, with room for `expires`; not there where a field holds an object, which
   * each reader must get a copy of, or is named `__proto__`.
   */
  readonly maker: ObjectMaker | undefined
}

const INTERNED_MOST = 4096

/** Interns cookie shapes. `expires` holds the second half of what the last `of` found. */
export class CookieShapes {
  /** Epoch milliseconds of the cookie last given to {@link of}; NaN where it names no moment. */
  expires = NaN
  /** `maxAge` in milliseconds of that cookie where it has no `expires`; NaN without one. */
  maxAge = NaN
  /** By {@link shapeText}. */
  #interned = new Map<string, CookieShape>()
  /** What shapes with the same keys share, by these. */
  #alike = new Map<string, Pick<CookieShape, 'keys' | 'maker'>>()
  /** The shape found last: most likely the next one's too. */
  #last: CookieShape | undefined

  /**
   * The shape of `cookie`; its expiry is then in `expires` and `maxAge`.
   *
   * @param near the shape the session had: returned at once where nothing changed
   */
  of(cookie: object, near?: CookieShape): CookieShape {
    const toJSON = (cookie as { toJSON?: unknown }).toJSON
    const plain = (typeof toJSON === 'function' ? toJSON.call(cookie, 'cookie') : cookie) as unknown
    const fields = (typeof plain === 'object' && plain !== null ? plain : {}) as Fields
    const form = this.#readExpires(fields['expires'])
    const { expires } = this
    const maxAge = form === 'date' ? undefined : fields['maxAge']
    const shape = this.#find(form, fields, near)
    // A getter of the cookie may have set another session meanwhile.
    this.expires = expires
    this.maxAge = typeof maxAge === 'number' ? maxAge : NaN
    return shape
  }

  /** The shape that a file carries as `text`; throws where the text is not one. */
  parse(text: string): CookieShape {
    const known = this.#interned.get(text)
    if (known) return known
    const parsed: unknown = JSON.parse(text)
    if (!Array.isArray(parsed) || parsed.length !== 2) throw new SyntaxError('not a cookie shape')
    const [form, fields] = parsed as [unknown, unknown]
    if (!isForm(form) || typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
      throw new SyntaxError('not a cookie shape')
    }
    // What can be parsed can still be too deep to be written again.
    JSON.stringify(parsed)
    return this.#keep(text, form, fields as Fields)
  }

  #readExpires(expires: unknown): ExpiresForm {
    this.expires = NaN
    if (expires === undefined) return 'absent'
    if (expires === null) return 'null'
    if (expires === false) return 'false'
    // The second asks C++, which takes longer than all the rest.
    if (expires instanceof Date || types.isDate(expires)) {
      this.expires = expires.getTime()
      return Number.isNaN(this.expires) ? 'null' : 'date'
    }
    if (typeof expires === 'number') {
      if (Number.isNaN(expires)) return 'null'
      if (Math.abs(expires) > LATEST_DATE) return 'other'
      this.expires = expires
      return 'date'
    }
    if (typeof expires === 'string') {
      this.expires = Date.parse(expires)
      return isCanonical(expires, this.expires) ? 'date' : 'other'
    }
    return 'other'
  }

  #find(form: ExpiresForm, fields: Fields, near: CookieShape | undefined): CookieShape {
    if (form !== 'other') {
      if (near?.form === form && sameFields(near, fields)) return near
      const last = this.#last
      if (last?.form === form && sameFields(last, fields)) return last
    }
    return (this.#last = this.#intern(form, fields))
  }

  #intern(form: ExpiresForm, source: Fields): CookieShape {
    const { expires, ...rest } = source
    const text = textOf(form, form === 'other' ? { ...rest, expires } : rest)
    return this.#interned.get(text) ?? this.parse(text)
  }

  #keep(text: string, form: ExpiresForm, fields: Fields): CookieShape {
    const values = Object.values(fields)
    const { keys, maker } = this.#likeOthers(form, Object.keys(fields))
    const shape = { form, keys, values, maker: values.some(isObject) ? undefined : maker }
    // Apps that compute maxAge afresh make shapes without end; those in use stay alive without us.
    if (this.#interned.size >= INTERNED_MOST) this.#interned.clear()
    this.#interned.set(text, shape)
    return shape
  }

  #likeOthers(form: ExpiresForm, keys: string[]): Pick<CookieShape, 'keys' | 'maker'> {
    const last = form === 'absent' || form === 'other' ? undefined : 'expires'
    const name = [last, ...keys].map((key) => JSON.stringify(key)).join()
    let alike = this.#alike.get(name)
    if (!alike) {
      alike = { keys, maker: keys.includes('__proto__') ? undefined : new ObjectMaker(keys, last) }
      if (this.#alike.size >= INTERNED_MOST) this.#alike.clear()
      this.#alike.set(name, alike)
    }
    return alike
  }
}

/** Of shapes written lately: most frames have the same few. */
const texts = new Map<CookieShape, string>()

/** A shape as JSON text: its identity, and what files carry. */
export function shapeText(shape: CookieShape): string {
  let text = texts.get(shape)
  if (text === undefined) {
    const { form, keys, values } = shape
    text = pairText(form, Object.fromEntries(keys.map((key, i) => [key, values[i]])))
    if (texts.size >= INTERNED_MOST) texts.clear()
    texts.set(shape, text)
  }
  return text
}

/** The expiry of a cookie that has one, unless something else ends the session earlier. */
export function impliedExpiry(cookie: CookieShape | undefined, expires: number): number {
  return cookie?.form === 'date' ? expires : NaN
}

/** A fresh cookie object as JSON would have brought it back. */
export function restoreCookie(shape: CookieShape, expires: number): Record<string, unknown> {
  const { form, values, maker } = shape
  const told = toldExpiry(form, expires)
  if (maker) {
    madeFrom = values
    made = 0
    return maker.make(nextField, 0, told)
  }
  const [, cookie] = JSON.parse(shapeText(shape)) as [string, Fields]
  if (form !== 'absent' && form !== 'other') cookie['expires'] = told
  return cookie
}

/**
 * The fields of the cookie that is being made, and how many of them it has. A closure for each cookie
 * would cost as much as the fields.
 */
let madeFrom: readonly unknown[] = []
let made = 0
const nextField = () => madeFrom[made++]

/** What a cookie says of its expiry, but for one of the form `'other'`, whose field it is. */
function toldExpiry(form: ExpiresForm, expires: number): string | false | null {
  if (form === 'date' && !Number.isNaN(expires)) return isoText(expires)
  return form === 'false' ? false : null
}

const DAY = 86_400_000
/** What a text of a moment is put together from. */
const MINUTES = Array.from({ length: 1440 }, (_, n) => `${two(Math.floor(n / 60))}:${two(n % 60)}:`)
const SECONDS = Array.from({ length: 60 }, (_, n) => `${two(n)}.`)
const MILLISECONDS = Array.from({ length: 1000 }, (_, n) => `${String(n).padStart(3, '0')}Z`)
let knownDay = NaN
let knownDate = ''

/**
 * What `toISOString` gives of a moment in epoch ms, in a seventh of the time: the sessions of an app
 * expire on few days, and every read asks for one.
 */
export function isoText(moment: number): string {
  const time = Math.trunc(moment)
  const day = Math.floor(time / DAY)
  if (day !== knownDay) {
    const text = new Date(day * DAY).toISOString()
    knownDate = text.slice(0, text.indexOf('T') + 1)
    knownDay = day
  }
  const ms = time - day * DAY
  const seconds = Math.floor(ms / 1000)
  const minutes = Math.floor(seconds / 60)
  const rest = SECONDS[seconds % 60]! + MILLISECONDS[ms % 1000]!
  return knownDate + (MINUTES[minutes]! + rest)
}

function two(n: number): string {
  return String(n).padStart(2, '0')
}

type Fields = Record<string, unknown>

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

function isForm(form: unknown): form is ExpiresForm {
  return (
    form === 'absent' || form === 'null' || form === 'false' || form === 'date' || form === 'other'
  )
}

/** Whether the text is what a Date of that moment would be written as. */
function isCanonical(text: string, moment: number): boolean {
  return !Number.isNaN(moment) && new Date(moment).toISOString() === text
}

// V8 answers this one without a look-up in a loop over the keys; `Object.hasOwn` takes as long as that.
const { hasOwnProperty } = Object.prototype as { hasOwnProperty: (key: string) => boolean }

/** Whether a cookie has the fields of a shape, in their order. */
function sameFields({ keys, values }: CookieShape, fields: Fields): boolean {
  let count = 0
  for (const key in fields) {
    if (!hasOwnProperty.call(fields, key)) continue
    const value = fields[key]
    if (value === undefined || key === 'expires') continue
    if (keys[count] !== key || values[count] !== value) return false
    count++
  }
  return count === keys.length
}

/** @throws TypeError `ERR_SESSION_ENCODE` for what JSON can't carry, such as a cycle */
function textOf(form: ExpiresForm, fields: Fields): string {
  try {
    return pairText(form, fields)
  } catch {
    // The error underneath may name keys of the session's.
    const message = 'Expected a cookie that JSON can carry, found that it can not'
    throw withCode(new TypeError(message), 'ERR_SESSION_ENCODE')
  }
}

/** JSON of the two, whatever `toJSON` some library has given to all arrays or objects. */
function pairText(form: ExpiresForm, fields: Fields): string {
  return `["${form}",${JSON.stringify({ __proto__: null, ...fields })}]`
}
