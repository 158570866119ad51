import { readFile } from 'node:fs/promises'
import test from 'ava'
import { OperatorError } from '../../lib/migration/errors.ts'
import { installDisk } from '../../lib/talos/install-disk.ts'
import { differingSecrets, parseMachineConfig, readControlPlaneConfig } from '../../lib/talos/machine-config.ts'

const text = await readFile(new URL('fixtures/controlplane.yaml', import.meta.url), 'utf8')
const foreign = await readFile(new URL('fixtures/foreign.yaml', import.meta.url), 'utf8')
const disk = (dev_path: string, size: number, rest = {}) => ({
  dev_path,
  size,
  readonly: false,
  cdrom: false,
  rotational: false,
  ...rest,
})

test('a config tells name, type, endpoint, authorities and key', (t) => {
  const config = parseMachineConfig(text, 'controlplane.yaml')
  t.is(config.hostname, 'talos00')
  t.is(config.type, 'controlplane')
  t.is(config.endpoint, 'https://192.168.1.54:6443')
  t.is(config.clusterName, 'catalyst-cluster')
  t.regex(config.fingerprints.talos, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/)
  t.is(config.encryption.secretbox?.length, 32)
  t.is(config.encryption.aescbc, undefined)
})

test('a config tells the versions that it installs, where it names them', (t) => {
  const { versions } = parseMachineConfig(text, 'x')
  t.deepEqual(versions, { talos: 'v1.11.1', kubernetes: undefined })
  const images = `  kubelet:\n    image: ghcr.io/siderolabs/kubelet:v1.33.4@sha256:${'0'.repeat(64)}\n  install:\n    disk: /dev/sda\n    image: factory.talos.dev/metal-installer/abc:latest\n`
  const other = text.replace(/ {2}install:\n( {4}.*\n)+/, images)
  t.deepEqual(parseMachineConfig(other, 'x').versions, { talos: undefined, kubernetes: 'v1.33.4' })
})

test('of several documents the v1alpha1 one counts, wherever it stands, and HostnameConfig names the host', (t) => {
  const nameless = text.replace(/\n {2}network:\n {4}hostname: talos00/, '')
  t.is(parseMachineConfig(nameless, 'x').hostname, undefined)
  const documents = `apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: talos07\n---\n${nameless}\n---\napiVersion: v1alpha1\nkind: WatchdogTimerConfig\ndevice: /dev/watchdog0\n`
  const config = parseMachineConfig(documents, 'x')
  t.is(config.hostname, 'talos07')
  t.is(config.text, documents)
})

test('what is no machine config is refused, and never quoted', (t) => {
  const secret = 'AAAAsecretAAAA'
  for (const wrong of [
    '',
    `a: [${secret}`,
    `kind: Pod # ${secret}`,
    `version: v1alpha1\nmachine: ${secret}\ncluster: {}`,
  ]) {
    const error = t.throws(() => parseMachineConfig(wrong, 'FILE'), { instanceOf: OperatorError })
    t.regex(error?.message ?? '', /^FILE is not a Talos machine config/)
    t.false(JSON.stringify([error?.message, error?.means, error?.next]).includes(secret))
  }
})

test('a certificate that is none is named by its field', (t) => {
  const broken = text.replace(/(etcd:\n\s+ca:\n\s+crt: )\S+/, '$1bm90IGEgY2VydA==')
  t.throws(() => parseMachineConfig(broken, 'FILE'), { message: /cluster\.etcd\.ca\.crt/ })
})

test('configs of one bundle share their secrets; those of two share none', (t) => {
  const one = parseMachineConfig(text, 'one')
  t.deepEqual(differingSecrets(one, parseMachineConfig(text.replace('talos00', 'talos01'), 'two')), [])
  t.is(differingSecrets(one, parseMachineConfig(foreign, 'foreign')).length, 4)
})

test('a control plane config that cannot be read says how not to make a new one', async (t) => {
  const error = await t.throwsAsync(readControlPlaneConfig('/nowhere/controlplane.yaml'), { instanceOf: OperatorError })
  t.regex(error?.next ?? '', /secrets bundle/)
})

test('the install disk is found by path, by symlink, and by selector', (t) => {
  const config = parseMachineConfig(text, 'x')
  const present = [
    disk('/dev/sda', 500e9, { symlinks: ['/dev/disk/by-id/ata-x'] }),
    disk('/dev/nvme0n1', 1e12, { model: 'Samsung 990' }),
  ]
  t.is(installDisk(config, present).dev_path, '/dev/sda')
  const bySymlink = { ...config, install: { disk: '/dev/disk/by-id/ata-x', selector: undefined } }
  t.is(installDisk(bySymlink, present).dev_path, '/dev/sda')
  const select = (selector: Record<string, unknown>) => ({ ...config, install: { disk: '/dev/sda', selector } })
  t.is(installDisk(select({ size: '>= 1TB' }), present).dev_path, '/dev/nvme0n1')
  t.is(installDisk(select({ model: 'Samsung*' }), present).dev_path, '/dev/nvme0n1')
  t.is(installDisk(select({ type: 'nvme', size: '<= 1000GB' }), present).dev_path, '/dev/nvme0n1')
})

test('a disk that is absent, too small, read-only or ambiguous is refused with the list of what is there', (t) => {
  const config = parseMachineConfig(text, 'x')
  const refuse = (present: ReturnType<typeof disk>[], pattern: RegExp, install = config.install) => {
    const error = t.throws(() => installDisk({ ...config, install }, present), {
      instanceOf: OperatorError,
      message: pattern,
    })
    return error?.means ?? ''
  }
  t.regex(refuse([disk('/dev/nvme0n1', 1e12)], /\/dev\/sda does not exist/), /nvme0n1 \(1000\.0 GB\)/)
  refuse([], /does not exist/)
  refuse([disk('/dev/sda', 8e9)], /8\.0 GB, and Talos needs 10 GB/)
  refuse([disk('/dev/sda', 8e10, { readonly: true })], /cannot be written/)
  const any = { disk: undefined, selector: { size: '> 1GB' } }
  refuse([disk('/dev/sda', 8e10), disk('/dev/sdb', 8e10)], /fits 2 disks/, any)
  refuse([disk('/dev/sda', 8e10)], /names no disk/, { disk: undefined, selector: undefined })
})
