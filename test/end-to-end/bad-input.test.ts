import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { compareTruths } from '../../lib/rehearsal/proofs.ts'
import { runTalosctl } from '../../lib/rehearsal/run-talosctl.ts'
import { readTruth } from '../../lib/rehearsal/truth.ts'
import { type Practice, practise } from './on-practice-cluster.ts'

interface Case {
  name: string
  command: string[]
  exitCode: 1 | 2
  says: RegExp[]
}

/** Every mistake is made against one running cluster, which has to be the same after all of them. */
test('bad input ends with a clear error, exit code 1 or 2, and nothing changed', async (t) => {
  const practice = await practise(t, { fixture: 'small' })
  const snapshot = await takeSnapshot(practice)
  const foreign = await foreignConfigs(practice)
  for (const { name, command, exitCode, says } of [
    ...wrongSettings(practice, foreign),
    ...wrongRecoveries(practice, snapshot, foreign),
  ]) {
    const before = filesOf(practice)
    const result = await practice.task(command)
    t.is(result.exitCode, exitCode, `${name}\n${result.output}`)
    for (const words of says) t.regex(result.output, words, name)
    t.regex(result.output, /What to do:/, name)
    t.notRegex(result.output, /nobody expected/, name)
    t.deepEqual(filesOf(practice), before, name)
  }
  await clusterIsTheSame(t, practice)
})

test('a machine at the address that is configured for another cluster is not given our config', async (t) => {
  const practice = await practise(t, { fixture: 'small' })
  const snapshot = await takeSnapshot(practice)
  const foreign = await foreignConfigs(practice)
  await practice.cluster.old.cutPower()
  const stranger = practice.cluster.addMachine('stranger')
  stranger.powerOn()
  await stranger.waitFor('maintenance-ready', { timeoutSeconds: 60 })
  const { address, talosctl } = { address: practice.cluster.address, talosctl: practice.cluster.binaries.talosctl }
  await runTalosctl(talosctl, ['apply-config', '--insecure', '--nodes', address, '--file', foreign.controlplane])
  await stranger.waitFor('booted', { timeoutSeconds: 60 })
  const { exitCode, output } = await practice.task(['migrate:provision', `SNAPSHOT=${snapshot}`])
  t.is(exitCode, 1, output)
  t.regex(output, /is not in maintenance mode/)
  t.false(stranger.timeline.some(({ event }) => event === 'bootstrap-requested'))
})

function wrongSettings({ cluster }: Practice, foreign: { talosconfig: string }): Case[] {
  const oldTalosctl = executable(
    cluster.folder,
    'talosctl-1.10',
    'echo "Client v1.10.6"; echo "Client:"; echo "	Tag: v1.10.6"',
  )
  return [
    {
      name: 'unknown CLUSTER',
      command: ['migrate:backup', 'CLUSTER=nowhere'],
      exitCode: 2,
      says: [/Unknown cluster: CLUSTER=nowhere/, /rehearsal/],
    },
    {
      name: 'missing variables',
      command: ['migrate:backup', 'CLUSTER=empty', `ENV_DIR=${emptyCluster(cluster.folder)}`],
      exitCode: 2,
      says: [/CLUSTER_NAME is not set/, /TALOS_NODE is not set/, /BACKUP_DIR is not set/],
    },
    {
      name: 'TALOS_NODE is no address',
      command: ['migrate:backup', 'TALOS_NODE=talos00'],
      exitCode: 2,
      says: [/TALOS_NODE=talos00 .*expected an IP address/],
    },
    {
      name: 'talosctl absent',
      command: ['migrate:backup', `TALOSCTL=${cluster.folder}/absent`],
      exitCode: 1,
      says: [/talosctl/],
    },
    {
      name: 'talosctl of another minor version',
      command: ['migrate:backup', `TALOSCTL=${oldTalosctl}`],
      exitCode: 1,
      says: [/1\.10/, /1\.11/],
    },
    {
      name: 'talosconfig of another cluster',
      command: ['migrate:backup', `TALOSCONFIG=${foreign.talosconfig}`],
      exitCode: 1,
      says: [/talosconfig/i],
    },
    {
      name: 'no recipient',
      command: ['migrate:backup', 'CLUSTER=keyless', `ENV_DIR=${keylessCluster(cluster)}`],
      exitCode: 2,
      says: [/AGE_RECIPIENTS/],
    },
    { name: 'a phase out of order', command: ['migrate:shutdown'], exitCode: 1, says: [/comes after migrate:drain/] },
  ]
}

function wrongRecoveries(
  { cluster }: Practice,
  snapshot: string,
  foreign: { talosconfig: string; controlplane: string },
): Case[] {
  const cut = join(cluster.folder, 'cut.snapshot')
  copyFileSync(snapshot, cut)
  truncateSync(cut, 1_000_000)
  const flipped = join(cluster.folder, 'empty.snapshot')
  writeFileSync(flipped, '')
  const theirs = [`TALOSCONFIG=${foreign.talosconfig}`, `CONTROLPLANE_CONFIG=${foreign.controlplane}`]
  return [
    {
      name: 'truncated snapshot',
      command: ['migrate:provision', `SNAPSHOT=${cut}`],
      exitCode: 1,
      says: [/cut\.snapshot/],
    },
    {
      name: 'empty snapshot',
      command: ['migrate:provision', `SNAPSHOT=${flipped}`],
      exitCode: 1,
      says: [/empty\.snapshot/],
    },
    { name: 'no such snapshot', command: ['migrate:provision', 'SNAPSHOT=./nowhere'], exitCode: 1, says: [/nowhere/] },
    {
      name: 'snapshot of another secrets bundle',
      command: ['migrate:provision', `SNAPSHOT=${snapshot}`, ...theirs],
      exitCode: 1,
      says: [/snapshot/i, /secrets|bundle/i],
    },
    {
      name: 'old machine alive',
      command: ['migrate:provision', `SNAPSHOT=${snapshot}`],
      exitCode: 1,
      says: [/old machine is still alive/],
    },
  ]
}

async function takeSnapshot({ cluster }: Practice): Promise<string> {
  const path = join(cluster.folder, 'plain.snapshot')
  await cluster.talosctlOnNode('etcd', 'snapshot', path)
  return path
}

/** The credentials and the config of another cluster with the same address and names: another secrets bundle. */
async function foreignConfigs({ cluster }: Practice): Promise<{ talosconfig: string; controlplane: string }> {
  const folder = join(cluster.folder, 'foreign')
  const patch = JSON.stringify({ machine: { network: { hostname: 'talos00' } } })
  const endpoint = `https://${cluster.address}:6443`
  const generate = ['gen', 'config', 'catalyst-cluster', endpoint, '--output', folder, '--config-patch', patch]
  await runTalosctl(cluster.binaries.talosctl, [
    ...generate,
    '--kubernetes-version',
    '1.34.0',
    '--install-disk',
    '/dev/sda',
  ])
  const talosconfig = join(folder, 'talosconfig')
  await runTalosctl(cluster.binaries.talosctl, ['config', 'endpoint', cluster.address, '--talosconfig', talosconfig])
  return { talosconfig, controlplane: join(folder, 'controlplane.yaml') }
}

function emptyCluster(folder: string): string {
  writeFileSync(join(folder, 'empty.env'), '')
  return folder
}

function keylessCluster({ folder, homelab }: Practice['cluster']): string {
  const file = join(folder, 'keyless.env')
  copyFileSync(join(homelab.envDir, 'rehearsal.env'), file)
  appendFileSync(file, 'AGE_RECIPIENTS=\n')
  return folder
}

function executable(folder: string, name: string, body: string): string {
  const path = join(folder, name)
  writeFileSync(path, `#!/bin/sh\n${body}\n`)
  chmodSync(path, 0o755)
  return path
}

// What a refused command may not leave behind: a backup that looks like one, a changed file of the homelab.
function filesOf({ cluster }: Practice): string[] {
  const { folder, backupDir } = cluster.homelab
  const names = (path: string) => (existsSync(path) ? readdirSync(path, { recursive: true }).map(String) : [])
  rmSync(join(folder, '.output/migrate'), { recursive: true, force: true })
  return [...names(backupDir).map((name) => `backup/${name}`), ...names(folder)].toSorted()
}

async function clusterIsTheSame(t: ExecutionContext, { cluster, before }: Practice): Promise<void> {
  const api = await cluster.api()
  try {
    for (const { claim, against } of compareTruths(before, await readTruth(api))) t.deepEqual(against, [], claim)
  } finally {
    api.close()
  }
}
