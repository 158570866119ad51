import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { clusterInReach } from '../../../lib/rewrite/cluster/reach.ts'
import { testMigration } from '../../kubernetes/test-migration.ts'
import { temporaryFolder } from '../../temporary-folder.ts'

test('a cluster that cannot be asked is said to be left out, and why', async (t) => {
  const kubeconfig = join(temporaryFolder('reach'), 'kubeconfig')
  const none = testMigration({ KUBECONFIG: kubeconfig })
  t.is(await clusterInReach(none.migration), undefined)
  t.regex(none.lines.join('\n'), /^warn The cluster is not looked into: there is no kubeconfig /)

  const cluster = { server: 'https://127.0.0.1:1', 'insecure-skip-tls-verify': true }
  const contexts = [{ name: 'x', context: { cluster: 'x', user: 'x' } }]
  const file = {
    clusters: [{ name: 'x', cluster }],
    contexts,
    users: [{ name: 'x', user: {} }],
    'current-context': 'x',
  }
  writeFileSync(kubeconfig, JSON.stringify(file))
  const closed = testMigration({ KUBECONFIG: kubeconfig })
  t.is(await clusterInReach(closed.migration), undefined)
  t.regex(closed.lines.join('\n'), /^warn .*https:\/\/127\.0\.0\.1:1 does not answer.*the same command again/)
})
