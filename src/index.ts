/** The public names. */
export { PersistentMemoryStore } from './store.js'
export type { Callback } from './answer.js'
export type { StoreEvents } from './events.js'
export type { StoreStats } from './store.js'
export { gracefulShutdown } from './shutdown.js'
export type { ShutdownOptions } from './shutdown.js'
export { StoreError } from './core/errors.js'
export type { ArgumentErrorCode, StoreErrorCode, WarningCode } from './core/errors.js'
export type {
  Dispose,
  DisposeReason,
  Durability,
  PersistentMemoryStoreOptions,
  Serializer,
  TtlFunction,
} from './core/options.js'
export type { SnapshotReport, SnapshotStats } from './core/persistence.js'
export type { MergeReport } from './core/follow.js'
export type { Ownership, Role } from './core/ownership.js'
export type { FileReport } from './core/reading.js'
export type { RestoreReport } from './core/recover.js'
