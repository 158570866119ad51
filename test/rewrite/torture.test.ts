import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { homelab, map, rewrite } from './homelab.ts'
import { changed, maps, unchanged } from './torture.ts'

const texts = [
  ...Object.entries(changed).map(([name, [before, after]]) => ({ name, before, after })),
  ...Object.entries(unchanged).map(([name, text]) => ({ name, before: text, after: text })),
]

const surroundings: Record<string, (text: string) => Buffer> = {
  'as it is': (text) => Buffer.from(text),
  'with CRLF': (text) => Buffer.from(`a\r\n${text.replaceAll('\n', '\r\n')}\r\nb\r\n`),
  'with a byte order mark': (text) => Buffer.from(`\uFEFF${text}\n`),
  'between bytes that are no UTF-8': (text) =>
    Buffer.concat([Buffer.from([0xe9, 0xff]), Buffer.from(text), Buffer.from([0xfc])]),
}

const cases = Object.entries(surroundings).flatMap(([how, around], folder) =>
  texts.map(({ name, before, after }, at) => ({
    name: `${name}, ${how}`,
    path: `in-${folder}/case-${at}.txt`,
    before: around(before),
    after: around(after),
  })),
)

test(`${texts.length} texts in ${Object.keys(surroundings).length} surroundings: exactly what is an address is changed, and taken back byte for byte`, async (t) => {
  t.true(texts.length >= 80)
  const folder = homelab(Object.fromEntries(cases.map(({ path, before }) => [path, before])))
  const { code, said } = await rewrite(folder, [...map(...maps), '--yes'])
  t.is(code, 0, said)
  for (const { name, path, after } of cases) t.is(latin1(folder, path), after.toString('latin1'), name)
  t.regex((await rewrite(folder, [...map(...maps), '--yes'])).said, /No file holds it/)
  t.is((await rewrite(folder, ['--undo'])).code, 0)
  for (const { name, path, before } of cases) t.is(latin1(folder, path), before.toString('latin1'), name)
})

function latin1(folder: string, path: string): string {
  return readFileSync(join(folder, path), 'latin1')
}
