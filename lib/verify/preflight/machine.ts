import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import * as z from 'zod'
import { formatBytes } from '../../migration/console/bytes.ts'
import { OperatorError } from '../../migration/errors.ts'
import { differences, mainDocument, pathText } from '../../talos/config-fields.ts'
import { databaseBytes, etcdMembers, etcdStatus } from '../../talos/etcd.ts'
import { traitsOf } from '../../talos/join/config.ts'
import { differingSecrets } from '../../talos/machine-config.ts'
import { NotChecked, type Severity } from '../check.ts'
import { etcdFindings } from '../machines.ts'
import type { PreflightCheck } from './context.ts'

const etcdIsHealthy: PreflightCheck = {
  name: 'etcd is healthy',
  run: async (context) => etcdFindings(await context.machine(), context.target),
}

/** etcd's own limit unless --quota-backend-bytes says otherwise, above which it takes no write (https://etcd.io/docs/v3.6/op-guide/maintenance/). */
const quotaBytes = 2 * 1024 ** 3
/** below it, what is free within the file is no matter */
const largeBytes = 100e6

const databaseIsInOrder: PreflightCheck = {
  name: "etcd's database is far from its quota, and not fragmented",
  run: async (context) => {
    const { address } = context.target
    const talosctl = await context.machine()
    const [status, bytes = 0] = await Promise.all([
      etcdStatus(talosctl, context.target),
      databaseBytes(talosctl, context.target),
    ])
    const used = Number(/\(([\d.]+)%\)/.exec(status?.inUse ?? '')?.[1] ?? 100)
    const finding = (evidence: string, severity: Severity) => [
      { subject: `etcd on ${address}`, evidence, severity, wayOut: `talosctl --nodes ${address} etcd defrag` },
    ]
    return [
      ...(status?.errors ? finding(`it reports: ${status.errors}`, 'error') : []),
      ...(bytes > quotaBytes * 0.8
        ? finding(`its database has ${status?.size} of ${formatBytes(quotaBytes)}`, 'error')
        : []),
      ...(bytes > largeBytes && used < 50 ? finding(`of its ${status?.size}, ${used} % are in use`, 'warning') : []),
    ]
  },
}

const kubePrismIsOn: PreflightCheck = {
  name: 'KubePrism is on',
  run: async (context) => {
    if (traitsOf(await context.liveConfig()).kubePrism) return []
    return [
      {
        subject: `the config of ${context.target.address}`,
        evidence: 'it is off: every kubelet goes to the cluster endpoint alone, and is lost when that moves',
        severity: 'warning',
        wayOut: `talosctl --nodes ${context.target.address} patch machineconfig --patch '{"machine":{"features":{"kubePrism":{"enabled":true,"port":7445}}}}'`,
      },
    ]
  },
}

const timeStatus = z.looseObject({ synced: z.boolean(), syncDisabled: z.boolean().default(false) })

const machineKeepsTime: PreflightCheck = {
  name: "The machine's clock is synchronised",
  run: async (context) => {
    const { address } = context.target
    const found = await (await context.machine()).resources(context.target, 'timestatus', timeStatus).catch(() => {
      throw new NotChecked(`${address} does not tell (talosctl get timestatus)`)
    })
    if (found.every(({ spec }) => spec.synced || spec.syncDisabled)) return []
    return [
      {
        subject: address,
        evidence: 'Talos has not reached its time server: certificates and leases go by the clock',
        severity: 'warning',
        wayOut: `Correct machine.time.servers, or the way there: talosctl --nodes ${address} time`,
      },
    ]
  },
}

const controlPlaneIsOneMachine: PreflightCheck = {
  name: 'The control plane is the one machine that is replaced',
  run: async (context) => {
    if (context.settings.scenario === 'C') return []
    const members = await etcdMembers(await context.machine(), context.target)
    if (members.length === 1) return []
    return [
      {
        subject: 'etcd',
        evidence: `it has ${members.length} members: ${members.map((member) => member.hostname).join(', ')}`,
        severity: 'error',
        wayOut:
          'With several members, join the new machine and remove the old one (SCENARIO=C) instead of recovering a snapshot.',
      },
    ]
  },
}

const hostnameIsPinned: PreflightCheck = {
  name: 'The node keeps its name on other hardware',
  run: async (context) => {
    const { nodeName, controlplaneConfig } = context.settings
    const { hostname } = await context.config()
    if (hostname === nodeName) return []
    const absent = hostname === undefined
    return [
      {
        subject: controlplaneConfig,
        evidence: absent
          ? 'machine.network.hostname is not set: other hardware gets another name, and so another Node'
          : `machine.network.hostname is ${hostname}, and NODE_NAME is ${nodeName}`,
        severity: absent ? 'warning' : 'error',
        wayOut: absent
          ? `provision pins it for this evening; put machine.network.hostname: ${nodeName} into the file for good.`
          : 'Correct whichever of the two is wrong.',
      },
    ]
  },
}

const secretsAreTheClusters: PreflightCheck = {
  name: 'CONTROLPLANE_CONFIG has the secrets of the running machine',
  run: async (context) => {
    const [live, wanted] = await Promise.all([context.liveConfig(), context.openConfig()])
    return differingSecrets(live, wanted).map((secret) => ({
      subject: secret,
      evidence: `${context.settings.controlplaneConfig} has another one than the machine: it comes from another secrets bundle`,
      severity: 'error',
      wayOut:
        'No snapshot of this cluster can be recovered with it. Use the config that the machine runs on: talosctl get machineconfig',
    }))
  },
}

const configIsLive: PreflightCheck = {
  name: 'CONTROLPLANE_CONFIG is what the machine runs on',
  run: async (context) => {
    const [live, wanted] = await Promise.all([context.liveConfig(), context.config()])
    const paths = differences(mainDocument(live.text), mainDocument(wanted.text)).map(({ path }) => pathText(path))
    // Paths alone: the values may be secrets.
    return paths.slice(0, 20).map((path) => ({
      subject: path,
      evidence: 'the file and the running machine differ here',
      severity: 'warning',
      wayOut:
        context.settings.configSource === 'live'
          ? 'The new machine gets what the old one runs on. If the file is right: CONFIG_SOURCE=file.'
          : 'The new machine gets what is in the file. If the machine is right, correct the file, or: CONFIG_SOURCE=live.',
    }))
  },
}

const bundle = z.looseObject({
  certs: z.looseObject({
    etcd: z.looseObject({ crt: z.string() }),
    k8s: z.looseObject({ crt: z.string() }),
    os: z.looseObject({ crt: z.string() }),
  }),
})

const bundleIsTheClusters: PreflightCheck = {
  name: 'The secrets bundle is the one of this cluster',
  run: async (context) => {
    const path = context.settings.secretsBundle
    if (path === undefined) return []
    const { fingerprints } = await context.config()
    const { certs } = await readBundle(path)
    const pairs: [string, string, string | undefined][] = [
      ['Talos CA', certs.os.crt, fingerprints.talos],
      ['Kubernetes CA', certs.k8s.crt, fingerprints.kubernetes],
      ['etcd CA', certs.etcd.crt, fingerprints.etcd],
    ]
    return pairs
      .filter(([, crt, wanted]) => new X509Certificate(Buffer.from(crt, 'base64')).fingerprint256 !== wanted)
      .map(([name]) => ({
        subject: `${name} in ${path}`,
        evidence: 'it is not the one of CONTROLPLANE_CONFIG',
        severity: 'error',
        wayOut: 'Configs made from this bundle belong to another cluster. Find the right one, or unset SECRETS_BUNDLE.',
      }))
  },
}

async function readBundle(path: string): Promise<z.output<typeof bundle>> {
  try {
    return bundle.parse(parse(await readFile(path, 'utf8'), { prettyErrors: false }))
  } catch {
    // What a parser says of it may quote it.
    throw new OperatorError(`${path} is not there, or is no secrets bundle.`, {
      next: 'Set SECRETS_BUNDLE to the file that `talosctl gen secrets` wrote for this cluster, or unset it.',
    })
  }
}

/** The machine, its etcd, and the files that the new one is made from. */
export const machineChecks: readonly PreflightCheck[] = [
  etcdIsHealthy,
  databaseIsInOrder,
  kubePrismIsOn,
  machineKeepsTime,
  controlPlaneIsOneMachine,
  hostnameIsPinned,
  secretsAreTheClusters,
  configIsLive,
  bundleIsTheClusters,
]
