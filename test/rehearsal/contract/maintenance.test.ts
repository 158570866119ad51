import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import * as z from 'zod'
import { resourcesIn } from './resources.ts'
import { isInMaintenance, isReal, openPractice, openReal, type Target } from './target.ts'

const target: Target = isReal ? await openReal() : await openMaintenance()
const check = !isReal || (await isInMaintenance(target)) ? test.serial : test.serial.skip
const checkWithConfig = target.controlplaneConfig === null ? test.serial.skip : check
const config = target.controlplaneConfig ?? ''

async function openMaintenance(): Promise<Target> {
  const practice = await openPractice()
  practice.cluster.old.powerOn()
  await practice.cluster.old.waitFor('maintenance-ready', { timeoutSeconds: 30 })
  return practice
}

test.after.always(() => target.close())

const listed = async (...args: string[]) => resourcesIn(await target.insecure('get', ...args, '--output', 'json'))

check('a machine in maintenance mode shows its disks to anybody', async (t) => {
  const disk = z.object({ dev_path: z.string(), size: z.number(), readonly: z.boolean() }).loose()
  const disks = (await listed('disks')).map((one) => disk.parse(one.spec))
  t.true(disks.some((one) => !one.readonly && one.size > 0 && one.dev_path.startsWith('/dev/')))
})

check('it can be told from another machine by its UUID and its hardware address', async (t) => {
  const [system] = await listed('systeminformation')
  t.regex(z.object({ uuid: z.string() }).loose().parse(system?.spec).uuid, /^[0-9a-f-]{36}$/i)
  const link = z.object({ hardwareAddr: z.string(), type: z.string() }).loose()
  const cards = (await listed('links')).map((one) => link.parse(one.spec)).filter((one) => one.type === 'ether')
  t.true(cards.some((one) => /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(one.hardwareAddr)))
})

check('it knows the address that it is asked at', async (t) => {
  const address = z.object({ address: z.string() }).loose()
  const addresses = (await listed('addresses')).map((one) => address.parse(one.spec).address.split('/')[0])
  t.true(addresses.includes(target.address))
})

check('its stage is maintenance', async (t) => {
  const [status] = await listed('machinestatus')
  t.is(z.object({ stage: z.string() }).loose().parse(status?.spec).stage, 'maintenance')
})

check('it belongs to no cluster', async (t) => {
  t.deepEqual(await listed('members'), [])
  t.deepEqual(await listed('nodename'), [])
})

check('version --insecure is Unimplemented in maintenance mode', async (t) => {
  const answer = await target.insecure('version')
  t.not(answer.exitCode, 0)
  t.regex(answer.text, /Unimplemented/)
})

check('a sensitive resource is refused to whoever has no client certificate', async (t) => {
  const answer = await target.insecure('get', 'machineconfig')
  t.not(answer.exitCode, 0)
  t.regex(answer.text, /PermissionDenied.*not authorized/)
})

check('a resource type that does not exist is refused by name', async (t) => {
  const answer = await target.insecure('get', 'flyingpigs')
  t.not(answer.exitCode, 0)
  t.regex(answer.text, /NotFound.*flyingpigs/)
})

check('a talosconfig does not open it: its certificate is its own', async (t) => {
  const answer = await target.talosctl('get', 'disks')
  t.not(answer.exitCode, 0)
  t.regex(answer.text, /certificate|x509|tls/i)
})

checkWithConfig('a dry run of apply-config changes nothing', async (t) => {
  const answer = await target.insecure('apply-config', '--file', config, '--dry-run')
  t.is(answer.exitCode, 0, answer.text)
  t.true(await isInMaintenance(target))
})

checkWithConfig('apply-config takes no mode in maintenance that needs a running machine', async (t) => {
  for (const mode of ['staged', 'no-reboot']) {
    const answer = await target.insecure('apply-config', '--file', config, '--mode', mode)
    t.not(answer.exitCode, 0)
    t.regex(answer.text, /Unimplemented.*not supported in maintenance mode/)
  }
})

check('a config that talosctl validate refuses is refused by the machine', async (t) => {
  const invalid = join(target.folder, 'invalid.yaml')
  writeFileSync(invalid, 'version: v1alpha1\nmachine:\n  type: controlplane\n')
  const answer = await target.insecure('apply-config', '--file', invalid, '--dry-run')
  t.not(answer.exitCode, 0)
  t.regex(answer.text, /InvalidArgument.*validation failed/)
  t.true(await isInMaintenance(target))
})

check('what is no config at all is refused', async (t) => {
  const nonsense = join(target.folder, 'nonsense.yaml')
  writeFileSync(nonsense, 'machine: [\n')
  t.not((await target.insecure('apply-config', '--file', nonsense, '--dry-run')).exitCode, 0)
})
