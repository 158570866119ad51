import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import * as z from 'zod'
import type { KubernetesApi } from '../../kubernetes/api.ts'
import { fullName } from '../../kubernetes/kinds.ts'
import { collectionPath, servedResources } from '../../kubernetes/served.ts'
import { mainDocument } from '../../talos/config-fields.ts'
import type { Finding } from '../check.ts'
import { expiring } from '../expiry.ts'
import { expiringInMesh } from '../mesh.ts'
import type { PreflightCheck } from './context.ts'
import { kubeconfigFile, talosconfigFile } from './credentials.ts'

const credentialsOutliveTheEvening: PreflightCheck = {
  name: 'Credentials do not expire tonight',
  run: async ({ settings, now }) => {
    const [talos, kube] = await Promise.all([
      readFile(settings.talosconfig, 'utf8').catch(() => ''),
      readFile(settings.kubeconfig, 'utf8').catch(() => ''),
    ])
    const talosFile = talosconfigFile.safeParse(parse(talos, { prettyErrors: false }))
    const kubeFile = kubeconfigFile.safeParse(parse(kube, { prettyErrors: false }))
    const fromTalos = talosFile.success ? [talosFile.data.contexts[talosFile.data.context]?.crt] : []
    const fromKube = kubeFile.success ? kubeFile.data.users.map(({ user }) => user['client-certificate-data']) : []
    const wayOut = 'talosctl config new (talosconfig), task talos:kubeconfig (kubeconfig)'
    const ends = (file: string, crt: string | undefined) =>
      crt === undefined ? [] : expiring(file, 'its client certificate', endOf(crt), now, wayOut)
    return [
      ...fromTalos.flatMap((crt) => ends(settings.talosconfig, crt)),
      ...fromKube.flatMap((crt) => ends(settings.kubeconfig, crt)),
    ]
  },
}

const apiCertificateLasts: PreflightCheck = {
  name: "The API server's certificate does not expire tonight",
  run: async (context) => {
    const { server } = await context.api()
    const { certificateEnds } = await context.greeting()
    const wayOut = `Talos renews it when the control plane is restarted: talosctl --nodes ${context.target.address} reboot`
    return expiring(server, 'its certificate', certificateEnds, context.now, wayOut)
  },
}

const pair = z.looseObject({ crt: z.string() })
const authorities = z.looseObject({
  machine: z.looseObject({ ca: pair }),
  cluster: z.looseObject({ ca: pair, etcd: z.looseObject({ ca: pair }) }),
})

const authoritiesLast: PreflightCheck = {
  name: "The cluster's certificate authorities do not expire tonight",
  run: async (context) => {
    const { machine, cluster } = authorities.parse(mainDocument((await context.liveConfig()).text))
    const all = { 'Talos CA': machine.ca, 'Kubernetes CA': cluster.ca, 'etcd CA': cluster.etcd.ca }
    const wayOut =
      'Renew it first, on an evening of its own: talosctl rotate-ca (https://docs.siderolabs.com, "CA Rotation")'
    return Object.entries(all).flatMap(([name, { crt }]) => expiring(name, 'it', endOf(crt), context.now, wayOut))
  },
}

interface Issued {
  isCA?: boolean
  conditions?: { type: string; status: string; message?: string; reason?: string }[]
  notAfter?: string
}

/** Source: https://cert-manager.io/docs/reference/api-docs/#cert-manager.io/v1.Certificate */
const certManagerIssues: PreflightCheck = {
  name: "cert-manager's certificates are issued, and do not expire tonight",
  run: async (context) => {
    const api = await context.api()
    const [kind] = await servedResources(api, 'cert-manager.io', ['certificates'])
    const certificates = kind ? await api.list(collectionPath(kind)) : []
    return certificates.flatMap((certificate): Finding[] => {
      const { isCA } = (certificate.spec ?? {}) as Issued
      const { conditions = [], notAfter } = (certificate.status ?? {}) as Issued
      const subject = `Certificate ${fullName(certificate)}`
      const wayOut = `kubectl describe certificate -n ${certificate.metadata.namespace} ${certificate.metadata.name}`
      const ready = conditions.find(({ type }) => type === 'Ready')
      const what = isCA ? 'it is a CA, and' : 'it'
      const late = notAfter === undefined ? [] : expiring(subject, what, new Date(notAfter), context.now, wayOut)
      if (late.length > 0) return late
      if (ready?.status === 'True') return []
      const evidence = `it is not ready: ${ready?.message ?? ready?.reason ?? 'nobody has looked at it'}`
      return [{ subject, evidence, severity: 'warning', wayOut }]
    })
  },
}

interface CaIssuer {
  ca?: { secretName?: string }
}

/**
 * The CAs that a person has made and put into a Secret: no Certificate tells of them.
 * Source: https://cert-manager.io/docs/configuration/ca/ : a ClusterIssuer's Secret lies in cert-manager's own namespace.
 */
const issuersOutliveTheEvening: PreflightCheck = {
  name: "The CAs of cert-manager's issuers do not expire tonight",
  run: async (context) => {
    const api = await context.api()
    const kinds = await servedResources(api, 'cert-manager.io', ['issuers', 'clusterissuers'])
    const found = kinds.map(async (kind) => {
      const issuers = await api.list(collectionPath(kind))
      const findings = issuers.map(async (issuer) => {
        const { secretName } = ((issuer.spec ?? {}) as CaIssuer).ca ?? {}
        if (secretName === undefined) return []
        const namespace = issuer.metadata.namespace ?? certManagerNamespace
        const crt = await certificateIn(api, `/api/v1/namespaces/${namespace}/secrets/${secretName}`)
        const subject = `${kind.kind} ${fullName(issuer)}`
        const wayOut = `Make a new CA, and put it into Secret ${namespace}/${secretName}; all that it has issued follows.`
        return crt === undefined ? [] : expiring(subject, 'its CA', endOf(crt), context.now, wayOut)
      })
      return (await Promise.all(findings)).flat()
    })
    return (await Promise.all(found)).flat()
  },
}

const certManagerNamespace = 'cert-manager'

/** The first certificate of a TLS Secret, as it is stored; of its key nothing is looked at. */
async function certificateIn(api: KubernetesApi, path: string): Promise<string | undefined> {
  const secret = await api.getOrNull<{ data?: Record<string, string> }>(path)
  const crt = secret?.data?.['tls.crt']
  return crt !== undefined && Buffer.from(crt, 'base64').includes('-----BEGIN CERTIFICATE-----') ? crt : undefined
}

const nebulaCertificatesLast: PreflightCheck = {
  name: "Nebula's certificates do not expire tonight",
  run: async (context) => {
    const facts = await context.openNebula()
    return (facts?.certificates ?? []).flatMap((certificate) => expiringInMesh(certificate, context.now))
  },
}

function endOf(base64: string): Date {
  return new Date(new X509Certificate(Buffer.from(base64, 'base64')).validTo)
}

/** What stops working by the calendar alone. */
export const certificateChecks: readonly PreflightCheck[] = [
  credentialsOutliveTheEvening,
  apiCertificateLasts,
  authoritiesLast,
  certManagerIssues,
  issuersOutliveTheEvening,
  nebulaCertificatesLast,
]
