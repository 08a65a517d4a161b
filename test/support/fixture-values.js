/**
 * The session in fixtures/v1/values: everything a session can hold beside what JSON knows.
 */
export const values = () => ({
  cookie: { originalMaxAge: null, expires: null, path: '/' },
  text: ['', 'ASCII', 'caf\u00e9', '\u65e5\u672c', '\u{1f381}', 'lone \ud800'],
  numbers: [0, -0, 1.5, -1, NaN, Infinity, -Infinity, 2 ** 53, 1e300],
  bigint: 2n ** 80n,
  nothing: [undefined, null],
  date: new Date(Date.UTC(2026, 0, 1)),
  invalid: new Date(NaN),
  regexp: /a(b)?/giu,
  map: new Map([
    ['key', { deep: new Map([[1, 'one']]) }],
    [{ an: 'object' }, [1, 2]],
  ]),
  set: new Set(['a', 1, new Set()]),
  buffer: Buffer.from([0, 127, 255]),
  bytes: Uint8Array.of(1, 2, 3),
  floats: Float64Array.of(0.5, -0),
  memory: Uint8Array.of(9, 8).buffer,
  view: new DataView(Uint8Array.of(7, 6, 5).buffer, 1),
  'a key \u{1f381}': { __proto__: null, constructor: 'own', nested: [[[{}]]] },
})
