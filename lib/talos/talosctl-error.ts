import { OperatorError } from '../migration/errors.ts'
import type { Probe } from '../migration/migration.ts'

/** Why talosctl said no. The transient ones may be otherwise a second later, and a wait goes on over them. */
export type TalosctlReason =
  | 'refused'
  | 'silent'
  | 'broke-off'
  | 'certificate'
  | 'client-certificate-needed'
  | 'talosconfig'
  | 'maintenance'
  | 'unimplemented'
  | 'denied'
  | 'already-exists'
  | 'not-ready'
  | 'not-found'
  | 'no-room'
  | 'other'

/** talosctl's standard error, understood. */
export class TalosctlError extends OperatorError {
  readonly reason: TalosctlReason
  /** whether waiting can help */
  readonly transient: boolean

  constructor(reason: TalosctlReason, what: string, options: { means?: string; next?: string; transient?: boolean }) {
    const { transient = false, ...told } = options
    super(what, told)
    this.name = 'TalosctlError'
    this.reason = reason
    this.transient = transient
  }
}

interface Call {
  /** the sub-command, such as `etcd members` */
  command: string
  address: string
  talosconfig: string
}

interface Rule {
  pattern: RegExp
  reason: TalosctlReason
  transient?: boolean
  what: (call: Call) => string
  means?: (call: Call) => string
  next?: (call: Call) => string
}

// gRPC's own words (code = …), Go's crypto/tls and net, and the messages of machined's API server. The order matters:
// a failed handshake is also "Unavailable".
const rules: Rule[] = [
  {
    pattern: /no space left on device/i,
    reason: 'no-room',
    what: ({ command }) => `There is no room for what "${command}" writes.`,
    means: () => "A plain snapshot goes into memory, as large as etcd's database.",
    next: () => 'Set MEMORY_DIR to a larger tmpfs, or enlarge it: mount -o remount,size=2G /dev/shm',
  },
  {
    pattern: /certificate required/i,
    reason: 'client-certificate-needed',
    what: ({ address }) => `The machine at ${address} runs Talos and asks for a client certificate.`,
    means: () => 'It has a machine config already: it is not in maintenance mode.',
  },
  {
    pattern: /x509:|tls: (bad|unknown|expired) certificate|unknown certificate authority|handshake failed/i,
    reason: 'certificate',
    what: ({ address, talosconfig }) => `The machine at ${address} and ${talosconfig} do not trust each other.`,
    means: () => 'The talosconfig belongs to another cluster, has expired, or the machine is in maintenance mode.',
    next: ({ address }) =>
      `Point TALOSCONFIG at this cluster's file. To see whether the machine is in maintenance mode: talosctl get disks --insecure --nodes ${address}`,
  },
  {
    pattern: /failed to determine endpoints|no context|error reading config|talos config file is empty/i,
    reason: 'talosconfig',
    what: ({ talosconfig }) => `${talosconfig} is not a usable talosconfig.`,
    next: () => 'Point TALOSCONFIG at the file that `talosctl gen config` has written for this cluster.',
  },
  {
    pattern: /connection refused/i,
    reason: 'refused',
    transient: true,
    what: ({ address }) => `Nothing listens on ${address}:50000.`,
    means: () => 'The machine is off, still booting, or another one has its address.',
    next: () => 'Look at its screen, and at TALOS_NODE.',
  },
  {
    pattern: /no route to host|i\/o timeout|network is unreachable|DeadlineExceeded|deadline exceeded|timed out/i,
    reason: 'silent',
    transient: true,
    what: ({ address, command }) => `The machine at ${address} does not answer (talosctl ${command}).`,
    means: () => 'It is off, still booting, or not reachable from here.',
    next: () => 'Look at its screen, its cable, and at TALOS_NODE.',
  },
  {
    pattern: /not (supported|available|implemented) in maintenance mode|maintenance mode/i,
    reason: 'maintenance',
    what: ({ address, command }) =>
      `The machine at ${address} is in maintenance mode; ${command} needs a configured one.`,
    next: () => 'Apply its machine config first: task migrate:provision',
  },
  {
    pattern: /Unimplemented/,
    reason: 'unimplemented',
    what: ({ address, command }) => `The machine at ${address} does not know "${command}".`,
    means: () => 'It runs another version of Talos, or is in maintenance mode, where most calls are missing.',
  },
  {
    pattern: /PermissionDenied|not authorized/i,
    reason: 'denied',
    what: ({ talosconfig, command }) => `${talosconfig} has no right to "${command}".`,
    means: () => 'Its role is not os:admin.',
    next: () => 'Use the talosconfig of an administrator.',
  },
  {
    pattern: /AlreadyExists|etcd data directory is not empty/i,
    reason: 'already-exists',
    what: ({ address }) => `etcd on ${address} has data already.`,
    means: () => 'It was bootstrapped before. A second bootstrap would not recover anything.',
  },
  {
    pattern: /FailedPrecondition|bootstrap is not available yet|time is not in sync|not ready/i,
    reason: 'not-ready',
    transient: true,
    what: ({ address, command }) => `The machine at ${address} is not ready for "${command}" yet.`,
  },
  {
    pattern: /NotFound|not found|doesn't exist/i,
    reason: 'not-found',
    what: ({ address, command }) => `The machine at ${address} does not have what "${command}" asks for.`,
  },
  {
    pattern: /Unavailable|Canceled|EOF|connection reset|broken pipe|transport is closing/i,
    reason: 'broke-off',
    transient: true,
    what: ({ address, command }) => `The machine at ${address} broke off (talosctl ${command}).`,
    means: () => 'It is starting, restarting or going down.',
  },
]

/**
 * Turns what talosctl wrote to standard error into an error with a meaning.
 * @param stderr all of it; only its last lines are shown, and none that could hold a config
 */
export function understand(stderr: string, call: Call): TalosctlError {
  const said = lastLines(stderr)
  for (const rule of rules) {
    if (!rule.pattern.test(stderr)) continue
    const means = [rule.means?.(call), said && `talosctl said: ${said}`].filter(Boolean).join(' ')
    const next = rule.next?.(call)
    return new TalosctlError(rule.reason, rule.what(call), {
      ...(means ? { means } : {}),
      ...(next ? { next } : {}),
      transient: rule.transient ?? false,
    })
  }
  return new TalosctlError('other', `talosctl ${call.command} failed on ${call.address}.`, {
    means: said ? `talosctl said: ${said}` : 'talosctl said nothing.',
  })
}

function lastLines(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim())
  return lines.filter(Boolean).slice(-2).join(' / ').slice(0, 400)
}

/** The error as what was seen, without its full stop: it stands within a sentence. */
export function seenIn(error: TalosctlError): string {
  return error.what.replace(/\.$/, '')
}

/**
 * For probes of a wait: what may be otherwise in a second counts as "not yet"; everything else aborts the wait.
 * @param probe may throw TalosctlError
 */
export async function patiently<T>(probe: () => Promise<Probe<T>>): Promise<Probe<T>> {
  try {
    return await probe()
  } catch (error) {
    if (error instanceof TalosctlError && error.transient) return { met: false, saw: seenIn(error) }
    throw error
  }
}
