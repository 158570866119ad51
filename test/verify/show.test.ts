import test from 'ava'
import type { Comparison } from '../../lib/verify/comparison.ts'
import { showComparison } from '../../lib/verify/show.ts'
import { listeningConsole } from '../migration/run-in-folder.ts'

const finding = {
  check: 'Argo CD has synced',
  subject: 'Application auth',
  evidence: 'OutOfSync',
  severity: 'error',
  wayOut: 'argocd app get auth',
} as const

function lastLine(more: Partial<Comparison>): string | undefined {
  const none = { notChecked: [], healed: [], warnings: [], announced: [], appeared: [], newlyBroken: [] }
  const console = listeningConsole()
  showComparison(console, { ...none, fine: ['Nodes are ready'], brokenBefore: [finding], ...more })
  return console.lines.at(-1)
}

test('where nothing is newly broken the last line says so, below lists that are longer than a screen', (t) => {
  t.is(lastLine({}), 'info Nothing is newly broken. 1 broken before too, 1 of the checks fine.')
})

test('what is newly broken is the last list', (t) => {
  t.regex(lastLine({ newlyBroken: [finding] }) ?? '', /^table Newly broken \(1\)/)
})
