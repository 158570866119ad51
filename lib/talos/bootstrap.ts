import { OperatorError } from '../migration/errors.ts'
import type { Condition } from '../migration/migration.ts'
import { etcdService } from './etcd.ts'
import type { Talosctl, Target } from './talosctl.ts'
import { patiently, TalosctlError } from './talosctl-error.ts'

/** bootstrapped: asked for now. had-data: etcd has been bootstrapped there before, by whom must be proven afterwards. */
export type BootstrapOutcome = 'bootstrapped' | 'had-data'

/** Looks at etcd, a second apart, before an order is repeated whose answer was lost: it may be starting. */
const looksBeforeAgain = 20

/**
 * Has etcd recovered from a snapshot on a machine whose etcd is empty, as soon as the machine takes the order. Never given
 * to an etcd that has members: what a killed run has bootstrapped is found and kept. talosctl's exit code 0 only means
 * that the service was told to start: look at etcd afterwards (oneHealthyVoter).
 * @param snapshot the plain file, in a memory folder; checked before (talosctl panics on one that is cut off)
 * @param timeoutSeconds how long to wait until the machine takes the order (it synchronises its clock first)
 * @param mayBeGiven whether a run that was killed may have given the order already
 */
export function bootstrapFrom(
  talosctl: Talosctl,
  target: Target,
  snapshot: string,
  timeoutSeconds: number,
  mayBeGiven = false,
): Condition<BootstrapOutcome> {
  const args = ['bootstrap', `--recover-from=${snapshot}`]
  return bootstrapAccepted(talosctl, target, args, 'recover etcd', timeoutSeconds, mayBeGiven)
}

/** As bootstrapFrom, with an etcd that begins empty. */
export function bootstrapEmpty(
  talosctl: Talosctl,
  target: Target,
  timeoutSeconds: number,
  mayBeGiven = false,
): Condition<BootstrapOutcome> {
  return bootstrapAccepted(talosctl, target, ['bootstrap'], 'begin a new etcd', timeoutSeconds, mayBeGiven)
}

function bootstrapAccepted(
  talosctl: Talosctl,
  target: Target,
  args: string[],
  order: string,
  timeoutSeconds: number,
  mayBeGiven: boolean,
): Condition<BootstrapOutcome> {
  let looksLeft = mayBeGiven ? looksBeforeAgain : 0
  return {
    name: `${target.address} accepts the order to ${order}`,
    timeoutSeconds,
    everyMs: 1000,
    hint: `The machine may be waiting for its clock: talosctl --nodes ${target.address} get timestatus`,
    probe: () =>
      patiently(async () => {
        // Before its bootstrap the service is prepared and does not run.
        const { running } = await etcdService(talosctl, target)
        if (running) return { met: true, value: 'had-data' as const }
        if (looksLeft-- > 0) return { met: false, saw: 'the order may have been given; etcd does not run yet' }
        try {
          await talosctl.run(target, args, { deadline: 300 })
          return { met: true, value: 'bootstrapped' as const }
        } catch (error) {
          if (error instanceof TalosctlError && error.reason === 'already-exists')
            return { met: true, value: 'had-data' as const }
          if (error instanceof TalosctlError && ['silent', 'broke-off'].includes(error.reason))
            looksLeft = looksBeforeAgain
          throw error
        }
      }),
  }
}

/**
 * Compares the cluster that came up with the one that was to be recovered.
 * @throws OperatorError when they are not the same
 */
export function verifyRecovered(address: string, wanted: string, found: string | undefined): void {
  if (wanted === found) return
  throw new OperatorError(`The cluster at ${address} is not the one that was to be recovered.`, {
    means: `Its namespace kube-system has the UID ${found ?? '(none)'}; the snapshot's is ${wanted}. Its etcd was bootstrapped empty, or from another snapshot.`,
    next: `Reset the machine (talosctl reset --nodes ${address} --graceful=false --reboot --system-labels-to-wipe STATE --system-labels-to-wipe EPHEMERAL) and run: task migrate:provision`,
  })
}

/**
 * Makes sure that the cluster that came up is a new one, and, when the run has seen it before, the same new one.
 * @param old the UID of kube-system in the backup, and `known` that of the cluster that this run has begun
 * @throws OperatorError when it is another
 */
export function verifyNew(address: string, old: string | undefined, known: string | undefined, found: string): void {
  const reset = `Reset the machine (talosctl reset --nodes ${address} --graceful=false --reboot --system-labels-to-wipe STATE --system-labels-to-wipe EPHEMERAL) and run: task migrate:provision`
  if (found === old) {
    throw new OperatorError(`The cluster at ${address} is the old one, and not a new one to be rebuilt.`, {
      means: 'Its etcd was recovered from a snapshot: nothing has to be restored into it.',
      next: `Go on with it: task migrate:provision RECOVERY=snapshot. Or rebuild all the same. ${reset}`,
    })
  }
  if (known === undefined || known === found) return
  throw new OperatorError(`The cluster at ${address} is not the one that this run has begun.`, {
    means: `Its namespace kube-system has the UID ${found}, and had ${known}. Its etcd was begun again.`,
    next: reset,
  })
}
