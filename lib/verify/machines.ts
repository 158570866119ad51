import * as z from 'zod'
import { messageOf } from '../migration/errors.ts'
import { parseAddress } from '../network/addresses.ts'
import { describeDoors, isOff, knockAtAllDoors } from '../network/ports.ts'
import type { Settings } from '../settings.ts'
import { etcdAlarms, etcdMembers, etcdService } from '../talos/etcd.ts'
import type { Talosctl, Target } from '../talos/talosctl.ts'
import type { Finding, Severity } from './check.ts'

/** The machine that is the control plane now: in scenario B the one at the new address. */
export function controlPlane(settings: Pick<Settings, 'scenario' | 'newNodeAddress' | 'nodeAddress'>): Target {
  const { scenario, newNodeAddress, nodeAddress } = settings
  const address = scenario === 'B' ? (newNodeAddress ?? nodeAddress) : nodeAddress
  return { address: parseAddress(address, 'NEW_TALOS_NODE or TALOS_NODE') }
}

const serviceState = z.looseObject({ running: z.boolean(), healthy: z.boolean(), unknown: z.boolean().default(false) })
const machineState = z.looseObject({
  stage: z.string(),
  status: z
    .looseObject({
      ready: z.boolean(),
      unmetConditions: z.array(z.looseObject({ name: z.string(), reason: z.string() })).nullish(),
    })
    .optional(),
})

/**
 * What Talos says of the machine and its services: what `talosctl health` goes by, without its refusal of Nodes that Talos did not make.
 * Source: Talos reference, runtime.talos.dev, MachineStatuses and Services (v1alpha1)
 */
export async function machineFindings(talosctl: Talosctl, target: Target): Promise<Finding[]> {
  const finding = (subject: string, evidence: string, wayOut: string): Finding => ({
    ...{ subject, evidence, wayOut, severity: 'error', converging: true },
  })
  const [machines, services] = await Promise.all([
    talosctl.resources(target, 'machinestatus', machineState),
    talosctl.resources(target, 'services', serviceState),
  ])
  const unwell = machines.filter(({ spec }) => spec.stage !== 'running' || spec.status?.ready === false)
  return [
    ...unwell.map(({ spec: { stage, status } }) => {
      const unmet = (status?.unmetConditions ?? []).map(({ name, reason }) => `; ${name}: ${reason}`)
      return finding(`the machine at ${target.address}`, `its stage is ${stage}${unmet.join('')}`, 'talosctl dmesg')
    }),
    ...services
      // Of one that has no health check nothing is known, and that is well.
      .filter(({ spec }) => !spec.running || (!spec.healthy && !spec.unknown))
      .map(({ id, spec }) => {
        const evidence = spec.running ? 'it runs, and is not healthy' : 'it does not run'
        return finding(
          `service ${id} on ${target.address}`,
          evidence,
          `talosctl --nodes ${target.address} service ${id}`,
        )
      }),
  ]
}

/** Scenario B: what still answers at the old address. The old machine must stay fenced, and whoever goes there is to be refused. */
export async function oldAddressFindings(settings: Pick<Settings, 'scenario' | 'nodeAddress'>): Promise<Finding[]> {
  if (settings.scenario !== 'B') return []
  const address = parseAddress(settings.nodeAddress, 'TALOS_NODE')
  const doors = await knockAtAllDoors(address)
  if (isOff(doors, address)) return []
  const finding = {
    subject: address,
    evidence: describeDoors(doors),
    wayOut: 'If it is the old machine, switch it off: two control planes with one identity must never run at once.',
  }
  return [{ ...finding, severity: Object.values(doors).includes('open') ? 'error' : 'warning' }]
}

/** What is wrong with etcd, as the machine itself sees it: its service, its members, its alarms. */
export async function etcdFindings(talosctl: Talosctl, target: Target): Promise<Finding[]> {
  const finding = (evidence: string, severity: Severity = 'error'): Finding => ({
    subject: `etcd on ${target.address}`,
    evidence,
    severity,
    wayOut: `talosctl --nodes ${target.address} service etcd; talosctl --nodes ${target.address} etcd status`,
    converging: true,
  })
  try {
    const [service, members, alarms] = await Promise.all([
      etcdService(talosctl, target),
      etcdMembers(talosctl, target),
      etcdAlarms(talosctl, target),
    ])
    const voters = members.filter((member) => !member.learner).length
    return [
      ...(service.running && service.healthy ? [] : [finding('the service is not healthy')]),
      ...alarms.map((alarm) => finding(`it raises the alarm ${alarm}`)),
      ...members
        .filter((member) => member.learner)
        .map((member) => finding(`${member.hostname} is a learner still, not a voter`)),
      // Two voters tolerate no failure, and are worse than one.
      ...(voters === 2 ? [finding('it has two voters, which tolerate no failure at all')] : []),
    ]
  } catch (error) {
    return [finding(messageOf(error))]
  }
}
