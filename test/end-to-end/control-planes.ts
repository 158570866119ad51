import { runTask } from '../../lib/rehearsal/run-task.ts'
import { openRunning } from '../rehearsal/contract/running.ts'
import type { PracticeTarget } from '../rehearsal/contract/target.ts'
import { recordsOf, type TaskResult } from './on-practice-cluster.ts'

/** A small cluster to join: one control plane, no workloads, and an operator who types tasks. */
export interface SmallCluster {
  readonly target: PracticeTarget
  readonly cluster: PracticeTarget['cluster']
  /** @returns what the task said, and its exit code */
  task(args: string[]): Promise<TaskResult>
  records(): ReturnType<typeof recordsOf>
  close(): Promise<void>
}

export async function openSmallCluster(): Promise<SmallCluster> {
  const target = await openRunning()
  const { cluster } = target
  const stop = new AbortController()
  const running = new Set<Promise<unknown>>()
  await cluster.talosctlOnNode('kubeconfig', cluster.homelab.kubeconfig, '--merge=false', '--force')
  return {
    target,
    cluster,
    records: () => recordsOf(cluster),
    task: async (args) => {
      let output = ''
      const ended = runTask(args, {
        task: cluster.binaries.task,
        environment: { ...cluster.environment, NO_COLOR: '1' },
        output: 'pipe',
        onOutput: (text) => {
          output += text
        },
        signal: stop.signal,
      })
      running.add(ended)
      const exitCode = await ended.finally(() => running.delete(ended))
      return { exitCode, output }
    },
    close: async () => {
      stop.abort()
      await Promise.allSettled(running)
      await target.close()
    },
  }
}
