import { isMap, isScalar, isSeq, type Pair, parseAllDocuments, type YAMLMap } from 'yaml'
import { type Base64Edit, inBase64 } from './edit.ts'
import { findIn, type Spelling } from './spellings.ts'

const looksLikeSecret = /kind["']?\s*:\s*["']?Secret\b/
const byteOrderMark = '\u00ef\u00bb\u00bf'
/** A manifest beyond that is not taken apart. */
const largest = 10e6

/** Addresses in the `data` of a Kubernetes Secret, behind base64. Source: https://kubernetes.io/docs/concepts/configuration/secret/ */
export interface SecretHit {
  /** the entry's name in the Secret */
  readonly entry: string
  readonly at: number
  readonly count: number
  /** undefined: it is written in several lines or unusually, so that encoding it again would not give the same */
  readonly edit: Base64Edit | undefined
}

/** @param text a whole file in latin1, so that positions are those of bytes */
export function findInSecrets(text: string, spellings: readonly Spelling[]): SecretHit[] {
  if (text.length > largest || !looksLikeSecret.test(text)) return []
  const offset = text.startsWith(byteOrderMark) ? byteOrderMark.length : 0
  const documents = parseAllDocuments(text.slice(offset), { logLevel: 'silent', uniqueKeys: false })
  if (!Array.isArray(documents)) return []
  return documents
    .filter(({ errors }) => errors.length === 0)
    .flatMap(({ contents }) => secretsIn(contents))
    .flatMap((secret) => entriesOf(secret).flatMap((pair) => hitsIn(pair, text, offset, spellings)))
}

function secretsIn(node: unknown): YAMLMap[] {
  if (!isMap(node)) return []
  if (node.get('kind') === 'Secret') return [node]
  const items = node.get('items')
  return isSeq(items) ? items.items.flatMap(secretsIn) : []
}

function entriesOf(secret: YAMLMap): Pair[] {
  const data = secret.get('data')
  return isMap(data) ? data.items : []
}

function hitsIn({ key, value }: Pair, text: string, offset: number, spellings: readonly Spelling[]): SecretHit[] {
  if (!isScalar(value) || typeof value.value !== 'string' || !value.range) return []
  const encoded = value.value.replace(/\s/g, '')
  const decoded = Buffer.from(encoded, 'base64')
  const { hits } = findIn(decoded.toString('latin1'), spellings)
  if (hits.length === 0 || decoded.includes(0)) return []
  const [start, end] = [value.range[0] + offset, value.range[1] + offset]
  const within = text.slice(start, end).indexOf(encoded)
  const inner = hits.map((hit) => ({
    at: hit.start,
    was: decoded.toString('latin1', hit.start, hit.end),
    becomes: hit.becomes,
  }))
  const usual = within >= 0 && decoded.toString('base64') === encoded
  const becomesLength = usual ? inBase64(encoded, inner).length : 0
  const at = start + Math.max(0, within)
  const edit = usual ? { at, length: encoded.length, becomesLength, inner } : undefined
  return [{ entry: String(isScalar(key) ? key.value : key), at, count: hits.length, edit }]
}
