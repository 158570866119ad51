import { isServed } from '../ingress.ts'
import type { StateCheck } from './state-check.ts'

const peeringsAreEstablished: StateCheck = {
  name: "Liqo's peerings are established",
  run: ({ now }) =>
    now.peerings
      .filter(({ trouble }) => trouble !== '')
      .map(({ key, trouble }) => ({
        subject: key,
        evidence: trouble,
        severity: 'error',
        wayOut:
          'liqoctl info; a peering that is half there is mended by task migrate:repeer, or taken down and made again.',
        converging: true,
      })),
}

const meshPeersAnswer: StateCheck = {
  name: 'Who must be reached over the mesh answers',
  asksOthers: true,
  run: ({ now }) =>
    now.mesh
      .filter(({ answers }) => !answers)
      .map(({ key, saw }) => ({
        subject: key,
        evidence: `${saw}, asked from this computer`,
        severity: 'error',
        wayOut: 'Look at the log of Nebula on both sides: static_host_map, 4242/udp, certificate.',
        converging: true,
      })),
}

const ingressAnswers: StateCheck = {
  name: 'Ingress answers by Host header',
  asksOthers: true,
  run: ({ now, before }) => {
    // Whether it ever did, a baseline without answers cannot tell.
    const severity = before.ingress.length === 0 ? 'warning' : 'error'
    return now.ingress
      .filter((answer) => !isServed(answer))
      .map(({ host, saw }) => ({
        subject: host,
        evidence: saw,
        severity,
        wayOut: `Are its backend and the ingress controller ready? curl -v -H "Host: ${host}" http://TALOS_NODE`,
        converging: true,
      }))
  },
}

/** External connectivity and ingress: the guide's `ping 10.42.0.1`, `liqoctl info` and `curl -H "Host: …"`. */
export const connectivityChecks: readonly StateCheck[] = [peeringsAreEstablished, meshPeersAnswer, ingressAnswers]
