import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { OperatorError } from '../lib/migration/errors.ts'
import { variables } from '../lib/settings/variables.ts'
import { loadSettings, projectFolder } from '../lib/settings.ts'
import { temporaryFolder } from './temporary-folder.ts'

function folderWith(files: Record<string, string>): string {
  const folder = temporaryFolder('settings')
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

const complete = [
  'CLUSTER_NAME=small',
  'NODE_NAME=node1',
  'TALOS_NODE=127.0.0.9',
  'TALOS_VERSION=v1.11.1',
  'KUBERNETES_VERSION=v1.34.0',
  'BACKUP_DIR=./backup',
].join('\n')

test('CLUSTER=catalyst gives the values of the runbook', (t) => {
  const settings = loadSettings({ CLUSTER: 'catalyst' })
  t.is(settings.clusterName, 'catalyst-cluster')
  t.is(settings.nodeName, 'talos00')
  t.is(settings.nodeAddress, '192.168.1.54')
  t.is(settings.meshAddress, '10.42.1.1')
  t.is(settings.clusterEndpoint, 'https://192.168.1.54:6443')
  t.is(settings.talosVersion, 'v1.11.1')
  t.is(settings.kubernetesVersion, 'v1.34.0')
  t.deepEqual(settings.statefulNamespaces, ['observability', 'monitoring'])
  t.deepEqual(settings.localStorageClasses, ['local-path'])
  t.deepEqual(settings.nfsStorageClasses, ['fatboy-nfs-appdata', 'truenas-nfs', 'synology-nfs'])
  t.true(Object.isFrozen(settings))
})

test('the environment wins over the file, and an empty variable counts as not set', (t) => {
  const ENV_DIR = folderWith({ 'small.env': complete })
  const settings = loadSettings({ CLUSTER: 'small', ENV_DIR, TALOS_NODE: '127.0.0.10', NODE_NAME: '' })
  t.is(settings.nodeAddress, '127.0.0.10')
  t.is(settings.nodeName, 'node1')
  t.is(settings.clusterEndpoint, 'https://127.0.0.10:6443')
})

test('in scenario B an endpoint that names the old machine moves, and a DNS name or another address stays', (t) => {
  const ENV_DIR = folderWith({ 'small.env': complete })
  const after = (more: Record<string, string>) =>
    loadSettings({ CLUSTER: 'small', ENV_DIR, SCENARIO: 'B', NEW_TALOS_NODE: '127.0.0.57', ...more }).newClusterEndpoint
  t.is(after({}), 'https://127.0.0.57:6443')
  t.is(after({ CLUSTER_ENDPOINT: 'https://127.0.0.9:443' }), 'https://127.0.0.57:443')
  t.is(after({ CLUSTER_ENDPOINT: 'https://k8s.home:6443' }), 'https://k8s.home:6443')
  t.is(after({ CLUSTER_ENDPOINT: 'https://127.0.0.100:6443' }), 'https://127.0.0.100:6443')
  t.is(after({ NEW_CLUSTER_ENDPOINT: 'https://k8s.home:6443' }), 'https://k8s.home:6443')
  t.is(after({ NEW_TALOS_NODE: 'fd00::57' }), 'https://[fd00::57]:6443')
  t.is(after({ SCENARIO: 'A' }), 'https://127.0.0.9:6443')
})

test('what the new machine is made from is what the old one ran on in scenario B, and the file otherwise', (t) => {
  const ENV_DIR = folderWith({ 'small.env': complete })
  const source = (more: Record<string, string>) => loadSettings({ CLUSTER: 'small', ENV_DIR, ...more }).configSource
  t.is(source({ SCENARIO: 'A' }), 'file')
  t.is(source({ SCENARIO: 'B' }), 'live')
  t.is(source({ SCENARIO: 'B', CONFIG_SOURCE: 'file' }), 'file')
})

test('paths are absolute, relative to HOMELAB_DIR', (t) => {
  const ENV_DIR = folderWith({ 'small.env': complete })
  const settings = loadSettings({ CLUSTER: 'small', ENV_DIR, HOMELAB_DIR: '/homelab', TALOSCONFIG: 'configs/other' })
  t.is(settings.talosconfig, '/homelab/configs/other')
  t.is(settings.backupDir, '/homelab/backup')
})

test('the control plane config is looked for where homelabs keep it', (t) => {
  const ENV_DIR = folderWith({ 'small.env': complete })
  const homelab = temporaryFolder('homelab')
  const found = () => loadSettings({ CLUSTER: 'small', ENV_DIR, HOMELAB_DIR: homelab }).controlplaneConfig
  t.is(found(), join(homelab, 'configs/controlplane.yaml'))
  mkdirSync(join(homelab, 'configs/nodes'), { recursive: true })
  writeFileSync(join(homelab, 'configs/nodes/controlplane.yaml'), '')
  t.is(found(), join(homelab, 'configs/nodes/controlplane.yaml'))
})

test('all mistakes are reported at once, each with the variable, the value and what is expected', (t) => {
  const ENV_DIR = folderWith({ 'small.env': complete.replace('CLUSTER_NAME=small', '') })
  const wrong = {
    TALOS_NODE: '192.168.1.540',
    TALOS_VERSION: '1.11',
    DRAIN_TIMEOUT: 'soon',
    SCENARIO: 'D',
    AGE_RECIPIENTS: 'ssh-rsa AAAA',
  }
  const error = t.throws(() => loadSettings({ CLUSTER: 'small', ENV_DIR, ...wrong }), { instanceOf: OperatorError })
  t.is(error?.exitCode, 2)
  for (const part of [
    'CLUSTER_NAME is not set',
    'TALOS_NODE=192.168.1.540 (from the environment): expected an IP address',
    'TALOS_VERSION=1.11 (from the environment): expected a version with its v',
    'DRAIN_TIMEOUT=soon (from the environment): expected a whole number of seconds',
    'SCENARIO=D (from the environment): expected A',
    'AGE_RECIPIENTS=ssh-rsa AAAA (from the environment): expected age recipients',
  ]) {
    t.true(error?.what.includes(part), `${part}\nis not in\n${error?.what}`)
  }
})

test('an unknown cluster is refused with exit code 2, naming those that there are', (t) => {
  const ENV_DIR = folderWith({ 'small.env': complete, 'example.env': '' })
  for (const CLUSTER of ['large', undefined, '../small', 'example']) {
    const error = t.throws(() => loadSettings({ CLUSTER, ENV_DIR }), { instanceOf: OperatorError })
    t.is(error?.exitCode, 2)
    t.regex(error?.means ?? '', /small/)
  }
})

test('env/example.env documents every variable, and no other', (t) => {
  const example = readFileSync(join(projectFolder, 'env', 'example.env'), 'utf8')
  const documented = [...example.matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name)
  t.deepEqual(documented.toSorted(), Object.keys(variables).toSorted())
  for (const name of documented) {
    const before = example.slice(0, example.indexOf(`\n${name}=`))
    const section = before.slice(before.lastIndexOf('\n\n'))
    t.true(section.includes('# '), `${name} stands there without a word about what it is`)
  }
})

test('env/example.env says of every variable what its default is, or that it is required', (t) => {
  const example = readFileSync(join(projectFolder, 'env', 'example.env'), 'utf8')
  for (const [name, schema] of Object.entries(variables)) {
    const before = example.slice(0, example.indexOf(`\n${name}=`))
    const comment = before.slice(before.lastIndexOf('\n\n'))
    const byDefault = schema.safeParse(undefined)
    if (!byDefault.success) t.regex(comment, /Required\./, name)
    else if (byDefault.data === undefined) t.regex(comment, /Default: /, name)
    else t.true(comment.includes(`Default: ${shown(byDefault.data)}`), `${name}: ${shown(byDefault.data)}`)
  }
})

test('the migrate tasks hand every variable on', (t) => {
  const taskfile = readFileSync(join(projectFolder, 'Taskfile.migrate.yml'), 'utf8')
  const listed = /MIGRATE_SETTINGS: >-\n([\s\S]*?)\n\n/.exec(taskfile)?.[1]?.trim().split(/\s+/) ?? []
  t.deepEqual(listed.toSorted(), ['CLUSTER', 'ENV_DIR', ...Object.keys(variables)].toSorted())
})

function shown(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(',')
  return String(value)
}
