import { drainOptions } from '../../kubernetes/drain-options.ts'
import { lookAhead } from '../../kubernetes/drain-outlook.ts'
import { fullName } from '../../kubernetes/kinds.ts'
import { singleInstancesOn } from '../../kubernetes/single-instances.ts'
import { readVolumes } from '../../kubernetes/volumes.ts'
import { installDisk } from '../../talos/install-disk.ts'
import { traitsOf } from '../../talos/join/config.ts'
import { talosVersion } from '../../talos/talosctl.ts'
import type { Finding } from '../check.ts'
import type { JoinCheck } from './context.ts'

const machineIsThere: JoinCheck = {
  name: 'The machine waits for a config, or is a worker of this cluster',
  run: ({ candidate, node }) => {
    const subject = `${node.name} (${node.address})`
    if (candidate.state === 'silent') {
      const wayOut = 'Boot it from the Talos ISO or network image: it is waited for (MACHINE_TIMEOUT).'
      return [{ subject, evidence: candidate.saw, severity: 'warning', wayOut }]
    }
    if (!('config' in candidate) || candidate.config.hostname === node.name) return []
    const evidence = `the machine there is called ${candidate.config.hostname ?? 'nothing'}`
    return [
      {
        subject,
        evidence,
        severity: 'error',
        wayOut: 'A worker keeps its name when it is promoted. Correct NODE, or IP.',
      },
    ]
  },
}

const diskFits: JoinCheck = {
  name: 'It has the disk that the config installs on',
  run: ({ candidate, wanted }) => {
    // A worker's own disk is in use, and was chosen before.
    if (candidate.state === 'maintenance') installDisk(wanted, candidate.disks)
    return []
  },
}

/** What is on its own disk is gone when it is reset. */
const nothingIsLost: JoinCheck = {
  name: 'The worker holds no local volume that would be lost',
  run: async ({ api, candidate, node, settings }) => {
    if (candidate.state !== 'worker') return []
    const volumes = await readVolumes(api, { ...settings, nodeName: node.name })
    return volumes
      .filter(({ fate, acceptedBy }) => fate === 'lost' && acceptedBy === null)
      .map(({ claim, size, usedBy }) => ({
        subject: claim,
        evidence: `${size} on the disk of ${node.name}, which is emptied; used by ${usedBy.join(', ') || 'nobody'}`,
        severity: 'error',
        wayOut: `Move its data elsewhere. If it may be lost: ACCEPT_DATA_LOSS=${claim}`,
      }))
  },
}

const singleInstances: JoinCheck = {
  name: 'No workload has its only replica on the worker',
  run: async ({ api, candidate, node }) => {
    if (candidate.state !== 'worker') return []
    return (await singleInstancesOn(api, node.name)).map((workload) => ({
      subject: workload,
      evidence: `its only replica runs on ${node.name}`,
      severity: 'warning',
      wayOut: 'It is away until it has started elsewhere. Scale it to two before, if it must not be.',
    }))
  },
}

/** What a drain would refuse or wait for in vain is better known before the worker is cordoned. */
const podsMayGo: JoinCheck = {
  name: 'The pods of the worker may be evicted',
  run: async ({ api, candidate, node, settings, now }) => {
    if (candidate.state !== 'worker') return []
    const outlook = await lookAhead(api, [node.name], { ...drainOptions({}, settings), now })
    const refused = outlook.refused.map(({ pod, notes }) =>
      finding(
        `Pod ${fullName(pod)}`,
        notes.join('; '),
        'Save what it holds, then delete it, give it a controller, or EMPTYDIR_DATA=delete.',
      ),
    )
    const blocked = outlook.blockers
      .filter(({ hopeless }) => hopeless)
      .map(({ budget, reason, wayOut }) => finding(`PodDisruptionBudget ${budget}`, reason, wayOut))
    return [...refused, ...blocked]
  },
}

const comesBackAtItsAddress: JoinCheck = {
  name: 'The machine is found again when it is empty',
  run: ({ candidate, node }) => {
    if (candidate.state !== 'worker') return []
    const own = traitsOf(candidate.config).staticAddresses
    if (own.length === 0) return []
    const evidence = `its address is static (${own.join(', ')}), and its config is emptied with it: it comes back with whatever DHCP gives`
    return [finding(node.name, evidence, `Reserve ${node.address} for it in the DHCP server first.`, 'warning')]
  },
}

const sameImage: JoinCheck = {
  name: 'It runs the Talos of the control plane, with the same extensions',
  run: async ({ talosctl, candidate, pattern, node }) => {
    if (!('extensions' in candidate)) return []
    const { extensions } = candidate
    const lacking = pattern.extensions.filter((each) => !extensions.includes(each))
    const version =
      candidate.state === 'worker' ? await talosVersion(talosctl, { address: node.address }) : pattern.talos
    const image = traitsOf(pattern.config).installImage ?? 'the image that Talos chooses'
    return [
      ...(version === pattern.talos
        ? []
        : [
            finding(
              node.name,
              `it runs Talos ${version}, the control plane ${pattern.talos}`,
              `talosctl --nodes ${node.address} upgrade`,
            ),
          ]),
      ...(lacking.length === 0
        ? []
        : [
            finding(
              node.name,
              `its running image lacks ${lacking.join(', ')}; ${image} is installed`,
              'Is the schematic of that image the right one for this hardware? https://factory.talos.dev',
              'warning',
            ),
          ]),
    ]
  },
}

function finding(subject: string, evidence: string, wayOut: string, severity: Finding['severity'] = 'error'): Finding {
  return { subject, evidence, severity, wayOut }
}

/** The machine that joins. */
export const machineChecks: readonly JoinCheck[] = [
  machineIsThere,
  diskFits,
  nothingIsLost,
  singleInstances,
  podsMayGo,
  comesBackAtItsAddress,
  sameImage,
]
