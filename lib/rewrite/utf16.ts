/**
 * The text of a file that begins with the byte order mark of UTF-16, in either order.
 * @returns undefined for every other file
 * Source: https://www.unicode.org/faq/utf_bom.html#bom4
 */
export function utf16TextOf(bytes: Buffer): string | undefined {
  const even = bytes.subarray(0, bytes.length - (bytes.length % 2))
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return even.toString('utf16le')
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return Buffer.from(even).swap16().toString('utf16le')
  return undefined
}
