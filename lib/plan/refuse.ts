import { OperatorError } from '../migration/errors.ts'
import type { Question } from '../migration/questions.ts'
import type { Settings } from '../settings.ts'

/** @throws OperatorError when a question of the runbook is not answered */
export function refuseOpen(all: readonly Question[], { cluster }: Pick<Settings, 'cluster'>): void {
  const unanswered = all.filter(({ answer }) => answer === null)
  if (unanswered.length === 0) return
  const count =
    unanswered.length === 1 ? 'One question of the runbook is' : `${unanswered.length} questions of the runbook are`
  throw new OperatorError(
    `${count} still to be answered:\n${unanswered.map(({ question, how }) => `  ${question} (${how})`).join('\n')}`,
    {
      means:
        'The plan above stands, and nothing was changed. migrate:preflight, and so migrate:run, refuses until they are answered.',
      next: `Answer them in env/${cluster}.env; then again: task migrate:plan`,
    },
  )
}
