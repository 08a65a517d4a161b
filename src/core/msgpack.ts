/**
 * msgpackr without its native part, so that what bodies mean never hangs on an optional install.
 * The entry that leaves it out has types that don't resolve; those of the main entry are its own.
 */
import type * as msgpackr from 'msgpackr'
import * as entry from 'msgpackr/pack'

export const { Packr, RESERVE_START_SPACE, RESET_BUFFER_MODE, REUSE_BUFFER_MODE } =
  entry as unknown as typeof msgpackr
/** An instance of {@link Packr}. */
export type Packer = msgpackr.Packr

/** Plain MessagePack, as headers and footers are written in: maps, no records. */
export const plain = new Packr({ useRecords: false, mapsAsObjects: true, variableMapSize: true })
