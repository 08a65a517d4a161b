/** The command line of `run.js`. */
import { parseArgs } from 'node:util'

/** @typedef {{ quick: boolean, only: string[], out?: string }} Arguments */

/** @param {readonly string[]} known the tables' names @returns {Arguments} */
export function readArguments(known) {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      out: { type: 'string' },
    },
  })
  const only = values.only ? values.only.split(',') : [...known]
  const unknown = only.find((name) => !known.includes(name))
  if (unknown) throw new Error(`No table is called ${unknown}. There are: ${known.join(', ')}`)
  return { quick: values.quick, only, ...(values.out === undefined ? {} : { out: values.out }) }
}
