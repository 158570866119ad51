import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { parseAllDocuments } from 'yaml'
import * as z from 'zod'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import type { PracticeMachine } from '../lib/rehearsal/practice-machine.ts'
import { projectFolder } from '../lib/settings.ts'
import { openPractice, type PracticeTarget } from './rehearsal/contract/target.ts'

/*
 * Every target of Taskfile.talos.yml, typed in a homelab that includes it, with the real talosctl, against one practice machine: in the order in
 * which a machine meets them.
 */

const withinSeconds = 120
let target: PracticeTarget
let machine: PracticeMachine
let homelab: string

test.before(async () => {
  target = await openPractice()
  machine = target.cluster.old
  homelab = target.cluster.homelab.folder
  const include = `version: '3'\nincludes:\n  talos: ${join(projectFolder, 'Taskfile.talos.yml')}\n`
  writeFileSync(join(homelab, 'Taskfile.yaml'), include)
  machine.powerOn()
})

test.after.always(() => target?.close())

/** Types `task NAME …` in the homelab, with yes to its prompt. */
async function task(...args: string[]): Promise<{ code: number | null; output: string }> {
  const { talosctl, task: binary } = target.cluster.binaries
  const variables = [`TALOS_NODE=${target.address}`, `TALOSCTL=${talosctl}`]
  const child = spawn(binary, ['--yes', '--exit-code', ...args, ...variables], { cwd: homelab })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })))
}

const withCa = z.object({ machine: z.object({ ca: z.object({ crt: z.string() }) }) })

function caOf(config: string): string {
  return withCa.parse(parseAllDocuments(readFileSync(config, 'utf8'))[0]?.toJS()).machine.ca.crt
}

test.serial(
  'gen-config makes configs of the cluster whose secrets bundle there is, and for nobody else to read',
  async (t) => {
    const folder = join(homelab, 'anew')
    mkdirSync(folder)
    const made = await task('talos:gen-config', `CONFIGS_DIR=${folder}`, 'SECRETS_BUNDLE=./configs/secrets.yaml')
    t.is(made.code, 0, made.output)
    t.is(caOf(join(folder, 'controlplane.yaml')), caOf(join(homelab, 'configs/controlplane.yaml')))
    for (const file of ['controlplane.yaml', 'worker.yaml', 'talosconfig']) {
      t.is(statSync(join(folder, file)).mode & 0o77, 0, file)
    }
    t.is((await task('talos:gen-config')).code, 1)
  },
)

test.serial('gen-config makes a bundle of its own where there is none and no cluster', async (t) => {
  const made = await task('talos:gen-config', `CONFIGS_DIR=${join(homelab, 'another')}`)
  t.is(made.code, 0, made.output)
  t.is(statSync(join(homelab, 'another/secrets.yaml')).mode & 0o77, 0)
  t.not(caOf(join(homelab, 'another/controlplane.yaml')), caOf(join(homelab, 'configs/controlplane.yaml')))
})

test.serial('apply-config INSECURE=true gives a machine in maintenance mode its config', async (t) => {
  await machine.waitFor('maintenance-ready', { timeoutSeconds: withinSeconds })
  const applied = await task('talos:apply-config', 'INSECURE=true')
  t.is(applied.code, 0, applied.output)
  await machine.waitFor('booted', { timeoutSeconds: withinSeconds })
})

test.serial('bootstrap begins an etcd once, and is refused where it runs', async (t) => {
  const first = await task('talos:bootstrap')
  t.is(first.code, 0, first.output)
  await machine.waitFor('node-ready', { timeoutSeconds: withinSeconds })
  const second = await task('talos:bootstrap')
  t.not(second.code, 0)
  t.regex(second.output, /runs already: nothing is bootstrapped/)
})

test.serial('kubeconfig fetches one that lets in, for its owner alone', async (t) => {
  const fetched = await task('talos:kubeconfig')
  t.is(fetched.code, 0, fetched.output)
  const path = join(homelab, '.output/kubeconfig')
  t.is(statSync(path).mode & 0o77, 0)
  const api = await KubernetesApi.fromFile(path)
  t.is(String(await api.raw('/readyz')), 'ok')
  api.close()
})

test.serial('apply-config without INSECURE goes by the talosconfig', async (t) => {
  const applied = await task('talos:apply-config')
  t.is(applied.code, 0, applied.output)
})

test.serial('health, etcd-members and etcd-snapshot look, and a snapshot overwrites nothing', async (t) => {
  const [health, members, snapshot] = await Promise.all([
    task('talos:health'),
    task('talos:etcd-members'),
    task('talos:etcd-snapshot', 'FILE=./.output/etcd.db'),
  ])
  t.is(health.code, 0, health.output)
  t.is(members.code, 0, members.output)
  t.regex(members.output, /talos00/)
  t.is(snapshot.code, 0, snapshot.output)
  const file = statSync(join(homelab, '.output/etcd.db'))
  t.is(file.size % 512, 32)
  t.is(file.mode & 0o77, 0)
  const again = await task('talos:etcd-snapshot', 'FILE=./.output/etcd.db')
  t.not(again.code, 0)
  t.regex(again.output, /is not overwritten/)
})

test.serial('shutdown powers the machine off', async (t) => {
  const down = await task('talos:shutdown')
  t.is(down.code, 0, down.output)
  await machine.waitUntilOff(withinSeconds)
  t.false(machine.running)
})

test.serial('reset empties the disk, and the machine waits for a config again', async (t) => {
  const since = Date.now()
  machine.powerOn()
  await machine.waitFor('booted', { timeoutSeconds: withinSeconds, since })
  const begun = Date.now()
  const reset = await task('talos:reset')
  t.is(reset.code, 0, reset.output)
  await machine.waitFor('maintenance-ready', { timeoutSeconds: withinSeconds, since: begun })
  t.is((await target.insecure('get', 'disks')).exitCode, 0)
})
