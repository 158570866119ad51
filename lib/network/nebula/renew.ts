import { createHash } from 'node:crypto'
import * as z from 'zod'
import type { KubernetesApi } from '../../kubernetes/api.ts'
import { type RolledWorkload, restart } from '../../kubernetes/rollout.ts'
import { OperatorError } from '../../migration/errors.ts'
import type { JournaledChange, Migration, Undone } from '../../migration/migration.ts'
import { assertMutable, exchange } from './exchange.ts'
import {
  addressOf,
  certificateFor,
  describePlace,
  type NebulaFacts,
  pathOf,
  type StoredCertificate,
  textIn,
} from './facts.ts'
import type { Move } from './moves.ts'
import type { NebulaCert, NebulaCertificate } from './nebula-cert.ts'

/** The undo data of an exchanged certificate. A certificate is public; the key stays where it is. */
const exchanged = z.object({
  kind: z.literal('nebula-certificate'),
  place: z.object({ kind: z.enum(['ConfigMap', 'Secret']), namespace: z.string(), name: z.string(), key: z.string() }),
  was: z.string(),
  is: z.string(),
  workloads: z.array(z.object({ kind: z.string(), namespace: z.string(), name: z.string() })),
})

/** The CA that signs: its certificate, and its key, which is asked for only when something is to be signed. */
export interface Authority {
  /** PEM; undefined: the one that lies beside the node's certificate */
  certificate: string | undefined
  /** PEM, from its encrypted file; undefined: none is given */
  openKey: (() => Promise<string>) | undefined
}

interface Effects {
  api: KubernetesApi
  nebulaCert: NebulaCert
  authority: Authority
}

/**
 * Gives the node a certificate for its new mesh address: same name, groups, networks behind it and key, signed by the CA of the mesh; it takes the old
 * one's place in its Secret. Nothing is done when a certificate for the new address is there already.
 * @returns the PEM of the certificate that the pods are to read, undefined when it is there already
 * @throws OperatorError when there is nothing to renew, no key to sign with, or the mesh would not trust what is signed
 */
export async function renewCertificate(
  migration: Migration,
  effects: Effects,
  facts: NebulaFacts,
  move: Move,
): Promise<string | undefined> {
  if (certificateFor(facts, move.to) !== undefined) {
    migration.console.info(`There is a certificate for ${move.to} already.`)
    return undefined
  }
  const old = certificateFor(facts, move.from)
  if (old === undefined) throw noCertificate(facts, move)
  if (!old.alone) throw notAlone(old)
  await assertMutable(effects.api, old.place)
  const what = `put the certificate of ${old.name} for ${move.to} into ${describePlace(old.place)}`
  const is = begunWith(migration, what) ?? (await signed(migration, effects, facts, old, move))
  await migration.change(what, {
    undo: {
      kind: 'nebula-certificate',
      place: { ...old.place },
      was: old.pem,
      is,
      workloads: restarted(facts),
    },
    apply: () => exchange(effects.api, old.place, old.pem, is),
  })
  return is
}

/**
 * Puts the certificate back that was there before, and restarts what reads it.
 * @returns conflict when another certificate is there meanwhile
 */
export async function takeBackCertificate(api: KubernetesApi, change: JournaledChange): Promise<Undone> {
  const { place, was, is, workloads } = exchanged.parse(change.undo)
  const there = textIn(await api.getOrNull(pathOf(place)), place)
  if (there === undefined) return `conflict: ${describePlace(place)} is not there any more`
  if (there.trim() === was.trim()) return 'already'
  if (there.trim() !== is.trim()) return `conflict: another certificate is in ${describePlace(place)}`
  await exchange(api, place, is, was)
  for (const workload of workloads) await restart(api, workload, reasonOf(was))
  return 'undone'
}

/** What tells one content from another in an annotation. */
export function reasonOf(content: string): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 16)
}

/** The workloads of Nebula, as the journal names them. */
export function restarted(facts: NebulaFacts): { kind: string; namespace: string; name: string }[] {
  return facts.workloads.map(({ kind, namespace, name }: RolledWorkload) => ({ kind, namespace, name }))
}

/** The certificate of a run that was killed in this very change: what is signed twice would be two certificates. */
function begunWith({ journal }: Migration, what: string): string | undefined {
  const begun = exchanged.safeParse(journal.standingChange(what)?.undo)
  return begun.success ? begun.data.is : undefined
}

async function signed(
  { clock }: Migration,
  { nebulaCert, authority }: Effects,
  facts: NebulaFacts,
  like: StoredCertificate,
  { from, to }: Move,
): Promise<string> {
  if (authority.openKey === undefined) throw noKey(like, to)
  const pem = authority.certificate ?? authorityOf(facts, like)?.pem
  if (pem === undefined) throw noAuthority(like)
  const [ca] = await nebulaCert.print(pem, 'the CA certificate')
  if (ca === undefined || ca.fingerprint !== like.issuer) throw otherAuthority(like, ca)
  return nebulaCert.sign({
    like,
    networks: like.networks.map((each) => (addressOf(each) === from ? `${to}/${each.split('/')[1]}` : each)),
    lifetime: lifetimeLike(like, ca, clock.now()),
    caCertificate: pem,
    caKey: await authority.openKey(),
  })
}

/** The CA that a certificate was signed by, if it is stored in the cluster. */
export function authorityOf(facts: NebulaFacts, { issuer }: NebulaCertificate): StoredCertificate | undefined {
  return facts.certificates.find(({ isCa, fingerprint }) => isCa && fingerprint === issuer)
}

const marginMs = 600_000

/**
 * Seconds: as long as the old one was given, and not up to the CA's own end, for nebula-cert counts from when it signs: until then a passphrase
 * may have to be typed.
 */
export function lifetimeLike(
  like: Pick<NebulaCertificate, 'notBefore' | 'notAfter'>,
  ca: Pick<NebulaCertificate, 'notAfter'>,
  now: Date,
): number {
  const given = Date.parse(like.notAfter) - Date.parse(like.notBefore)
  const left = Date.parse(ca.notAfter) - now.getTime()
  return Math.max(1, Math.min(given, left - Math.min(marginMs, left / 2)) / 1000)
}

function noCertificate({ certificates }: NebulaFacts, { from, to }: Move): OperatorError {
  const hosts = certificates.filter(({ isCa }) => !isCa)
  const there = hosts.map(({ name, networks }) => `${name} (${networks.join(', ')})`).join('; ')
  return new OperatorError(`No certificate in the cluster is for ${from} (MESH_ADDRESS) or ${to} (NEW_MESH_ADDRESS).`, {
    means: `There is: ${there === '' ? 'none' : there}.`,
    next: 'Correct MESH_ADDRESS, or name the Secret with NEBULA_NAMESPACE and NEBULA_SECRET.',
  })
}

function notAlone({ place }: StoredCertificate): OperatorError {
  return new OperatorError(`${describePlace(place)} holds more than the node's certificate.`, {
    means: 'It is part of a longer text, such as a config with its keys inline, which is not edited.',
    next: 'Sign a certificate for NEW_MESH_ADDRESS (nebula-cert sign -in-pub …) and put it there by hand; then the same command again.',
  })
}

function noKey({ name }: NebulaCertificate, to: string): OperatorError {
  return new OperatorError(`${name} needs a certificate for ${to}, and the CA's key is not given.`, {
    means: 'Until then the new machine is in the mesh with its old address, or not at all.',
    next: 'Set NEBULA_CA_KEY to the key, encrypted with age; or sign one elsewhere, put it into the Secret, and repeat.',
  })
}

function noAuthority({ name }: NebulaCertificate): OperatorError {
  return new OperatorError(`The certificate of the CA that signed ${name}'s is not in the cluster.`, {
    next: 'Set NEBULA_CA_CERT to its file (ca.crt).',
  })
}

function otherAuthority({ name, issuer }: NebulaCertificate, ca: NebulaCertificate | undefined): OperatorError {
  return new OperatorError(`NEBULA_CA_CERT is not the CA that signed ${name}'s certificate.`, {
    means: `That one has the fingerprint ${issuer}, and this one ${ca?.fingerprint ?? 'none'}: the mesh would not trust what it signs.`,
    next: 'Set NEBULA_CA_CERT and NEBULA_CA_KEY to the CA of the mesh.',
  })
}
