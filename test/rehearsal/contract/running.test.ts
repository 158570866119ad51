import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import * as z from 'zod'
import { talosconfigOfRole, talosconfigOfStranger } from './credentials.ts'
import { resourcesIn } from './resources.ts'
import { eventually, mirrorPods, openRunning, withApi } from './running.ts'
import { isInMaintenance, isReal, openReal, type PracticeTarget, run, type Target } from './target.ts'

const target: Target = isReal ? await openReal() : await openRunning()
const check = !isReal || !(await isInMaintenance(target)) ? test.serial : test.serial.skip
const checkWithConfig = target.controlplaneConfig === null ? test.serial.skip : check
const changing = isReal ? test.serial.skip : test.serial
const config = target.controlplaneConfig ?? ''

test.after.always(() => target.close())

const listed = async (...args: string[]) => resourcesIn(await target.talosctl('get', ...args, '--output', 'json'))
const specs = async <T>(type: string, schema: z.ZodType<T>) => (await listed(type)).map((one) => schema.parse(one.spec))

check('version tells the release of the machine', async (t) => {
  const answer = await target.talosctl('version')
  t.is(answer.exitCode, 0, answer.text)
  t.regex(answer.stdout, /Server:\s+NODE:\s+\S+\s+Tag:\s+v1\./)
})

check('the cluster is healthy, as talosctl sees it from outside', async (t) => {
  const answer = await target.talosctl('health', '--server=false', '--wait-timeout', '80s')
  t.is(answer.exitCode, 0, answer.text)
  t.regex(answer.text, /all k8s nodes to report schedulable: OK/)
})

check('the cluster is healthy, as the machine itself sees it', async (t) => {
  const answer = await target.talosctl('health', '--wait-timeout', '80s')
  t.is(answer.exitCode, 0, answer.text)
  t.regex(answer.text, /discovered nodes: .*\n(.*\n)*.*all k8s nodes to report schedulable: OK/)
})

check('health names the nodes that it does not find', async (t) => {
  const nodes = ['--control-plane-nodes', `${target.address},192.0.2.7`]
  const answer = await target.talosctl('health', '--server=false', '--wait-timeout', '3s', ...nodes)
  t.not(answer.exitCode, 0)
  t.regex(answer.text, /192\.0\.2\.7|deadline/)
})

changing('a directory is copied with all that is below it, into one that is there already', async (t) => {
  const volume = join((target as PracticeTarget).cluster.old.disk, 'EPHEMERAL/local-path-provisioner/pvc-1/below')
  mkdirSync(volume, { recursive: true })
  writeFileSync(join(volume, 'file'), 'what is in it')
  const into = join(target.folder, 'copied')
  mkdirSync(into)
  const answer = await target.talosctl('copy', '/var/local-path-provisioner', into)
  t.is(answer.exitCode, 0, answer.text)
  t.is(readFileSync(join(into, 'pvc-1/below/file'), 'utf8'), 'what is in it')
})

check('members lists the machine with its type and address', async (t) => {
  const member = z.object({ addresses: z.array(z.string()), machineType: z.string(), hostname: z.string() }).loose()
  const own = (await specs('members', member)).find((one) => one.addresses.includes(target.address))
  t.is(own?.machineType, 'controlplane')
})

check('the machine config can be read by an administrator', async (t) => {
  const [active] = await listed('machineconfig', 'v1alpha1')
  t.regex(JSON.stringify(active?.spec), /type: controlplane/)
})

check('its stage is running, and it is ready', async (t) => {
  const status = z.object({ stage: z.string(), status: z.object({ ready: z.boolean() }).loose() })
  t.like((await specs('machinestatus', status))[0], { stage: 'running', status: { ready: true } })
})

check('its hostname is the name of its node', async (t) => {
  const [hostname] = await specs('hostname', z.object({ hostname: z.string() }).loose())
  const [nodename] = await specs('nodename', z.object({ nodename: z.string() }).loose())
  t.is(nodename?.nodename, hostname?.hostname.toLowerCase())
})

check('it knows its addresses, links, disks, and the one that it is installed on', async (t) => {
  for (const type of ['addresses', 'nodeaddresses', 'links', 'disks', 'discoveredvolumes', 'systeminformation']) {
    t.not((await listed(type)).length, 0, type)
  }
  const [system] = await specs('systemdisk', z.object({ devPath: z.string() }).loose())
  t.regex(system?.devPath ?? '', /^\/dev\//)
})

check('its volumes are ready', async (t) => {
  const volume = z.object({ phase: z.string(), size: z.number() }).loose()
  const [ephemeral] = (await listed('volumestatus', 'EPHEMERAL')).map((one) => volume.parse(one.spec))
  t.is(ephemeral?.phase, 'ready')
  t.true((ephemeral?.size ?? 0) > 0)
})

check('its static pods are those of the control plane, and run', async (t) => {
  const components = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler']
  const rendered = (await listed('staticpods')).map((one) => one.metadata.id)
  const running = (await listed('staticpodstatus')).map((one) => one.metadata.id)
  for (const name of components) {
    t.true(rendered.includes(name))
    t.true(running.some((id) => id.startsWith(`kube-system/${name}-`)))
  }
})

check('its services run, and those with a health check are healthy', async (t) => {
  const service = z.object({ running: z.boolean(), healthy: z.boolean(), unknown: z.boolean() })
  const services = await listed('services')
  for (const id of ['apid', 'machined', 'etcd', 'kubelet', 'trustd']) {
    const one = services.find((each) => each.metadata.id === id)
    t.true(one !== undefined && service.parse(one.spec).running, id)
  }
  const shown = await target.talosctl('services')
  t.regex(shown.stdout, /etcd\s+Running\s+OK/)
})

check('etcd has this machine as member, without alarm', async (t) => {
  const members = await target.talosctl('etcd', 'members')
  t.true(members.stdout.includes(`https://${target.address}:2380`), members.text)
  const [own] = await specs('etcdmembers', z.object({ memberID: z.string() }))
  t.true(members.stdout.includes(own?.memberID ?? 'no member'))
  const status = await target.talosctl('etcd', 'status')
  t.is(status.exitCode, 0, status.text)
  const alarms = await target.talosctl('etcd', 'alarm', 'list')
  t.is(alarms.exitCode, 0, alarms.text)
})

check('a snapshot of etcd carries its own checksum', async (t) => {
  const path = join(target.folder, 'etcd.snapshot')
  const answer = await target.talosctl('etcd', 'snapshot', path)
  t.is(answer.exitCode, 0, answer.text)
  const bytes = readFileSync(path)
  t.is(statSync(path).size % 512, 32)
  t.deepEqual(createHash('sha256').update(bytes.subarray(0, -32)).digest(), bytes.subarray(-32))
})

check(
  'the kubeconfig opens the Kubernetes API, where the node is ready and every control plane pod has its mirror',
  async (t) => {
    const [nodename] = await specs('nodename', z.object({ nodename: z.string() }).loose())
    await withApi(target, async (api) => {
      const status = z
        .object({ conditions: z.array(z.object({ type: z.string(), status: z.string() }).loose()) })
        .loose()
      const node = await api.get(`/api/v1/nodes/${nodename?.nodename}`)
      t.like(
        status.parse(node.status).conditions.find((one) => one.type === 'Ready'),
        { status: 'True' },
      )
      t.true((await mirrorPods(api)).length >= 3)
    })
  },
)

checkWithConfig('a reader reads what is not secret, and nothing else', async (t) => {
  const reader = ['--talosconfig', await talosconfigOfRole(target, config, 'os:reader'), '--nodes', target.address]
  const asked = (...args: string[]) => run(target.talosctlPath, [...args, ...reader])
  t.is((await asked('get', 'members')).exitCode, 0)
  t.is((await asked('etcd', 'members')).exitCode, 0)
  for (const refused of [
    ['get', 'machineconfig'],
    ['kubeconfig', join(target.folder, 'refused')],
  ]) {
    const answer = await asked(...refused)
    t.not(answer.exitCode, 0)
    t.regex(answer.text, /PermissionDenied/)
  }
})

changing('a reader shuts nothing down, and reboots, resets and bootstraps nothing', async (t) => {
  const reader = ['--talosconfig', await talosconfigOfRole(target, config, 'os:reader'), '--nodes', target.address]
  for (const verb of [
    ['shutdown', '--wait=false'],
    ['reboot', '--wait=false'],
    ['reset', '--wait=false'],
    ['bootstrap'],
  ]) {
    t.regex((await run(target.talosctlPath, [...verb, ...reader])).text, /PermissionDenied/)
  }
})

check('a stranger with credentials of another cluster is not let in', async (t) => {
  const stranger = ['--talosconfig', await talosconfigOfStranger(target), '--nodes', target.address]
  const answer = await run(target.talosctlPath, ['version', ...stranger, '--endpoints', target.address])
  t.not(answer.exitCode, 0)
  t.regex(answer.text, /certificate|x509|tls/i)
})

check('whoever has no credentials is not let in', async (t) => {
  t.not((await target.insecure('get', 'disks')).exitCode, 0)
})

checkWithConfig('a dry run of apply-config tells what it would do', async (t) => {
  const answer = await target.talosctl('apply-config', '--file', config, '--dry-run')
  t.is(answer.exitCode, 0, answer.text)
  t.regex(answer.text, /Dry run summary/)
})

check('a config that talosctl validate refuses is refused by the running machine', async (t) => {
  const invalid = join(target.folder, 'invalid.yaml')
  writeFileSync(invalid, 'version: v1alpha1\nmachine:\n  type: controlplane\n')
  const answer = await target.talosctl('apply-config', '--file', invalid, '--dry-run')
  t.not(answer.exitCode, 0)
  t.regex(answer.text, /InvalidArgument.*validation failed/)
})

changing('a second bootstrap answers AlreadyExists', async (t) => {
  const answer = await target.talosctl('bootstrap')
  t.not(answer.exitCode, 0)
  t.regex(answer.text, /AlreadyExists/)
})

changing('etcd can be defragmented', async (t) => {
  const answer = await target.talosctl('etcd', 'defrag')
  t.is(answer.exitCode, 0, answer.text)
})

changing('a mirror pod that is deleted comes back under its name', async (t) => {
  await withApi(target, async (api) => {
    const before = (await mirrorPods(api)).find((pod) => pod.metadata.name.startsWith('kube-scheduler-'))
    t.truthy(before)
    await api.remove(`/api/v1/namespaces/kube-system/pods/${before?.metadata.name}`)
    const after = await eventually('the new mirror pod', async () =>
      (await mirrorPods(api)).find(
        (pod) => pod.metadata.name === before?.metadata.name && pod.metadata.uid !== before?.metadata.uid,
      ),
    )
    t.is(after.metadata.deletionTimestamp, undefined)
  })
})
