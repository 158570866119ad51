import { listNodes } from '../kubernetes/nodes.ts'
import { questions } from '../migration/questions.ts'
import type { PreflightCheck } from '../verify/preflight/context.ts'

/** What no cluster can say must be said before the evening begins. */
export const questionsAreAnswered: PreflightCheck = {
  name: "The runbook's questions are answered",
  run: async (context) => {
    const api = await context.api()
    const [{ groups }, nodes] = await Promise.all([api.get<{ groups: { name: string }[] }>('/apis'), listNodes(api)])
    const liqo = groups.some(({ name }) => name.endsWith('liqo.io'))
    return questions(context.settings, { liqo, nodes: nodes.length }).flatMap(({ question, answer, how }) =>
      answer === null
        ? [{ subject: question, evidence: 'nobody has answered it', severity: 'error' as const, wayOut: `Set ${how}.` }]
        : [],
    )
  },
}
