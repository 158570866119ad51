import { chmodSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { pointKubeconfigs, undoKubeconfigServer } from '../../lib/kubernetes/kubeconfig-server.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { parseAddress } from '../../lib/network/addresses.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { testMigration } from './test-migration.ts'

const moves = [{ from: parseAddress('192.168.1.54', 'test'), to: parseAddress('192.168.1.60', 'test') }]

const wicked = `# of 192.168.1.54, by hand
apiVersion: v1
kind: Config
clusters:
  - cluster:   # https://192.168.1.54:6443
      server:   "https://192.168.1.54:6443"   # the control plane
      certificate-authority-data: MTkyLjE2OC4xLjU0
    name: catalyst
  - name: path
    cluster: { server: https://192.168.1.54:6443/api?x=192.168.1.54, insecure-skip-tls-verify: true }
  - name: longer
    cluster:
      server: https://192.168.1.540:6443
  - name: elsewhere
    cluster:
      server: https://talos00:6443
      proxy-url: http://192.168.1.54:3128
users:
- name: admin
  user: {token: 192.168.1.54}
contexts:
- {name: catalyst, context: {cluster: catalyst, user: admin}}
current-context: catalyst
preferences: {}`

function kubeconfigWith(text: string | Buffer, mode = 0o600): string {
  const path = join(temporaryFolder('kubeconfig'), 'config')
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

const expected = wicked
  .replace('"https://192.168.1.54:6443"', '"https://192.168.1.60:6443"')
  .replace('https://192.168.1.54:6443/api', 'https://192.168.1.60:6443/api')

test('only the servers of cluster entries change, and every other byte stays', async (t) => {
  const path = kubeconfigWith(wicked, 0o640)
  const { migration, journal } = testMigration()
  t.is(await pointKubeconfigs(migration, [path], moves), 2)
  t.is(readFileSync(path, 'utf8'), expected)
  t.is(statSync(path).mode & 0o777, 0o640)
  t.is(await pointKubeconfigs(migration, [path], moves), 0)
  t.is(journal.changes().length, 1)
})

test('the undo of a kubeconfig is the identity', async (t) => {
  for (const text of [
    wicked,
    wicked.replaceAll('\n', '\r\n'),
    `\ufeff${wicked}`,
    JSON.stringify({ clusters: [{ name: 'json', cluster: { server: 'https://192.168.1.54:6443' } }] }),
  ]) {
    const path = kubeconfigWith(text)
    const { migration, journal } = testMigration()
    await pointKubeconfigs(migration, [path], moves)
    t.false(readFileSync(path, 'utf8').includes('"https://192.168.1.54:6443"'))
    const [change] = journal.changes({ kind: 'kubeconfig-server' })
    if (!change) return t.fail()
    t.is(await undoKubeconfigServer(change), 'undone')
    t.is(readFileSync(path, 'utf8'), text)
    t.is(await undoKubeconfigServer(change), 'already')
  }
})

test('a server that somebody has set meanwhile is not undone; what was added beside it stays', async (t) => {
  const path = kubeconfigWith(wicked)
  const { migration, journal } = testMigration()
  await pointKubeconfigs(migration, [path], moves)
  const [change] = journal.changes()
  if (!change) return t.fail()
  writeFileSync(path, expected.replace('"https://192.168.1.60:6443"', 'https://10.0.0.1:6443'))
  t.regex(await undoKubeconfigServer(change), /^conflict: the server of catalyst in .* is https:\/\/10\.0\.0\.1:6443$/)
  writeFileSync(path, expected.replace('users:', 'users:\n- name: new\n  user: {}'))
  t.is(await undoKubeconfigServer(change), 'undone')
  t.is(readFileSync(path, 'utf8'), wicked.replace('users:', 'users:\n- name: new\n  user: {}'))
})

test('killed before or after the file was written, the same again comes out the same', async (t) => {
  const path = kubeconfigWith(wicked)
  const first = testMigration()
  await pointKubeconfigs(first.migration, [path], moves)
  const [change] = first.journal.changes()
  if (!change) return t.fail()
  const { journal } = testMigration()
  journal.beginChange(change)
  writeFileSync(path, wicked)
  await pointKubeconfigs(testMigration({}, { journal }).migration, [path], moves)
  t.is(readFileSync(path, 'utf8'), expected)
  t.is(journal.changes().length, 1)
})

test('a link is followed and its file edited once; one that is not there is passed over', async (t) => {
  const path = kubeconfigWith(wicked)
  const link = join(temporaryFolder('home'), 'config')
  symlinkSync(path, link)
  const { migration } = testMigration()
  t.is(await pointKubeconfigs(migration, [path, link, '/nowhere/config'], moves), 2)
  t.is(readFileSync(link, 'utf8'), expected)
})

test('a dry run says which servers, and changes nothing', async (t) => {
  const path = kubeconfigWith(wicked)
  const { migration, lines } = testMigration({}, { dryRun: true })
  await pointKubeconfigs(migration, [path], moves)
  t.is(readFileSync(path, 'utf8'), wicked)
  t.deepEqual(lines, [
    `change Set the server of catalyst (https://192.168.1.60:6443), path (https://192.168.1.60:6443/api?x=192.168.1.54) in ${path} would be made`,
  ])
})

test('a server behind an anchor, or written with escapes, or of IPv6, is found too', async (t) => {
  const text = `clusters:
- {name: a, cluster: {server: &s "https:\\/\\/192.168.1.54:6443"}}
- {name: b, cluster: {server: *s}}
`
  const path = kubeconfigWith(text)
  t.is(await pointKubeconfigs(testMigration().migration, [path], moves), 1)
  t.is(readFileSync(path, 'utf8'), text.replace('"https:\\/\\/192.168.1.54:6443"', '"https://192.168.1.60:6443"'))

  const six = kubeconfigWith('clusters: [{name: a, cluster: {server: "https://[FD00:0::54]:6443/"}}]')
  const from = parseAddress('fd00::54', 'test')
  await pointKubeconfigs(testMigration().migration, [six], [{ from, to: parseAddress('fd00::60', 'test') }])
  t.is(readFileSync(six, 'utf8'), 'clusters: [{name: a, cluster: {server: "https://[fd00::60]:6443/"}}]')
})

test('one that cannot be read stops it before any is changed, and nothing of it is repeated', async (t) => {
  const good = kubeconfigWith(wicked)
  const broken: [string | Buffer, RegExp][] = [
    ['clusters: [secret: {', /is not a usable kubeconfig: it is not YAML \(/],
    [Buffer.from([0x61, 0xff, 0x0a]), /is not a usable kubeconfig: it is not UTF-8/],
  ]
  for (const [content, message] of broken) {
    const error = await t.throwsAsync(
      pointKubeconfigs(testMigration().migration, [good, kubeconfigWith(content)], moves),
      {
        instanceOf: OperatorError,
        message,
      },
    )
    t.false(error?.message.includes('secret'))
    t.regex(error?.next ?? '', /OPERATOR_KUBECONFIG/)
  }
  const folder = temporaryFolder('kubeconfig')
  await t.throwsAsync(pointKubeconfigs(testMigration().migration, [good, folder], moves), { message: /EISDIR/ })
  t.is(readFileSync(good, 'utf8'), wicked)
})
