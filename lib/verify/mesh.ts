import { messageOf } from '../migration/errors.ts'
import { describePlace, type StoredCertificate } from '../network/nebula/facts.ts'
import { findNebulaCert, type NebulaCert } from '../network/nebula/nebula-cert.ts'
import { describePeer, peerOf, type Reach } from '../network/nebula/peers.ts'
import type { Settings } from '../settings.ts'
import type { Baseline } from './baseline.ts'
import { type Finding, NotChecked } from './check.ts'
import { expiring } from './expiry.ts'

/** The nebula-cert of the settings. @throws NotChecked when there is none */
export function nebulaCertIfThere(settings: Pick<Settings, 'memoryDir' | 'nebulaCert'>): Promise<NebulaCert> {
  return findNebulaCert(settings).catch(() => {
    throw new NotChecked('it needs nebula-cert (NEBULA_CERT) to read the certificates')
  })
}

/** What is wrong with one certificate of Nebula's by the calendar, as the guide's `nebula-cert print` shows it. */
export function expiringInMesh({ name, isCa, place, notAfter }: StoredCertificate, now: Date): Finding[] {
  const what = `the certificate of ${name}${isCa ? ' (CA)' : ''}`
  const wayOut = 'Sign a new one (nebula-cert sign), and put it into its Secret before the mesh is needed.'
  return expiring(describePlace(place), what, new Date(notAfter), now, wayOut)
}

/** Who of MESH_PEERS answers this computer, as the guide's `ping 10.42.0.1` asks. One that is in no mesh hears nothing, before and after. */
export function askMesh(meshPeers: readonly string[], reach: Reach): Promise<Baseline['mesh']> {
  return Promise.all(
    meshPeers.map(peerOf).map(async (peer) => {
      const said = await reach(peer).catch(messageOf)
      const saw = said === 'silent' ? 'no answer' : said
      return { key: `Mesh peer ${describePeer(peer)}`, answers: said === 'reached', saw }
    }),
  )
}
