import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { z } from 'zod'
import { fullName } from '../../kubernetes/kinds.ts'
import { collectionPath, servedResources } from '../../kubernetes/served.ts'
import { systemClock } from '../../migration/clock.ts'
import { nebulaFacts } from '../../network/nebula/facts.ts'
import { findNebulaCert } from '../../network/nebula/nebula-cert.ts'
import { mainDocument } from '../../talos/config-fields.ts'
import { type Finding, NotChecked } from '../check.ts'
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

const nebulaCertificatesLast: PreflightCheck = {
  name: "Nebula's certificates do not expire tonight",
  run: async (context) => {
    const { settings, now } = context
    const facts = await nebulaFacts(await context.api(), settings, systemClock, () =>
      findNebulaCert(settings).catch((error: unknown) => {
        // Where a new certificate is to be made, the evening needs it.
        if (settings.newMeshAddress !== undefined) throw error
        throw new NotChecked('it needs nebula-cert (NEBULA_CERT) to read the certificates')
      }),
    )
    return (facts?.certificates ?? []).flatMap((certificate) => expiringInMesh(certificate, now))
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
  nebulaCertificatesLast,
]
