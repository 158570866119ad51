import type { Options, ProcessPromise } from 'zx/core'

/** A process of its own, in a group of its own, silent, and with a deadline. @param deadlineSeconds after which all of the group is killed */
export function inGroupOfItsOwn(deadlineSeconds: number): Partial<Options> {
  return {
    detached: true,
    quiet: true,
    nothrow: true,
    timeout: deadlineSeconds * 1000,
    timeoutSignal: 'SIGKILL',
    // By default zx looks for the children in the process list; the group is exact, and needs no ps.
    kill: async (pid, signal) => killGroup(Number(pid), signal ?? 'SIGTERM'),
  }
}

const running = new Set<ProcessPromise>()
process.on('exit', () => {
  for (const { pid } of running) if (pid !== undefined) killGroup(pid, 'SIGKILL')
})

/**
 * Waits for a process that is in a group of its own. When this process ends before it, as after a second Ctrl-C, it ends as well: a call that
 * went on would change a machine after the run was said to be stopped.
 */
export async function endsWithUs(started: ProcessPromise): Promise<Awaited<ProcessPromise>> {
  running.add(started)
  try {
    return await started
  } finally {
    running.delete(started)
  }
}

function killGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal)
  } catch {
    // It has ended by itself in the same instant.
  }
}
