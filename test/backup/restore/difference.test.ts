import test from 'ava'
import { mergePatchBetween, saysTheSame, showDifference } from '../../../lib/backup/restore/difference.ts'

const canary = 'CANARY-8d21'
const object = (more: Record<string, unknown>) => ({ kind: 'Secret', metadata: { name: 'a' }, ...more })

test('a null says as much as nothing, and the order of keys says nothing', (t) => {
  t.true(saysTheSame(object({ a: 1, b: { c: null } }), object({ b: {}, a: 1 })))
  t.false(saysTheSame(object({ a: [1, 2] }), object({ a: [2, 1] })))
})

test('a difference is a unified diff from the cluster to the backup', (t) => {
  const shown = showDifference('ConfigMap a', object({ data: { a: 'one' } }), object({ data: { a: 'two' } }), {
    secret: false,
  })
  t.regex(shown, /^--- ConfigMap a in the cluster/m)
  t.regex(shown, /^\+\+\+ ConfigMap a in the backup/m)
  t.regex(shown, /^- +a: one$/m)
  t.regex(shown, /^\+ +a: two$/m)
})

test('of a Secret is shown which values differ, and none of them', (t) => {
  const secret = (value: string, more = {}) => ({
    kind: 'Secret',
    metadata: {
      name: 'a',
      annotations: { 'kubectl.kubernetes.io/last-applied-configuration': `{"data":"${canary}${value}"}` },
    },
    data: { same: canary, other: `${canary}${value}`, ...more },
    spec: { list: [canary, value] },
  })
  const shown = showDifference('Secret a', secret('one'), secret('two', { added: canary }), { secret: true })
  t.notRegex(shown, new RegExp(canary))
  t.notRegex(shown, /one|two/)
  t.regex(shown, /^ +same: \(hidden, the same\)$/m)
  t.regex(shown, /^- +other: \(hidden, as in the cluster\)$/m)
  t.regex(shown, /^\+ +other: \(hidden, as in the backup\)$/m)
  t.regex(shown, /^\+ +added: \(hidden, as in the backup\)$/m)
})

test('a long difference is cut, and says so', (t) => {
  const lines = (word: string) =>
    object({ data: Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`k${i}`, word])) })
  const shown = showDifference('ConfigMap a', lines('a'), lines('b'), { secret: false })
  t.true(shown.split('\n').length < 100)
  t.regex(shown, /… and \d+ more lines/)
})

test('the patch between two objects sets what differs, takes away what is too many, and replaces lists as wholes', (t) => {
  const from = { same: 1, gone: 2, deep: { a: 1, b: 2 }, list: [1, 2] }
  const to = { same: 1, deep: { a: 1, b: 3 }, list: [1], added: { x: 1 } }
  t.deepEqual(mergePatchBetween(from, to), { gone: null, deep: { b: 3 }, list: [1], added: { x: 1 } })
  t.is(mergePatchBetween(to, structuredClone(to)), undefined)
})
