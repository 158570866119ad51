import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import * as z from 'zod'
import { OperatorError } from '../../migration/errors.ts'
import { talosconfigEndpoints } from '../../talos/join/endpoints.ts'
import {
  differingSecrets,
  liveMachineConfig,
  type MachineConfig,
  parseMachineConfig,
  readControlPlaneConfig,
} from '../../talos/machine-config.ts'
import { secretsBundleOf } from '../../talos/secrets-bundle.ts'
import { verifyTalosconfig } from '../../talos/talosconfig.ts'
import type { Finding } from '../check.ts'
import type { JoinCheck, JoinContext } from './context.ts'

const foreign = (subject: string, differing: readonly string[], wayOut: string): Finding => ({
  subject,
  evidence: `it comes from another secrets bundle than the cluster: ${differing.join(', ')}`,
  severity: 'error',
  wayOut,
})

/** A control plane with other secrets can neither join etcd nor read a Secret; one that tries has thrown a member out before it fails. */
const oneBundleInFiles: JoinCheck = {
  name: 'CONTROLPLANE_CONFIG and SECRETS_BUNDLE are of this cluster',
  run: async (context) => {
    const { controlplaneConfig, secretsBundle } = context.settings
    const found: Finding[] = []
    if (existsSync(controlplaneConfig)) {
      const differing = differingSecrets(context.pattern.config, await readControlPlaneConfig(controlplaneConfig))
      const wayOut = 'Set CONTROLPLANE_CONFIG to the config that the cluster was made with. Never make a new one.'
      if (differing.length > 0) found.push(foreign(controlplaneConfig, differing, wayOut))
    }
    if (secretsBundle !== undefined) found.push(...(await bundleFindings(context, secretsBundle)))
    return found
  },
}

const bundle = z.looseObject({
  certs: z.record(z.string(), z.looseObject({ crt: z.string().optional() })),
})

async function bundleFindings({ talosctl, pattern }: JoinContext, path: string): Promise<Finding[]> {
  const read = (text: string | Buffer) => bundle.parse(parse(text.toString(), { prettyErrors: false })).certs
  const [own, theirs] = await Promise.all([
    secretsBundleOf(talosctl, Buffer.from(pattern.config.text)).then(read),
    readFile(path, 'utf8')
      .then(read)
      .catch(() => {
        // What a parser says of it may quote it.
        throw new OperatorError(`${path} is not there, or is no secrets bundle.`, {
          next: 'Set SECRETS_BUNDLE to the file that `talosctl gen secrets` wrote for this cluster, or unset it.',
        })
      }),
  ])
  const differing = ['os', 'k8s', 'etcd'].filter((name) => own[name]?.crt !== theirs[name]?.crt)
  const wayOut = 'Find the right one, or unset SECRETS_BUNDLE: the secrets are had from the running control plane.'
  return differing.length === 0
    ? []
    : [
        foreign(
          path,
          differing.map((name) => `the CA ${name}`),
          wayOut,
        ),
      ]
}

const oneBundleOnMachines: JoinCheck = {
  name: 'All control planes, and the machine that joins, have one secrets bundle',
  run: async ({ talosctl, pattern, members, node, candidate }) => {
    const others = members.filter(({ address, problem }) => problem === null && address !== pattern.address)
    const configs = await Promise.all(
      others.map(async ({ address }) =>
        parseMachineConfig(await liveMachineConfig(talosctl, { address }), `the config of ${address}`),
      ),
    )
    const findings = configs.flatMap((config) => machineFindings(pattern.config, config))
    if (candidate.state !== 'foreign') return findings
    const wayOut = `If it is yours and may be emptied: talosctl --talosconfig ITS-OWN --nodes ${node.address} reset --graceful=false --reboot`
    const evidence = `${candidate.saw}: it belongs to another cluster, or its secrets are others`
    return [...findings, { subject: `${node.name} (${node.address})`, evidence, severity: 'error', wayOut }]
  },
}

function machineFindings(pattern: MachineConfig, config: MachineConfig): Finding[] {
  const differing = differingSecrets(pattern, config)
  if (differing.length === 0) return []
  return [
    foreign(config.hostname ?? config.origin, differing, 'Find out which of the two is wrong before anything joins.'),
  ]
}

const talosconfigFits: JoinCheck = {
  name: 'The talosconfig is of this cluster, and its endpoints are control planes',
  run: async ({ settings, pattern, members, now }) => {
    await verifyTalosconfig(settings.talosconfig, pattern.config, now)
    const endpoints = await talosconfigEndpoints(settings.talosconfig)
    const known = new Set<string>(members.map(({ address }) => address))
    const finding = (evidence: string, wayOut: string): Finding => ({
      subject: settings.talosconfig,
      evidence,
      severity: 'warning',
      wayOut,
    })
    const missing = [...known].filter((address) => !endpoints.includes(address))
    const strangers = endpoints.filter((endpoint) => /^[\d.]+$/.test(endpoint) && !known.has(endpoint))
    return [
      ...(missing.length === 0
        ? []
        : [finding(`no endpoint for ${missing.join(', ')}`, 'Nothing to do: they are added with the new one.')]),
      ...(strangers.length === 0
        ? []
        : [
            finding(
              `${strangers.join(', ')} among its endpoints is no control plane of this cluster`,
              'Take it out if it is no load balancer: talosctl config endpoint …',
            ),
          ]),
    ]
  },
}

/** Whether all have the same secrets. */
export const secretsChecks: readonly JoinCheck[] = [oneBundleInFiles, oneBundleOnMachines, talosconfigFits]
