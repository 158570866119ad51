import type { LabelSelector } from '../../kubernetes/kinds.ts'
import { OperatorError } from '../../migration/errors.ts'

type Expression = NonNullable<LabelSelector['matchExpressions']>[number]

const key = '[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?'
const forms: readonly [RegExp, (groups: Record<string, string>) => Expression][] = [
  [
    new RegExp(`^(?<key>${key})\\s+(?<word>in|notin)\\s*\\((?<values>[^()]*)\\)$`),
    ({ key = '', word, values = '' }) => ({
      key,
      operator: word === 'in' ? 'In' : 'NotIn',
      values: values.split(',').map((value) => value.trim()),
    }),
  ],
  [
    new RegExp(`^(?<key>${key})\\s*(?<sign>==?|!=)\\s*(?<value>[A-Za-z0-9._-]*)$`),
    ({ key = '', sign, value = '' }) => ({ key, operator: sign === '!=' ? 'NotIn' : 'In', values: [value] }),
  ],
  [new RegExp(`^!\\s*(?<key>${key})$`), ({ key = '' }) => ({ key, operator: 'DoesNotExist' })],
  [new RegExp(`^(?<key>${key})$`), ({ key = '' }) => ({ key, operator: 'Exists' })],
]

/**
 * A label selector as kubectl takes it: `app=plex,tier!=cache,zone in (a, b),!legacy`.
 * Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
 * @throws OperatorError with exit code 2 for a requirement that is none
 */
export function parseSelector(text: string): LabelSelector {
  // A comma within parentheses separates values.
  const requirements = text.split(/,(?![^(]*\))/).map((requirement) => requirement.trim())
  return { matchExpressions: requirements.map(parseRequirement) }
}

function parseRequirement(requirement: string): Expression {
  for (const [form, expression] of forms) {
    const groups = form.exec(requirement)?.groups
    if (groups) return expression(groups)
  }
  throw new OperatorError(`--selector: "${requirement}" is no requirement of a label selector.`, {
    next: 'Write it as kubectl takes it: app=plex,tier!=cache,zone in (a,b),!legacy',
    exitCode: 2,
  })
}
