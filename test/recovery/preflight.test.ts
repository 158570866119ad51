import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { restoreListPath } from '../../lib/recovery/decision.ts'
import { restoreListFits } from '../../lib/recovery/preflight.ts'
import { runChecks } from '../../lib/verify/check.ts'
import { LiveContext } from '../../lib/verify/preflight/context.ts'
import { startBareCluster } from '../kubernetes/bare-cluster.ts'
import { testMigration } from '../kubernetes/test-migration.ts'

test('preflight finds a list that is not there, leaves something out, or does not fit', async (t) => {
  const cluster = await startBareCluster()
  t.teardown(() => cluster.stop())
  const folder = mkdtempSync(join(tmpdir(), 'preflight-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }))
  const { settings } = testMigration({ KUBECONFIG: cluster.kubeconfig, OUTPUT_DIR: folder }).migration
  const metadata = { name: 'notes', namespace: 'default' }
  await cluster.api.create('/api/v1/namespaces', { metadata: { name: 'default' } }).catch(() => undefined)
  await cluster.api.create('/api/v1/namespaces/default/configmaps', { metadata })
  const look = async (list?: string) => {
    if (list !== undefined) writeFileSync(restoreListPath(settings), list)
    const context = new LiveContext(settings, new Date())
    const [result] = await runChecks([restoreListFits], context)
    await context.close()
    return (result?.findings ?? []).map(({ severity, evidence }) => `${severity}: ${evidence}`).join()
  }
  t.regex(await look(), /^warning: it is not there/)
  t.regex(await look('# nothing\n'), /^warning: neither in Git nor in it, and so lost: configmaps default\/notes/)
  t.is(await look('configmaps default/notes\n'), '')
  t.regex(await look('configmaps default/nots\n'), /^error: .* names what .* does not have: configmaps default\/nots/)
  t.regex(await look('ConfigMap default/notes\n'), /^error: .* cannot be read: line 1/)
})
