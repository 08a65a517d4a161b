/** The `express4` alias has no types of its own; what these tests use of it is as in express 5. */
declare module 'express4' {
  import express from 'express'
  export default express
}
