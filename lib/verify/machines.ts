import { messageOf } from '../migration/errors.ts'
import { parseAddress } from '../network/addresses.ts'
import type { Settings } from '../settings.ts'
import { etcdAlarms, etcdMembers, etcdService } from '../talos/etcd.ts'
import type { Talosctl, Target } from '../talos/talosctl.ts'
import type { Severity } from './check.ts'
import type { NamedFinding } from './comparison.ts'

const check = 'etcd is healthy'

/** The machine that is the control plane now: the new address once there is one. */
export function controlPlane(settings: Pick<Settings, 'newNodeAddress' | 'nodeAddress'>): Target {
  return { address: parseAddress(settings.newNodeAddress ?? settings.nodeAddress, 'NEW_TALOS_NODE or TALOS_NODE') }
}

/** What is wrong with etcd, as the machine itself sees it: its service, its members, its alarms. */
export async function etcdFindings(talosctl: Talosctl, target: Target): Promise<NamedFinding[]> {
  const finding = (evidence: string, severity: Severity = 'error'): NamedFinding => ({
    check,
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
