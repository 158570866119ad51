import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import pMap from 'p-map'
import { fullName, type Workload } from '../../kubernetes/kinds.ts'
import { parseAddress, sameAddress } from '../../network/addresses.ts'
import { namesInHosts } from '../../network/hosts-file.ts'
import { namesUnder, resolveNames } from '../../network/names.ts'
import { poolsWith } from '../../network/new-address.ts'
import { traitsOf } from '../../talos/join/config.ts'
import type { Finding } from '../check.ts'
import type { PreflightCheck } from './context.ts'

const nfsPort = 2049

const nfsServersAnswer: PreflightCheck = {
  name: 'NFS servers answer',
  run: async (context) => {
    const { nfs } = await context.dependencies()
    const servers = [...new Set(nfs.map(({ server }) => server))]
    const found = await pMap(servers, async (server): Promise<Finding[]> => {
      const users = new Set(nfs.filter((each) => each.server === server).flatMap(({ usedBy }) => usedBy))
      const finding = (evidence: string, severity: Finding['severity']): Finding => ({
        subject: server,
        evidence: `${evidence}; ${users.size} ${users.size === 1 ? 'user' : 'users'}, such as ${[...users][0]}`,
        severity,
        wayOut: `Start it: its volumes count as preserved, and their pods will not start without it. (nc -z ${server} ${nfsPort})`,
      })
      const [address] = isIP(server) ? [server] : await context.resolve(server).catch(() => [])
      if (address === undefined) return [finding('its name leads nowhere from here', 'warning')]
      const answer = await context.knock(parseAddress(address, server), nfsPort)
      if (answer === 'open') return []
      // A silent one may be up, in a network that this computer may not reach into.
      return answer === 'refused'
        ? [finding(`it is up, and refuses port ${nfsPort}`, 'error')]
        : [finding(`nothing answers from here on port ${nfsPort}`, 'warning')]
    })
    return found.flat()
  },
}

interface Service {
  type?: string
  loadBalancer?: { ingress?: unknown[] }
}

const loadBalancersAreServed: PreflightCheck = {
  name: 'Services of type LoadBalancer have their addresses',
  run: async (context) => {
    const services = await (await context.api()).list('/api/v1/services')
    return services
      .filter(({ spec, status }) => {
        const { type } = (spec ?? {}) as Service
        const { loadBalancer } = (status ?? {}) as Service
        return type === 'LoadBalancer' && (loadBalancer?.ingress ?? []).length === 0
      })
      .map((service) => ({
        subject: `Service ${fullName(service)}`,
        evidence: 'no address was given to it',
        severity: 'warning',
        wayOut: 'Is a pool defined that has one left, and does what gives them out run (MetalLB, Cilium, kube-vip)?',
      }))
  },
}

const poolsLeaveTheMachine: PreflightCheck = {
  name: "No pool of a load balancer holds the machine's own address",
  run: async (context) => {
    const { pools } = await context.dependencies()
    const claims = pools.flatMap(({ pool, addresses }) => addresses.map((range) => ({ by: pool, range })))
    return poolsWith(claims, context.target.address).map(({ by, range }) => ({
      subject: by,
      evidence: `${range} holds ${context.target.address}: while the machine is off, a Service may be given its address`,
      severity: 'error',
      wayOut: 'Take it out of the pool, in Git as well.',
    }))
  },
}

const namesLeadToTheMachine: PreflightCheck = {
  name: 'Names of the cluster lead to TALOS_NODE',
  run: async (context) => {
    const { settings, target } = context
    const endpoint = new URL(settings.clusterEndpoint).hostname.replace(/^\[|\]$/g, '')
    const named = namesInHosts(await readFile(settings.hostsFile, 'latin1').catch(() => ''))
    const own = namesUnder(settings.nodeName, named.keys())
    const names = [...new Set(isIP(endpoint) ? own : [endpoint, ...own])]
    const resolved = await resolveNames(names, context.resolve)
    return Object.entries(resolved)
      .filter(([, addresses]) => !addresses.some((address) => sameAddress(address, target.address)))
      .map(([name, addresses]) => ({
        subject: name,
        evidence: `it leads to ${addresses.join(', ') || 'nowhere'}, and TALOS_NODE is ${target.address}`,
        // The endpoint may be a virtual address, or a load balancer.
        severity: addresses.length === 0 && name === endpoint ? 'error' : 'warning',
        wayOut: `Correct its record in DNS, or its line in ${settings.hostsFile}; nothing, if it is a load balancer's.`,
      }))
  },
}

/** Differences below are what a network takes, and a Date without fractions. */
const skewSeconds = { warning: 10, error: 300 }

const clocksAgree: PreflightCheck = {
  name: "This computer's clock and the control plane's agree",
  run: async (context) => {
    const { clock, sent, received } = await context.greeting()
    const early = (sent.getTime() - clock.getTime()) / 1000
    const late = (clock.getTime() - received.getTime()) / 1000
    const skew = Math.max(early, late)
    if (skew < skewSeconds.warning) return []
    return [
      {
        subject: context.target.address,
        evidence: `its clock is ${Math.round(skew)} s ${early > late ? 'behind' : 'ahead'}`,
        severity: skew < skewSeconds.error ? 'warning' : 'error',
        wayOut: `A certificate that is made now may not be valid yet there. Is NTP reachable? talosctl --nodes ${context.target.address} time; timedatectl`,
      },
    ]
  },
}

/** Source: https://www.talos.dev/v1.11/kubernetes-guides/network/deploying-cilium/ */
const ciliumFindsTheApi: PreflightCheck = {
  name: 'Cilium is ready, and finds the API without the old address',
  run: async (context) => {
    const agents = await (await context.api()).list<Workload>('/apis/apps/v1/daemonsets', {
      labelSelector: 'k8s-app=cilium',
    })
    const { scenario, nodeAddress } = context.settings
    const found = agents.map(async (agent): Promise<Finding[]> => {
      const subject = `DaemonSet ${fullName(agent)}`
      const { numberReady = 0, desiredNumberScheduled = 0 } = agent.status ?? {}
      const variables = (agent.spec.template?.spec.containers ?? []).flatMap(({ env = [] }) => env)
      const host = variables.find(({ name }) => name === 'KUBERNETES_SERVICE_HOST')?.value
      const findings: Finding[] = []
      if (numberReady < desiredNumberScheduled) {
        const evidence = `${numberReady} of ${desiredNumberScheduled} agents are ready: pods on the others have no network`
        findings.push({
          subject,
          evidence,
          severity: 'error',
          wayOut: 'cilium status; kubectl logs -n kube-system -l k8s-app=cilium',
        })
      }
      if (scenario === 'B' && host !== undefined && sameAddress(host, nodeAddress)) {
        const evidence = `its agents go to the API at ${host}, the old address`
        findings.push({
          subject,
          evidence,
          severity: 'error',
          wayOut: 'Set k8sServiceHost: localhost, k8sServicePort: 7445 (KubePrism) in its values.',
        })
      }
      if (host === 'localhost' && !traitsOf(await context.liveConfig()).kubePrism) {
        const evidence = 'its agents go to the API through KubePrism, which is off'
        findings.push({ subject, evidence, severity: 'error', wayOut: 'Switch on machine.features.kubePrism.' })
      }
      return findings
    })
    return (await Promise.all(found)).flat()
  },
}

/** What the machines and the cluster are reached by. */
export const networkChecks: readonly PreflightCheck[] = [
  nfsServersAnswer,
  loadBalancersAreServed,
  poolsLeaveTheMachine,
  namesLeadToTheMachine,
  clocksAgree,
  ciliumFindsTheApi,
]
