import { parseAllDocuments } from 'yaml'
import type { RepositoryPath } from './repository.ts'
import type { Hit } from './spellings.ts'

/** What cannot be parsed in reasonable time is left alone where an edit could break it. */
const largest = 5e6

/**
 * Whether YAML or JSON that could be parsed could not be after its edits, or would say one thing twice.
 * @param hits what was replaced, by its places in the old text
 * @returns why; undefined when nothing is broken
 */
export function breaksStructure(
  path: RepositoryPath,
  before: Buffer,
  after: Buffer,
  hits: readonly Hit[],
): string | undefined {
  if (/\.json$/i.test(path) && parsesAsJson(before) && !parsesAsJson(after)) return 'it would be no JSON any more'
  if (!/\.(ya?ml|json)$/i.test(path)) return undefined
  const text = before.toString('latin1')
  if (hits.every((hit) => isPlainValue(text, hit))) return undefined
  if (before.length > largest)
    return `larger than ${largest / 1e6} MB, and an address in it is a key: change it by hand`
  if (!parsesAsYaml(before) || parsesAsYaml(after)) return undefined
  return 'it could not be parsed any more, or would have one key twice: change it by hand'
}

/**
 * Digits, hyphens and dots that take the place of such cannot change how YAML is parsed, unless they are part of a key, which could then be
 * there twice, or of an anchor, an alias, a tag or a directive. To parse takes a hundred times as long as to look.
 */
function isPlainValue(text: string, { start, end, spelling }: Hit): boolean {
  if (spelling === 'IPv6' || spelling === 'in IPv6') return false
  const before = text.slice(text.lastIndexOf('\n', start - 1) + 1, start)
  const lineEnd = text.indexOf('\n', end)
  const behind = text.slice(end, lineEnd < 0 ? text.length : lineEnd)
  const maybeKey = /:(?:\s|$)|["']\s*:/.test(behind) || /(?:^|\s)\?(?:\s|$)/.test(before)
  return !maybeKey && !/[&*!%]\S*$/.test(before)
}

function parsesAsJson(bytes: Buffer): boolean {
  try {
    JSON.parse(withoutMark(bytes.toString()))
    return true
  } catch {
    return false
  }
}

function parsesAsYaml(bytes: Buffer): boolean {
  try {
    const documents = parseAllDocuments(withoutMark(bytes.toString()), { logLevel: 'silent' })
    return !Array.isArray(documents) || documents.every(({ errors }) => errors.length === 0)
  } catch {
    return false
  }
}

function withoutMark(text: string): string {
  return text.replace(/^\uFEFF/, '')
}
