import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import { bringBack, evacuate } from '../../../lib/kubernetes/evacuation/evacuate.ts'
import { evacuationLabel } from '../../../lib/kubernetes/evacuation/job.ts'
import { daemonPort, daemonUser } from '../../../lib/kubernetes/evacuation/script.ts'
import type { Pod } from '../../../lib/kubernetes/kinds.ts'
import type { OperatorError } from '../../../lib/migration/errors.ts'
import type { Journal } from '../../../lib/migration/journal.ts'
import { readTree } from '../../../lib/rehearsal/volume-trees.ts'
import { temporaryFolder } from '../../temporary-folder.ts'
import { until } from '../bare-cluster.ts'
import { testMigration } from '../test-migration.ts'
import { addNode, claimsAreBound, type SmallHomelab, smallHomelab } from './small-homelab.ts'
import { writeWickedFiles } from './wicked-files.ts'

const worker = 'talos01'
const control = temporaryFolder('rsync-control')
const wicked = ['data-0', 'data-1', 'data-2', 'data-3'].map((name) => `wicked/${name}`)
const all = [...wicked, 'broken/data', 'large/data']
let homelab: SmallHomelab

test.before(async () => {
  // What a test does before rsync copies; the daemon, and what only asks, is left alone.
  const rsync = `#!/bin/sh
case "$*" in *progress2*) if [ -f ${control}/before ]; then . ${control}/before; fi ;; esac
exec /usr/bin/rsync "$@"
`
  mkdirSync(join(control, 'bin'))
  writeFileSync(join(control, 'bin/rsync'), rsync, { mode: 0o755 })
  const volumes = all.map((claim) => ({ claim }))
  homelab = await smallHomelab(volumes, { PATH: `${control}/bin:${process.env.PATH}` }, [worker])
  await claimsAreBound(homelab.api)
})

test.beforeEach(() => rmSync(join(control, 'before'), { force: true }))

test.after.always(() => homelab?.stop())

const local = { EVACUATE_TO: 'local-path', EVACUATE_NODE: worker, EVACUATE_PER_NODE: '2', EVACUATE_TIMEOUT: '420' }

function migrationOf(namespace: string, journal?: Journal) {
  const accepted = all.filter((claim) => !claim.startsWith(`${namespace}/`))
  const settings = { ...local, ACCEPT_DATA_LOSS: accepted.join(',') }
  if (journal) return testMigration(settings, { journal })
  const begun = testMigration(settings)
  begun.journal.append({ type: 'phase', phase: 'drain', state: 'begin' })
  return begun
}

const copyOf = (claim: string) => {
  const name = readdirSync(homelab.diskOf(worker)).find((folder) =>
    folder.endsWith(`_${claim.replace('/', '_evacuated-')}`),
  )
  return join(homelab.diskOf(worker), name ?? '', 'data')
}

const podsOf = (namespace: string) =>
  homelab.api.list<Pod>(`/api/v1/namespaces/${namespace}/pods`, { labelSelector: evacuationLabel })
const running = async (namespace: string, container: string) =>
  (await podsOf(namespace)).filter(
    ({ metadata, spec, status }) =>
      spec.containers?.[0]?.name === container && status.phase === 'Running' && !metadata.deletionTimestamp,
  )

/** Looks until told to stop. @returns how many were seen at once at most, and what daemons said to whoever has no password */
function watch(namespace: string) {
  const seen = { copying: 0, serving: 0, uninvited: new Set<number | null>() }
  let stopped = false
  const ended = (async () => {
    while (!stopped) {
      seen.copying = Math.max(seen.copying, (await running(namespace, 'rsync')).length)
      const daemons = await running(namespace, 'rsyncd')
      seen.serving = Math.max(seen.serving, daemons.length)
      for (const { status } of daemons) {
        const url = `rsync://${daemonUser}@${status.podIP}:${daemonPort}/local/`
        seen.uninvited.add(spawnSync('rsync', [url], { env: { ...process.env, RSYNC_PASSWORD: 'a guess' } }).status)
      }
      await delay(100)
    }
  })()
  return async () => {
    stopped = true
    await ended
    return seen
  }
}

test.serial(
  "whatever a file system holds goes to another node's disk and comes back as it was, two volumes at a time, and to nobody else",
  async (t) => {
    for (const claim of wicked) {
      writeWickedFiles(homelab.folder(claim))
      execFileSync('setfattr', ['-n', 'user.origin', '-v', claim, join(homelab.folder(claim), 'setuid')])
      execFileSync('setfacl', ['-m', 'u:12345:r', join(homelab.folder(claim), '.hidden')])
      writeFileSync(join(homelab.folder(claim), 'claim'), claim)
    }
    writeFileSync(join(control, 'before'), 'sleep 1\n')
    const before = wicked.map((claim) => readTree(homelab.folder(claim)))
    const { migration, journal, lines } = migrationOf('wicked')
    const stop = watch('wicked')
    t.deepEqual(await evacuate(migration, homelab.api), { copied: wicked.length })
    const seen = await stop()
    t.true(seen.copying <= 2 && seen.serving <= 2 && seen.serving > 0, JSON.stringify(seen))
    t.deepEqual(
      [...seen.uninvited].filter((code) => code === 0),
      [],
      'only who has the password is served',
    )
    t.true(
      lines.some((line) => line.includes('wicked/data-0: 9 files')),
      lines.join('\n'),
    )
    t.deepEqual(
      wicked.map((claim) => readTree(copyOf(claim))),
      before,
    )
    await nothingIsServed('wicked')

    homelab.replaceDisk()
    journal.append({ type: 'phase', phase: 'provision', state: 'done' })
    rmSync(join(control, 'before'))
    t.deepEqual(await bringBack(migration, homelab.api), { broughtBack: wicked.length })
    t.deepEqual(
      wicked.map((claim) => readTree(homelab.folder(claim))),
      before,
    )
    await nothingIsServed('wicked')
    for (const [index, claim] of wicked.entries()) {
      const options = ['-aHAXn', '--checksum', '--delete', '--itemize-changes', '--numeric-ids']
      const changes = execFileSync('rsync', [...options, `${copyOf(claim)}/`, `${homelab.folder(claim)}/`])
      t.is(changes.toString(), '', `${index}`)
    }
  },
)

/** Neither a daemon nor its password is left. */
async function nothingIsServed(namespace: string): Promise<void> {
  await until('daemons and passwords are gone', async () => {
    const [jobs, secrets] = await Promise.all(
      [`/apis/batch/v1/namespaces/${namespace}/jobs`, `/api/v1/namespaces/${namespace}/secrets`].map((path) =>
        homelab.api.list(path),
      ),
    )
    const names = [...(jobs ?? []), ...(secrets ?? [])].map(({ metadata }) => metadata.name)
    return names.every((name) => !name.startsWith('serve-'))
  })
}

test.serial(
  'a daemon that is taken away while it serves is started anew, and the copy goes on with what it had',
  async (t) => {
    const folder = homelab.folder('broken/data')
    mkdirSync(folder, { recursive: true })
    for (let i = 1; i < 20; i++) writeFileSync(join(folder, `segment-${i}`), Buffer.alloc(1000 * i, i))
    const before = readTree(folder)
    const serving = join(control, 'serving')
    writeFileSync(join(control, 'before'), `touch ${serving}; while [ -e ${control}/before ]; do sleep 0.1; done\n`)
    const { migration } = migrationOf('broken')
    const evacuation = evacuate(migration, homelab.api)
    evacuation.catch((error) => t.log(error))
    await until('it copies', async () => existsSync(serving))
    const options = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Foreground' }
    await homelab.api.remove('/apis/batch/v1/namespaces/broken/jobs/serve-out-data', options)
    await until('nobody serves', async () => (await running('broken', 'rsyncd')).length === 0)
    rmSync(join(control, 'before'))
    t.deepEqual(await evacuation, { copied: 1 })
    t.deepEqual(readTree(folder), before, 'what was copied from is untouched')
    t.deepEqual(readTree(copyOf('broken/data')), before)
  },
)

test.serial(
  'a volume that would fill the other node so far that its pods were evicted is refused by name',
  async (t) => {
    const folder = homelab.folder('large/data')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'data'), Buffer.alloc(7_500_000, 7))
    const disk = homelab.diskOf(worker)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk])
    t.teardown(() => void execFileSync('umount', ['--lazy', disk]))
    const { migration, journal } = migrationOf('large')
    const error = await t.throwsAsync<OperatorError>(evacuate(migration, homelab.api))
    t.regex(error.message, /large\/data: It needs \d+ KiB, and the target has \d+/)
    execFileSync('mount', ['-o', 'remount,size=32m', disk])
    t.deepEqual(await evacuate(migrationOf('large', journal).migration, homelab.api), { copied: 1 })
    t.deepEqual(readTree(copyOf('large/data')), readTree(folder))
  },
)

test.serial('a local class wants another node that can keep the copies; every other is refused with why', async (t) => {
  await addNode(homelab.api, 'off', {}, 'Unknown')
  await addNode(homelab.api, 'resting', { unschedulable: true })
  await addNode(homelab.api, 'peer', { providerID: 'liqo://aws-gpu' })
  await addNode(homelab.api, 'full')
  await homelab.api.mergePatch('/api/v1/nodes/full/status', {
    status: {
      conditions: [
        { type: 'Ready', status: 'True' },
        { type: 'DiskPressure', status: 'True', message: 'kubelet has disk pressure' },
      ],
    },
  })
  const { journal } = migrationOf('wicked')
  for (const [name, says] of [
    ['', /EVACUATE_TO=local-path is local, and EVACUATE_NODE is not set/],
    ['talos00', /EVACUATE_NODE=talos00 is the machine that goes away/],
    ['nowhere', /EVACUATE_NODE=nowhere: there is no such Node/],
    ['peer', /EVACUATE_NODE=peer is a virtual node/],
    ['off', /EVACUATE_NODE=off is not Ready/],
    ['resting', /EVACUATE_NODE=resting is cordoned/],
    ['full', /EVACUATE_NODE=full has no room: kubelet has disk pressure/],
  ] as const) {
    const { migration } = testMigration({ ...local, EVACUATE_NODE: name }, { journal })
    const error = await t.throwsAsync<OperatorError>(evacuate(migration, homelab.api))
    t.regex(error.message, says)
    t.is(error.exitCode, 2)
    t.regex(error.means ?? '', /Nothing was changed\. Nodes that could keep the copies: talos01\./)
    t.regex(error.next ?? '', /EVACUATE_NODE=talos01/)
  }
})

test.serial('a dry run says on which node each copy would lie, and makes nothing', async (t) => {
  const made = async () => {
    const kinds = ['/apis/batch/v1/jobs', '/api/v1/secrets', '/api/v1/persistentvolumeclaims']
    const lists = await Promise.all(kinds.map((path) => homelab.api.list(path)))
    return lists.flat().map(({ metadata }) => [metadata.namespace, metadata.name, metadata.resourceVersion])
  }
  const before = await made()
  const { migration, lines } = testMigration({ ...local, ACCEPT_DATA_LOSS: 'large/*,broken/*' }, { dryRun: true })
  await evacuate(migration, homelab.api)
  t.is(
    lines.filter((line) => /Copy volume wicked\/data-\d to evacuated-data-\d \(local-path on talos01\)/.test(line))
      .length,
    4,
  )
  t.deepEqual(await made(), before)
})

test.serial(
  'a copy that lies elsewhere, on a node that does not come back, or nowhere any more, is told by name',
  async (t) => {
    const { journal } = migrationOf('broken')
    await addNode(homelab.api, 'talos02')
    const settings = { ...local, EVACUATE_NODE: 'talos02', ACCEPT_DATA_LOSS: 'wicked/*,large/*' }
    const elsewhere = await t.throwsAsync(evacuate(testMigration(settings, { journal }).migration, homelab.api))
    t.regex(elsewhere.message, /broken\/data: its copy evacuated-data lies on talos01: set EVACUATE_NODE to that/)

    const { migration, journal: copied } = migrationOf('broken')
    appendFileSync(join(homelab.folder('broken/data'), 'segment-1'), 'more')
    await evacuate(migration, homelab.api)
    copied.append({ type: 'phase', phase: 'provision', state: 'done' })
    await homelab.api.mergePatch(`/api/v1/nodes/${worker}/status`, {
      status: { conditions: [{ type: 'Ready', status: 'Unknown' }] },
    })
    const impatient = testMigration({ ...local, API_TIMEOUT: '1' }, { journal: copied })
    const off = await t.throwsAsync(bringBack(impatient.migration, homelab.api))
    t.regex(off.message, /Node talos01 is Ready/)
    await homelab.api.mergePatch(`/api/v1/nodes/${worker}/status`, {
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    })
    await homelab.api.remove('/api/v1/namespaces/broken/persistentvolumeclaims/evacuated-data')
    await homelab.api.mergePatch('/api/v1/namespaces/broken/persistentvolumeclaims/evacuated-data', {
      metadata: { finalizers: null },
    })
    const gone = await t.throwsAsync(bringBack(migration, homelab.api))
    t.regex(gone.message, /broken\/data: its copy evacuated-data is gone/)
  },
)
