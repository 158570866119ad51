import { basename, isAbsolute } from 'node:path'
import test from 'ava'
import { HealthyHomelab } from './healthy-homelab.ts'
import { ofFiles } from './sicknesses/of-files.ts'
import { ofMachines } from './sicknesses/of-machines.ts'
import { ofTheCluster } from './sicknesses/of-the-cluster.ts'
import { ofTheNetwork } from './sicknesses/of-the-network.ts'

let homelab: HealthyHomelab

test.before(async () => {
  homelab = await HealthyHomelab.make()
})

test.after.always(() => homelab?.destroy())

test.serial('of a homelab that is well, nothing is said, and all is looked at', async (t) => {
  const { found, notChecked } = await homelab.preflight()
  t.deepEqual(found, [])
  t.deepEqual(notChecked, [])
})

for (const { what, settings, parts, sicken, found: expected } of [
  ...ofMachines,
  ...ofFiles,
  ...ofTheCluster,
  ...ofTheNetwork,
]) {
  const title = expected.length === 0 ? 'nothing is said of' : 'found, with nothing besides:'
  test.serial(`${title} ${what}`, async (t) => {
    const cure = await sicken?.(homelab)
    try {
      const { found } = await homelab.preflight(await homelab.pathsIn(settings), parts)
      const told = found.map(({ severity, check, subject }) => [severity, check, nameless(subject)])
      t.deepEqual(told.sort(), expected.toSorted())
      for (const { evidence, wayOut } of found) t.true(evidence !== '' && wayOut !== '')
    } finally {
      await cure?.()
    }
  })
}

test.serial('each of them could be taken back', async (t) => {
  const { found } = await homelab.preflight()
  t.deepEqual(found, [])
})

/** Without what is another in each run: paths of files, and the API server's address. */
function nameless(subject: string): string {
  if (subject === homelab.folder) return 'HOMELAB_DIR'
  if (subject === homelab.cluster.api.server) return 'API'
  const path = subject.split(' ').at(-1) ?? ''
  const isOurs = isAbsolute(path) && !path.startsWith('/nowhere') && path !== '/dev/shm'
  return isOurs ? subject.replace(path, basename(path)) : subject
}
