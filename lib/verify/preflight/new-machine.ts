import { formatBytes } from '../../migration/console/bytes.ts'
import { type Address, parseAddress } from '../../network/addresses.ts'
import { hardwareOf } from '../../talos/hardware.ts'
import { installDisk } from '../../talos/install-disk.ts'
import type { MachineSeen } from '../../talos/maintenance.ts'
import { verifyMac, verifyNetworkCards } from '../../talos/network-cards.ts'
import type { Talosctl, Target } from '../../talos/talosctl.ts'
import type { Finding, Severity } from '../check.ts'
import type { PreflightCheck, PreflightContext } from './context.ts'

type Waiting = Extract<MachineSeen, { state: 'maintenance' }>
type Look = (context: PreflightContext, talosctl: Talosctl, target: Target, seen: Waiting) => Promise<Finding[]>

/** Before the evening it need not be on; what does not fit is better known now. */
const ifItWaits =
  (look: Look): PreflightCheck['run'] =>
  async (context) => {
    const address = addressOf(context)
    if (address === undefined) return []
    const talosctl = await context.openTalosctl()
    const seen = await context.newMachine(address)
    return seen.state === 'maintenance' ? look(context, talosctl, { address, insecure: true }, seen) : []
  }

/** Where the new machine may be on already, beside the old one. */
function addressOf({ settings }: PreflightContext): Address | undefined {
  const { newMachineAddress, newNodeAddress, nodeAddress } = settings
  const address = newMachineAddress ?? newNodeAddress
  return address === undefined || address === nodeAddress ? undefined : parseAddress(address, 'NEW_MACHINE_ADDRESS')
}

/** What is at NEW_TALOS_NODE in scenario B is looked at with that address. */
const newMachineWaits: PreflightCheck = {
  name: 'The new machine waits in maintenance mode, where it is on',
  run: async (context) => {
    const { newMachineAddress, scenario } = context.settings
    const address = addressOf(context)
    if (address === undefined || (scenario === 'B' && newMachineAddress === undefined)) return []
    const { state, saw } = await context.newMachine(address)
    const finding = (evidence: string, severity: Severity, wayOut: string) => [
      { subject: address, evidence, severity, wayOut },
    ]
    if (state === 'silent' && newMachineAddress !== undefined) {
      return finding(`nobody answers: ${saw}`, 'warning', 'Switch it on, or unset NEW_MACHINE_ADDRESS.')
    }
    if (state === 'running' || state === 'foreign') {
      return finding(
        saw,
        'error',
        'Is it the right machine? Start it from the installation medium, or reset it: talosctl reset',
      )
    }
    return []
  },
}

const newMachineHasTheDisk: PreflightCheck = {
  name: 'The new machine has the disk that the config installs on',
  run: ifItWaits(async (context, _talosctl, _target, { disks }) => {
    const { configSource, installDisk: disk } = context.settings
    const config = await (configSource === 'live' ? context.liveConfig() : context.config())
    installDisk(disk === undefined ? config : { ...config, install: { disk, selector: undefined } }, disks)
    return []
  }),
}

const newMachineHasTheCards: PreflightCheck = {
  name: 'The new machine has the network cards that the config names',
  run: ifItWaits(async (context, _talosctl, target, { identity, cards }) => {
    const { configSource, newMachineMac, configPatch } = context.settings
    verifyMac(target.address, identity, newMachineMac)
    // A patch may name other cards, and is judged by provision.
    if (configPatch !== undefined) return []
    const config = await (configSource === 'live' ? context.liveConfig() : context.config())
    verifyNetworkCards(config, cards)
    return []
  }),
}

const newMachineIsAsLarge: PreflightCheck = {
  name: 'The new machine has the CPU and memory of the old one',
  run: ifItWaits(async (context, talosctl, target) => {
    const old = await hardwareOf(await context.machine(), context.target)
    const next = await hardwareOf(talosctl, target)
    const finding = (subject: string, is: string, was: string): Finding => ({
      subject: `${subject} of ${target.address}`,
      evidence: `${is}, and the old machine has ${was}`,
      severity: 'warning',
      wayOut: 'Is the old one’s load small enough for it? Pods that ask for more than there is stay Pending.',
    })
    return [
      ...(next.threads < old.threads ? [finding('CPU', `${next.threads} threads`, `${old.threads}`)] : []),
      ...(next.memoryBytes < old.memoryBytes
        ? [finding('Memory', formatBytes(next.memoryBytes), formatBytes(old.memoryBytes))]
        : []),
    ]
  }),
}

/** The machine that takes over, if it is on already and has an address of its own. */
export const newMachineChecks: readonly PreflightCheck[] = [
  newMachineWaits,
  newMachineHasTheDisk,
  newMachineHasTheCards,
  newMachineIsAsLarge,
]
