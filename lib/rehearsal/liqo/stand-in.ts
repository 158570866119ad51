// Stands in for liqoctl 1.0.1 where that is not there: it refuses arguments that the real one does not have, and does to the objects of both
// clusters what the documentation says. Like the real one it waits for what Liqo's controllers do (playLiqo).
// Source: https://docs.liqo.io/en/v1.0.1/usage/liqoctl/peer.html, …/unpeer.html, …/advanced/peering/
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { KubernetesApi, type KubernetesObject } from '../../kubernetes/api.ts'
import { flags, type StandInOptions } from './flags.ts'
import { peer, unpeer } from './peerings.ts'

const [command = '', ...args] = process.argv.slice(2)

try {
  if (command === 'peer' || command === 'unpeer') await run(command, args)
  else throw new Error(`unknown command "${command}" for "liqoctl"`)
} catch (error) {
  console.error(` ERROR  ${(error as Error).message}`)
  process.exitCode = 1
}

async function run(name: 'peer' | 'unpeer', rest: string[]): Promise<void> {
  const known: ParseArgsConfig['options'] = flags[name]
  const options = parseArgs({ args: rest, options: known, allowPositionals: false }).values as StandInOptions
  const timeout = secondsOf(options.timeout ?? (name === 'peer' ? '10m' : '120s'))
  const ours = await clusterOf(options.kubeconfig, options.namespace)
  const theirs = await clusterOf(options['remote-kubeconfig'], options['remote-namespace'])
  const deadline = Date.now() + timeout * 1000
  await (name === 'peer' ? peer : unpeer)({ consumer: ours, provider: theirs, options, deadline })
  ours.api.close()
  theirs.api.close()
}

async function clusterOf(kubeconfig: string | undefined, namespace = 'liqo') {
  const path = kubeconfig ?? process.env.KUBECONFIG
  if (path === undefined) throw new Error('invalid configuration: no configuration has been provided')
  const api = await KubernetesApi.fromFile(path)
  const [found] = await api.list<KubernetesObject & { data: { CLUSTER_ID: string } }>(
    `/api/v1/namespaces/${namespace}/configmaps`,
    { labelSelector: 'app.kubernetes.io/name=clusterid-configmap' },
  )
  if (found === undefined) throw new Error('an error occurred while retrieving cluster id: configmap not found')
  return { api, namespace, id: found.data.CLUSTER_ID }
}

/** A duration of Go's, in whole units: `600s`, `10m`. */
function secondsOf(duration: string): number {
  const [, amount, unit] = /^(\d+)(s|m|h)$/.exec(duration) ?? []
  if (amount === undefined) throw new Error(`invalid argument "${duration}" for "--timeout" flag`)
  return Number(amount) * { s: 1, m: 60, h: 3600 }[unit as 's' | 'm' | 'h']
}
