import test from 'ava'
import { ApiError, ConnectionError, type KubernetesApi } from '../../lib/kubernetes/api.ts'
import { askToGo } from '../../lib/kubernetes/eviction.ts'
import type { Pod } from '../../lib/kubernetes/kinds.ts'

const pod: Pod = { metadata: { name: 'db-0', namespace: 'ns', uid: 'u-1' }, spec: {}, status: {} }
const plain = { disableEviction: false, gracePeriodSeconds: undefined }

/** An API that remembers what it was sent and answers everything with one error, or with success. */
function answering(error?: Error) {
  const sent: unknown[] = []
  const answer = async (...request: unknown[]) => {
    sent.push(request)
    if (error) throw error
    return {}
  }
  return { sent, api: { create: answer, remove: answer } as unknown as KubernetesApi }
}

function refusal(status: number, message: string, cause?: { reason: string; message: string }, retryAfter?: string) {
  const details = cause ? { causes: [cause] } : {}
  return new ApiError('POST', '/eviction', status, JSON.stringify({ message, details }), retryAfter)
}

const asked = (error: Error) => askToGo(answering(error).api, pod, plain)

test('an eviction means the pod by its UID, and carries the grace that was asked for', async (t) => {
  const { api, sent } = answering()
  t.deepEqual(await askToGo(api, pod, { ...plain, gracePeriodSeconds: 0 }), { going: true })
  const [[path, body]] = sent as [[string, { deleteOptions: object }]]
  t.is(path, '/api/v1/namespaces/ns/pods/db-0/eviction')
  t.deepEqual(body.deleteOptions, { preconditions: { uid: 'u-1' }, gracePeriodSeconds: 0 })
})

test('with evictions disabled the pod itself is deleted, by its UID too', async (t) => {
  const { api, sent } = answering()
  await askToGo(api, pod, { ...plain, disableEviction: true })
  t.deepEqual(sent, [['/api/v1/namespaces/ns/pods/db-0', { preconditions: { uid: 'u-1' } }]])
})

test('a pod that is gone is going', async (t) => {
  t.deepEqual(await asked(refusal(404, 'not found')), { going: true })
})

test('a budget’s refusal is told in its own words and asked again after a second, whatever Retry-After says', async (t) => {
  const usual = 'The disruption budget keep needs 1 healthy pods and has 1 currently'
  const computing = 'The disruption budget keep is still being processed by the server.'
  const cause = (message: string) => ({ reason: 'DisruptionBudget', message })
  t.deepEqual(await asked(refusal(429, 'Cannot evict pod', cause(usual))), {
    going: false,
    why: 'budget keep needs 1 healthy, has 1',
    againAfterMs: 1000,
  })
  t.deepEqual(await asked(refusal(429, 'Cannot evict pod', cause(computing), '10')), {
    going: false,
    why: computing,
    againAfterMs: 1000,
  })
})

test('a busy server is asked again when it said', async (t) => {
  t.deepEqual(await asked(refusal(429, 'too many requests', undefined, '7')), {
    going: false,
    why: 'the API server is busy',
    againAfterMs: 7000,
  })
})

test('what may pass is asked again: a changed pod, an ending namespace, a failing or absent server', async (t) => {
  const passing = [
    refusal(409, 'the object has been modified'),
    refusal(403, 'forbidden', { reason: 'NamespaceTerminating', message: 'it ends' }),
    refusal(500, 'etcdserver: leader changed'),
    refusal(500, 'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.'),
    refusal(504, 'couldn’t update PodDisruptionBudget "keep" due to conflicts'),
    new ConnectionError('https://192.0.2.1:6443', new Error('ECONNREFUSED')),
  ]
  const answers = await Promise.all(passing.map(asked))
  t.true(answers.every((answer) => !answer.going && answer.againAfterMs === 1000))
  const whys = answers.map((answer) => (answer.going ? '' : answer.why))
  t.regex(whys[1] ?? '', /namespace ns is ending/)
  t.regex(whys[2] ?? '', /leader changed/)
  t.regex(whys[3] ?? '', /more than one PodDisruptionBudget/)
  t.regex(whys[5] ?? '', /does not answer/)
})

test('what is forbidden, or invalid, is never asked again, and does not stop the others', async (t) => {
  for (const status of [403, 422]) {
    const answer = await asked(refusal(status, 'admission webhook "keep" denied the request'))
    t.like(answer, { going: false, againAfterMs: Infinity })
    t.regex(answer.going ? '' : answer.why, /webhook "keep" denied/)
  }
})
