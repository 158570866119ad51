import test from 'ava'
import { cutPage } from '../../lib/kubernetes/page.ts'

const texts = (bytes: string) => cutPage(Buffer.from(bytes)).lines.toString().split('\n').slice(0, -1)

test('an object of a built-in type gets its apiVersion and kind, the rest is the very bytes of the server', (t) => {
  const item = '{"metadata":{"name":"a"},"data":{"n":1.50,"big":12345678901234567890}}'
  t.deepEqual(texts(`{"kind":"ConfigMapList","apiVersion":"v1","metadata":{},"items":[${item}]}`), [
    `{"apiVersion":"v1","kind":"ConfigMap",${item.slice(1)}`,
  ])
})

test('a custom object carries both itself and is left as it is', (t) => {
  const items = [
    '{"apiVersion":"x.io/v1","kind":"Deep","metadata":{"name":"a"}}',
    '{"apiVersion":"x.io/v1","data":{"kind":"no"},"kind":"Deep"}',
    '{"kind":"Deep","apiVersion":"x.io/v1"}',
  ]
  t.deepEqual(texts(`{"apiVersion":"x.io/v1","items":[${items.join(',')}],"kind":"DeepList","metadata":{}}`), items)
})

test('the continue token is found before and after the items', (t) => {
  const before = '{"kind":"AList","apiVersion":"v1","metadata":{"continue":"abc=="},"items":[]}'
  const after = '{"apiVersion":"v1","items":[],"kind":"AList","metadata":{"continue":"abc=="}}'
  for (const page of [before, after]) t.is(cutPage(Buffer.from(page)).continueToken, 'abc==')
  t.is(cutPage(Buffer.from('{"kind":"AList","metadata":{"continue":""},"items":null}')).continueToken, '')
})

test('an answer printed over several lines is one line per object', (t) => {
  const page =
    '{\n  "kind": "AList",\n  "apiVersion": "v1",\n  "items": [\n    {\n      "metadata": {"name": "a\\nb"}\n    }\n  ]\n}\n'
  const [item] = texts(page)
  t.false(item?.includes('\n'))
  t.deepEqual(JSON.parse(item ?? ''), { apiVersion: 'v1', kind: 'A', metadata: { name: 'a\nb' } })
})

test('an answer that is cut off anywhere is refused, never shortened', (t) => {
  const whole = '{"kind":"AList","metadata":{"continue":"x"},"items":[{"metadata":{"name":"\\"}"}},{"a":[1,true]}]}'
  for (let length = 0; length < whole.length; length++) {
    t.throws(() => cutPage(Buffer.from(whole.slice(0, length))), { instanceOf: SyntaxError })
  }
  t.is(texts(whole).length, 2)
})

test('whatever JSON holds, cutting it gives the same objects as parsing it', (t) => {
  const random = seeded(20251204)
  for (let round = 0; round < 300; round++) {
    const items = Array.from({ length: Math.floor(random() * 5) }, () => ({
      metadata: { name: 'x' },
      v: value(random, 4),
    }))
    const list = { kind: 'AList', apiVersion: 'v1', metadata: {}, items }
    const page = JSON.stringify(list, null, round % 3)
    const cut = texts(page).map((item) => JSON.parse(item))
    t.deepEqual(
      cut,
      items.map((item) => ({ apiVersion: 'v1', kind: 'A', ...item })),
    )
  }
})

function value(random: () => number, depth: number): unknown {
  const pick = Math.floor(random() * (depth > 0 ? 7 : 4))
  if (pick === 0) return text(random)
  if (pick === 1) return Math.floor(random() * 1e9) / 1000
  if (pick === 2) return random() < 0.5
  if (pick === 3) return null
  const length = Math.floor(random() * 4)
  if (pick === 4) return Array.from({ length }, () => value(random, depth - 1))
  return Object.fromEntries(Array.from({ length }, () => [text(random), value(random, depth - 1)]))
}

function text(random: () => number): string {
  const letters = ['"', '\\', '{', '}', '[', ']', ',', ':', '\n', '\u2028', 'é', '😀', 'a', 'b', '\\"']
  const length = Math.floor(random() ** 4 * 300)
  return Array.from({ length }, () => letters[Math.floor(random() * letters.length)]).join('')
}

/** Mulberry32: the same rounds on every machine. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
