import { isDeepStrictEqual } from 'node:util'
import { parseAllDocuments } from 'yaml'
import { redact } from '../migration/redact.ts'
import type { Address } from '../network/addresses.ts'
import { mentions } from '../network/mentions.ts'

export type Fields = { [name: string]: unknown }

/** One field in which two configs differ; undefined: it is not there. */
export interface FieldChange {
  path: readonly string[]
  before: unknown
  after: unknown
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The documents of a machine config. @returns in their order, as they are written */
export function documentsOf(text: string): Fields[] {
  const documents = parseAllDocuments(text, { prettyErrors: false })
  if (!Array.isArray(documents)) return []
  return documents.map((document) => document.toJS() as unknown).filter(isFields)
}

/** The document with `version: v1alpha1`: machine and cluster. Empty when there is none. */
export function mainDocument(text: string): Fields {
  return documentsOf(text).find(({ version }) => version === 'v1alpha1') ?? {}
}

/** Where two documents differ, field by field; a list is one field. An absent field and an empty one are the same to Talos. */
export function differences(before: unknown, after: unknown, path: readonly string[] = []): FieldChange[] {
  if (isDeepStrictEqual(before, after) || (isEmpty(before) && isEmpty(after))) return []
  if (!isFields(before) || !isFields(after)) return [{ path, before, after }]
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return names.flatMap((name) => differences(before[name], after[name], [...path, name]))
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true
  if (Array.isArray(value)) return value.length === 0
  return isFields(value) && Object.keys(value).length === 0
}

/** `machine.network.interfaces`; a name with dots stands in brackets. */
export function pathText(path: readonly string[]): string {
  return path.map((name, i) => (/[.\s]/.test(name) ? `[${name}]` : `${i === 0 ? '' : '.'}${name}`)).join('')
}

/** Every field, key or list entry of a config that holds the address, all documents: `machine.certSANs[0]`, `NetworkRuleConfig etcd: ingress[0].subnet`. */
export function fieldsThatMention(text: string, address: Address): string[] {
  return documentsOf(text).flatMap((document) => {
    const { kind, name } = document
    const of = typeof kind === 'string' ? `${kind}${typeof name === 'string' ? ` ${name}` : ''}: ` : ''
    return mentioning(document, address).map((path) => `${of}${path}`)
  })
}

function mentioning(value: unknown, address: Address, path = ''): string[] {
  if (typeof value === 'string') return mentions(value, address) ? [path] : []
  if (Array.isArray(value)) return value.flatMap((entry, i) => mentioning(entry, address, `${path}[${i}]`))
  if (!isFields(value)) return []
  return Object.entries(value).flatMap(([name, entry]) => {
    const here = path === '' ? name : `${path}.${name}`
    return [...(mentions(name, address) ? [`${here} (its name)`] : []), ...mentioning(entry, address, here)]
  })
}

/** Fields whose values are secrets, or hold whatever an operator put there; by the Talos reference, "v1alpha1 Config". */
const unshown =
  /^(key|token|secret|.*secret|bootstraptoken|password|auth|username|identityToken|crt|content|contents|userData)$/i

/**
 * What changed, one line a field, for the operator's eyes: no secret, no certificate, no content of a file.
 * @returns `machine.install.disk: /dev/sda → /dev/nvme0n1`
 */
export function showChange({ path, before, after }: FieldChange): string {
  return `${pathText(path)}: ${shown(path, before)} → ${shown(path, after)}`
}

function shown(path: readonly string[], value: unknown): string {
  if (value === undefined || value === null) return '(none)'
  if (path.some((name) => unshown.test(name))) return '(not shown)'
  const visible = JSON.stringify(value, (name, part: unknown) => (unshown.test(name) ? '(not shown)' : part))
  const text = redact(typeof value === 'string' ? value : visible)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
