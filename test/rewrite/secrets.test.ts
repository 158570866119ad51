import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { git, homelab, map, rewrite } from './homelab.ts'

const now = [...map('192.168.1.54=192.168.1.160'), '--yes']
const base64 = (text: string) => Buffer.from(text).toString('base64')
const at = (folder: string, path: string) => readFileSync(join(folder, path), 'utf8')
const talosconfig = (address: string) =>
  `context: x\ncontexts:\n  x:\n    endpoints: [${address}]\n    key: very-secret-key\n`

const secrets = (address: string) => `apiVersion: v1
kind: ConfigMap
data:
  endpoint: https://192.168.1.54:6443
---
apiVersion: v1
kind: Secret
metadata:
  name: talos
data:
  other: ${base64('nothing in it')}
  talosconfig: ${base64(talosconfig(address))}
  quoted: "${base64(address)}"
`

test('what a Secret holds in base64 is reported, and changed only on request; it is never shown or written down', async (t) => {
  const files = {
    'secrets.yaml': secrets('192.168.1.54'),
    'list.json': JSON.stringify({ kind: 'List', items: [{ kind: 'Secret', data: { a: base64('x 192.168.1.54 y') } }] }),
    'config-map.yaml': `kind: ConfigMap\ndata:\n  a: ${base64('192.168.1.54')}\n`,
  }
  const folder = homelab(files)
  const first = await rewrite(folder, now)
  t.is(first.code, 0, first.said)
  t.is(at(folder, 'secrets.yaml'), secrets('192.168.1.54').replace('//192.168.1.54:', '//192.168.1.160:'))
  t.is(at(folder, 'list.json'), files['list.json'])
  t.regex(first.said, /talosconfig: 1 in base64: --secrets changes it; quoted: 1 in base64: --secrets changes it/)
  const second = await rewrite(folder, [...now, '--secrets'])
  t.is(second.code, 0, second.said)
  t.is(at(folder, 'secrets.yaml'), secrets('192.168.1.160').replace('//192.168.1.54:', '//192.168.1.160:'))
  t.is(JSON.parse(at(folder, 'list.json')).items[0].data.a, base64('x 192.168.1.160 y'))
  t.is(at(folder, 'config-map.yaml'), files['config-map.yaml'])
  t.regex(second.said, /talosconfig: \(base64, with 192\.168\.1\.160\)/)
  for (const text of [first.said, second.said, ...everythingIn(join(folder, 'output'))]) {
    t.false(text.includes('very-secret'), text)
    t.false(text.includes(base64(talosconfig('192.168.1.160')).slice(-20)), text)
  }
  for (let undone = 0; undone < 2; undone++) t.is((await rewrite(folder, ['--undo'])).code, 0)
  t.is(git(folder, 'status', '--porcelain'), '')
})

test('base64 that is wrapped, or written in another way than it would be again, is left for the operator', async (t) => {
  const wrapped = base64(`192.168.1.54 ${'x'.repeat(60)}`).replace(/(.{40})/g, '$1\n    ')
  const files = {
    'wrapped.yaml': `kind: Secret\ndata:\n  a: |\n    ${wrapped}\n`,
    'padding.yaml': `kind: Secret\ndata:\n  b: ${base64('192.168.1.54 x').replaceAll('=', '')}\n`,
  }
  const folder = homelab(files)
  const { said } = await rewrite(folder, [...now, '--secrets'])
  t.regex(said, /a: 1 in base64 that is written unusually: change it by hand/)
  t.regex(said, /b: 1 in base64 that is written unusually: change it by hand/)
  for (const [path, text] of Object.entries(files)) t.is(at(folder, path), text)
})

test('lines beside a hit in a file of credentials are not shown', async (t) => {
  const folder = homelab({
    '.env': 'PASSPHRASE=hunter2\nNODE=192.168.1.54\nPIN=1234\n',
    '.gitignore': '.env\n/output/\n',
  })
  const { said } = await rewrite(folder, now)
  t.true(said.includes('+NODE=192.168.1.160'))
  t.false(said.includes('hunter2') || said.includes('PIN=1234'), said)
})

function everythingIn(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return entries.map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'utf8'))
}
