/**
 * What a store tells of, and express-session's Store with types for it, so that editors and compilers
 * know what a listener gets.
 */
import type { EventEmitter } from 'node:events'
import session from 'express-session'
import type { MergeReport } from './core/follow.js'
import type { StoreError } from './core/errors.js'
import type { Ownership } from './core/ownership.js'
import type { SnapshotReport } from './core/persistence.js'
import type { RestoreReport } from './core/recover.js'

/** The events of a store and what their listeners get. */
export interface StoreEvents {
  /** The sessions have been restored. */
  ready: [report: RestoreReport]
  /** A snapshot has been written. */
  snapshot: [report: SnapshotReport]
  /** A session has expired, and somebody has noticed. An id is a secret: don't log it. */
  expired: [sid: string]
  /** A limit has dropped a session. An id is a secret: don't log it. */
  evicted: [sid: string]
  /** This process has taken the files over. */
  owner: [ownership: Ownership]
  /** This process waits for the owner of the files; once more after `takeoverTimeout`. */
  follow: [ownership: Ownership]
  /** What another process, or a person, wrote has been merged. */
  merge: [report: MergeReport]
  /** Something failed in the background. Where nobody listens, a process warning says so. */
  error: [error: StoreError]
}

type Name = keyof StoreEvents
type Listener<E extends Name> = (...payload: StoreEvents[E]) => void
/** What express-session and others listen to. */
type OtherName = string | symbol
type OtherListener = Parameters<session.Store['on']>[1]

/** What emits a store's events without being that store. */
export interface StoreEmitter extends EventEmitter {
  on<E extends Name>(event: E, listener: Listener<E>): this
  on(event: OtherName, listener: OtherListener): this
  once<E extends Name>(event: E, listener: Listener<E>): this
  once(event: OtherName, listener: OtherListener): this
  off<E extends Name>(event: E, listener: Listener<E>): this
  off(event: OtherName, listener: OtherListener): this
}

export abstract class StoreWithEvents extends session.Store implements StoreEmitter {
  /** Calls `listener` at each `event`. What it throws is an uncaught exception of the process. */
  override on<E extends Name>(event: E, listener: Listener<E>): this
  override on(event: OtherName, listener: OtherListener): this
  override on(event: OtherName, listener: OtherListener): this {
    return super.on(event, listener)
  }

  /** Calls `listener` at the next `event`, as {@link on} does at each. */
  override once<E extends Name>(event: E, listener: Listener<E>): this
  override once(event: OtherName, listener: OtherListener): this
  override once(event: OtherName, listener: OtherListener): this {
    return super.once(event, listener)
  }

  /** Takes a listener back. */
  override off<E extends Name>(event: E, listener: Listener<E>): this
  override off(event: OtherName, listener: OtherListener): this
  override off(event: OtherName, listener: OtherListener): this {
    return super.off(event, listener)
  }
}
