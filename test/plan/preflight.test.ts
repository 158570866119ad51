import test from 'ava'
import { questionsAreAnswered } from '../../lib/plan/preflight.ts'
import { fakeContext, resultOf } from '../verify/preflight/fake-context.ts'

test('the API is asked for as the context opens it: one that does not answer is said, and is no fault of the check', async (t) => {
  const context = fakeContext({ openApi: () => Promise.reject(new Error('nobody answers')) })
  const result = await resultOf([questionsAreAnswered], questionsAreAnswered.name, context)
  t.is(result.notChecked, 'it needs the Kubernetes API')
})
