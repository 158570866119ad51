// Whether what looks like an address stands for itself, or is a part of something longer. Positions are those of latin1 text, which
// has one character a byte.

/** \n, \t, \b … of strings and regular expressions, \u0022, \x22, %2F, and the end of a terminal's colour; but %2E is a dot. */
const endOfEscape = /(?:\\[bBnrtfvsSWD]|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|%(?!2[Ee])[0-9A-Fa-f]{2}|\[[0-9;]*m)$/
const escapeReach = 12

/** For what may stand anywhere. */
export const never = /(?!)/

/** How what is found must be set apart on either side. */
export interface Boundary {
  /** what may not stand right before it, unless that is the end of an escape */
  readonly notBefore: RegExp
  /** what may not stand right behind it */
  readonly notBehind: RegExp
}

/** Not in a longer number, a longer dotted string, a version or a name. `..` is a range, and a dot at the end ends a sentence. */
export const dotted: Boundary = {
  notBefore: /[0-9A-Za-z]$|(?<!\.)\.$/,
  notBehind: /^(?:[0-9A-Za-z]|(?:\\*\.|%2[Ee])[0-9A-Za-z_-]|\\+[dw]|\[(?:0-9|\\+d))/,
}

/** As part of a host name: between hyphens and dots, but not in a longer row of numbers. */
export const dashed: Boundary = {
  notBefore: /[0-9A-Za-z]$|[0-9]-$/,
  notBehind: /^(?:[0-9A-Za-z]|-[0-9]|\\+[dw])/,
}

/** In a DNS name whose other labels are no numbers. What comes behind is looked at by the pattern. */
export const labels: Boundary = { notBefore: /[0-9A-Za-z]$|[0-9]\\*\.$/, notBehind: never }

/** The digits behind 0x, which itself must stand apart. */
export const hexNumber: Boundary = { notBefore: /[0-9A-Za-z_]0[xX]$/, notBehind: /^[0-9A-Za-z_]/ }

/** The last groups of an IPv6 address. */
export const hexTail: Boundary = { notBefore: /[0-9A-Fa-f:]::ffff:$/i, notBehind: /^[0-9A-Za-z:]/ }

export function isApart(text: string, start: number, end: number, { notBefore, notBehind }: Boundary): boolean {
  const before = text.slice(Math.max(0, start - escapeReach), start)
  if (notBefore.test(before) && !endOfEscape.test(before)) return false
  return !notBehind.test(text.slice(end, end + escapeReach))
}

/** The longest run of what names are made of, around a place: `node-192.168.1.54.yaml`. */
export function nameAround(text: string, start: number, end: number): string {
  const before = /[0-9A-Za-z._-]*$/.exec(text.slice(Math.max(0, start - 255), start))?.[0] ?? ''
  const behind = /^[0-9A-Za-z._-]*/.exec(text.slice(end, end + 255))?.[0] ?? ''
  return before + text.slice(start, end) + behind
}
