/** Text that takes more than a byte a character. V8 knows without looking where there can be none. */
export const WIDE = /[^\0-\xff]/
