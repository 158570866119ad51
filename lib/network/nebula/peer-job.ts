import type { KubernetesApi } from '../../kubernetes/api.ts'
import type { Job, Pod } from '../../kubernetes/kinds.ts'
import { OperatorError } from '../../migration/errors.ts'
import type { JournaledChange, Migration, Undone } from '../../migration/migration.ts'
import { describePeer, type Peer } from './peers.ts'

const name = 'talos-migrate-mesh-check'
const patienceSeconds = 120

/**
 * Asks each peer until it answers; its last words are those that did not (exit code 1). Whether the node is in the mesh is not known here, and a gateway refuses
 * what it has no way to: a refused connection is none.
 */
const script = `
for tool in nc ping; do
  command -v "$tool" > /dev/null || { echo "the image has no $tool"; exit 2; }
done
end=$(($(date +%s) + ${patienceSeconds}))
reached() {
  case $1 in
    *:*)
      said=$(nc -z -w 3 "\${1%:*}" "\${1##*:}" 2>&1) && return 0
      case $said in *[Rr]efused*) why='(refused)' ;; esac
      return 1 ;;
    *) ping -c 1 -W 3 "$1" > /dev/null 2>&1 ;;
  esac
}
silent=
for peer; do
  why=
  until reached "$peer"; do
    if [ "$(date +%s)" -ge "$end" ]; then silent="$silent $peer$why"; break; fi
    sleep 1
  done
done
[ -z "$silent" ] || { echo "$silent"; exit 1; }
`

/**
 * Asks from the node, in its own network, where Nebula's interface is: this machine is not in the mesh. What asks is a short-lived Job of an image that
 * has a shell, for Nebula's has none; it runs in Nebula's namespace, which may use the host's network already, and is removed afterwards.
 * Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/
 * @throws OperatorError naming the peers that did not answer
 */
export async function askFromNode(
  migration: Migration,
  api: KubernetesApi,
  namespace: string,
  peers: readonly Peer[],
): Promise<void> {
  const { nodeName, meshCheckImage, apiTimeout } = migration.settings
  const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`
  const path = `${jobs}/${name}`
  const what = `ask ${peers.map(describePeer).join(', ')} from ${nodeName} (Job ${namespace}/${name})`
  await migration.change(what, {
    undo: { kind: 'mesh-check', path },
    apply: async () => {
      await removeJob(api, path)
      await api.create(jobs, jobOf(namespace, nodeName, meshCheckImage, peers))
    },
  })
  if (migration.dryRun) return
  const silent = await migration.wait({
    name: `the Job ${namespace}/${name} has asked over the mesh`,
    timeoutSeconds: patienceSeconds + apiTimeout,
    everyMs: 1000,
    hint: `Look at it: kubectl -n ${namespace} describe pod -l job-name=${name}`,
    probe: async () => verdictOf(api, namespace, path),
  })
  await removeJob(api, path)
  if (silent === '') return
  throw new OperatorError(`Not reached over the mesh from ${nodeName}: ${silent}`, {
    means: 'The mesh is not whole: the handshake fails, or a firewall lets nothing through.',
    next: 'Look at the log of Nebula on both sides (static_host_map, 4242/udp, certificate), then the same command again.',
  })
}

/** Removes a Job that a killed run has left. */
export async function takeBackMeshCheck(api: KubernetesApi, change: JournaledChange): Promise<Undone> {
  const { path } = change.undo as { kind: string; path: string }
  if ((await api.getOrNull(path)) === null) return 'already'
  await removeJob(api, path)
  return 'undone'
}

async function verdictOf(api: KubernetesApi, namespace: string, path: string) {
  const job = await api.get<Job>(path)
  // The pod of a Job that was removed a moment ago may still be there, under the same name.
  const labelSelector = `batch.kubernetes.io/controller-uid=${job.metadata.uid}`
  const [pod] = await api.list<Pod>(`/api/v1/namespaces/${namespace}/pods`, { labelSelector })
  const state = pod?.status.containerStatuses?.[0]?.state
  const { exitCode, message = '' } = state?.terminated ?? {}
  if (exitCode === 0) return { met: true as const, value: '' }
  if (exitCode === 1 && message !== '') return { met: true as const, value: message.trim() }
  const failed = job.status?.conditions?.find(({ type, status }) => type === 'Failed' && status === 'True')
  if (failed) throw couldNotAsk(message.trim() || failed.message || failed.reason || 'no reason is told')
  return { met: false as const, saw: state?.waiting?.reason ?? pod?.status.phase ?? 'no pod yet' }
}

function couldNotAsk(reason: string): OperatorError {
  return new OperatorError(`The Job that asks over the mesh failed: ${reason}`, {
    means: 'Whether the peers can be reached is not known.',
    next: 'Does the image of MESH_CHECK_IMAGE have sh, ping and nc? Then the same command again.',
  })
}

async function removeJob(api: KubernetesApi, path: string): Promise<void> {
  if ((await api.getOrNull(path)) === null) return
  await api.remove(path, { propagationPolicy: 'Background' })
}

function jobOf(namespace: string, nodeName: string, image: string, peers: readonly Peer[]) {
  const labels = { 'app.kubernetes.io/managed-by': 'talos-migrate' }
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace, labels },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: patienceSeconds * 2,
      // Should this process be killed, it is removed all the same.
      ttlSecondsAfterFinished: 3600,
      template: {
        metadata: { labels },
        spec: {
          nodeName,
          hostNetwork: true,
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          tolerations: [{ operator: 'Exists' }],
          containers: [
            {
              name: 'ask',
              image,
              command: ['/bin/sh', '-c', script, 'ask', ...peers.map(describePeer)],
              terminationMessagePolicy: 'FallbackToLogsOnError',
            },
          ],
        },
      },
    },
  }
}
