import { createTwoFilesPatch } from 'diff'
import { parseAllDocuments, stringify } from 'yaml'
import type { MachineConfig } from '../machine-config.ts'

/** Fields whose value is a secret or may hold one: keys and tokens, contents of files and manifests, credentials of registries. */
const secret =
  /^(key|token|secret|.*EncryptionSecret|bootstraptoken|.*[kK]ey|password|auth|identityToken|content|contents|env|environment|configFiles|headers)$/
/** So named, and no secret: it says which network card or which taint is meant. */
const harmless = new Set(['publicKey', 'key'])

/**
 * Where two machine configs differ, as a unified diff of YAML, without any secret: of those it only says which ones differ.
 * @returns empty when they do not
 */
export function configDifference(before: MachineConfig, after: MachineConfig): string[] {
  const [one, other] = [masked(before, after, before.origin), masked(after, before, after.origin)]
  const patch = createTwoFilesPatch(before.origin, after.origin, one, other, '', '', { context: 1 })
  const lines = patch.split('\n').filter((line) => line !== '' && !line.startsWith('====') && !line.startsWith('\\'))
  return lines.some((line) => line.startsWith('@@')) ? lines : []
}

function masked(config: MachineConfig, other: MachineConfig, whose: string): string {
  const [own, others] = [documents(config.text), documents(other.text)]
  const shown = own.map((document, place) => {
    const counterpart = others.find((each) => kindOf(each) === kindOf(document)) ?? others[place]
    return stringify(hide(document, counterpart, whose), { sortMapEntries: true, lineWidth: 0 })
  })
  return shown.join('---\n')
}

function hide(value: unknown, other: unknown, whose: string): unknown {
  if (Array.isArray(value)) {
    return value.map((item, place) => hide(item, Array.isArray(other) ? other[place] : undefined, whose))
  }
  if (!isRecord(value)) return value
  const entries = Object.entries(value).filter(([, field]) => field !== null)
  return Object.fromEntries(
    entries.map(([name, field]) => {
      const counterpart = isRecord(other) ? other[name] : undefined
      if (!isSecret(name, value)) return [name, hide(field, counterpart, whose)]
      const same = JSON.stringify(field) === JSON.stringify(counterpart)
      return [name, same ? '(hidden)' : `(hidden, that of ${whose})`]
    }),
  )
}

/** The `key` of a certificate stands beside its `crt`; that of a service account stands alone. A label's has an `operator` or `value` beside it. */
function isSecret(name: string, among: Record<string, unknown>): boolean {
  if (!secret.test(name)) return false
  if (!harmless.has(name)) return true
  return name === 'key' && !('operator' in among || 'effect' in among || 'values' in among)
}

function documents(text: string): unknown[] {
  const parsed = parseAllDocuments(text, { prettyErrors: false })
  return Array.isArray(parsed) ? parsed.map((document) => document.toJS() as unknown) : []
}

function kindOf(document: unknown): string {
  return isRecord(document) ? `${document.kind ?? document.version} ${document.name ?? ''}` : ''
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
