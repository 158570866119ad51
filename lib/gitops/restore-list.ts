import { messageOf, OperatorError } from '../migration/errors.ts'
import type { Rebuild, Restored } from './rebuild.ts'

/** The list of what a rebuild from Git restores, as the operator has it: names by calledIn(). */
export interface RestoreList {
  /** a path, for messages */
  readonly origin: string
  readonly names: ReadonlySet<string>
}

export const restoreListName = 'restore-list.txt'

const line = /^([a-z0-9]+(?:\.[a-z0-9][a-z0-9.-]*)?)\s+(\S+)$/
const objectName = /^(?:[a-z0-9][a-z0-9.-]*\/)?[A-Za-z0-9][A-Za-z0-9._:@-]*$/

/** The list as a text file to be edited: one object a line, grouped by resource, with why it is in it. */
export function restoreListText({ restored, origin }: Rebuild): string {
  const before = restored.filter(({ engine }) => !engine)
  const engine = restored.filter(({ engine }) => engine)
  return [
    `# What RECOVERY=gitops restores from the backup, for Git does not hold it. Worked out from ${origin}.`,
    '# One object a line: RESOURCE NAMESPACE/NAME, or RESOURCE NAME. What stands behind # is a comment.',
    '# Take out what is not to come back, add what is: provision restores these, and no others.',
    ...sections(before),
    '',
    '# === GitOps itself, after all of the above. It brings the rest out of Git. ===',
    ...sections(engine),
    '',
  ].join('\n')
}

function sections(entries: readonly Restored[]): string[] {
  return [...byResource(entries)].flatMap(([resource, those]) => [
    '',
    `# --- ${resource} (${those.length})`,
    ...those.map(({ called, why }) => `${called}  # ${why}`),
  ])
}

/** In groups of one resource, in the order given. */
export function byResource<T extends { called: string }>(entries: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const entry of entries) {
    const resource = entry.called.slice(0, entry.called.indexOf(' '))
    groups.set(resource, [...(groups.get(resource) ?? []), entry])
  }
  return groups
}

/**
 * Reads an edited list.
 * @param origin the file, for the error
 * @throws OperatorError with exit code 2, naming every line that is none
 */
export function parseRestoreList(text: string, origin: string): RestoreList {
  const names = new Set<string>()
  const wrong: string[] = []
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const content = raw.replace(/(^|\s)#.*$/, '').trim()
    if (content === '') continue
    const [, resource, name = ''] = line.exec(content) ?? []
    if (resource !== undefined && objectName.test(name)) names.add(`${resource} ${name}`)
    else wrong.push(`line ${index + 1} (${content})`)
  }
  if (wrong.length === 0) return { origin, names }
  throw new OperatorError(`${origin} cannot be read: ${wrong.join(', ')}.`, {
    means:
      'Nothing was changed. A line names one object: RESOURCE NAMESPACE/NAME, such as: secrets flux-system/sops-age',
    next: `Correct the ${wrong.length === 1 ? 'line' : 'lines'}, put # before what is a comment, or remove the file: then it is worked out anew.`,
    exitCode: 2,
  })
}

/**
 * Refuses a list that names what cannot be restored.
 * @param known all objects of the source, by calledIn()
 * @throws OperatorError with exit code 2, naming them
 */
export function verifyRestoreList({ origin, names }: RestoreList, known: ReadonlySet<string>, source: string): void {
  const unknown = [...names].filter((name) => !known.has(name))
  if (unknown.length === 0) return
  const few = unknown.slice(0, 10).map((name) => `${name}${hintFor(name, known)}`)
  const more = unknown.length > few.length ? [`and ${unknown.length - few.length} more`] : []
  throw new OperatorError(`${origin} names what ${source} does not have: ${[...few, ...more].join(', ')}.`, {
    means: 'What is not in the backup cannot be restored. Nothing was changed.',
    next: `Correct or remove ${unknown.length === 1 ? 'that line' : 'those lines'}. A resource is its plural with its group, as kubectl api-resources has it: deployments.apps`,
    exitCode: 2,
  })
}

function hintFor(name: string, known: ReadonlySet<string>): string {
  const [, object = ''] = name.split(' ')
  const near = [...known].find((one) => one.endsWith(` ${object}`) || one.endsWith(`/${object}`))
  return near === undefined ? '' : ` (there is: ${near})`
}

/** @throws OperatorError, in the words of whoever reads the file */
export function unreadable(path: string, error: unknown): OperatorError {
  return new OperatorError(`The list ${path} cannot be read: ${messageOf(error)}`, {
    next: 'Make it readable, or remove it: then it is worked out anew.',
    cause: error,
  })
}
