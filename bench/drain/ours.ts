// The contender: one node, cordoned and drained by the very functions that migrate:drain calls, with its journal on the disk.
import { join } from 'node:path'
import { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { drain } from '../../lib/kubernetes/drain.ts'
import { drainOptions } from '../../lib/kubernetes/drain-options.ts'
import { lookAhead } from '../../lib/kubernetes/drain-outlook.ts'
import { cordon } from '../../lib/kubernetes/nodes.ts'
import { systemClock } from '../../lib/migration/clock.ts'
import { createConsole } from '../../lib/migration/console.ts'
import { Interrupt } from '../../lib/migration/interrupt.ts'
import { Journal } from '../../lib/migration/journal.ts'
import { Migration } from '../../lib/migration/migration.ts'
import { loadSettings } from '../../lib/settings.ts'

const [kubeconfig = '', node = '', runFolder = ''] = process.argv.slice(2)
const settings = loadSettings({ CLUSTER: 'catalyst', KUBECONFIG: kubeconfig, NODE_NAME: node })
const never = () => undefined
const migration = new Migration({
  settings,
  console: createConsole(),
  clock: systemClock,
  journal: Journal.open(join(runFolder, 'journal.jsonl'), systemClock.now),
  interrupt: new Interrupt(never, never),
  phase: 'drain',
  runFolder,
  dryRun: false,
  flags: {},
  prompt: { secret: async () => undefined, confirm: async () => undefined },
})
const options = drainOptions({}, settings)
const api = await KubernetesApi.fromFile(kubeconfig)
await cordon(migration, api, node)
await drain(migration, api, await lookAhead(api, [node], { ...options, now: systemClock.now() }), options)
api.close()
