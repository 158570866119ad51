import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { MachineConfig } from '../talos/machine-config.ts'

/** The file beside the manifest that holds its code. */
export const codeFile = 'manifest.hmac'

const purpose = 'talos-migrate manifest v1'

/**
 * A code over a manifest that only who has the cluster's own secrets can make: HMAC-SHA-256 with a key derived (HKDF, RFC 5869) from the etcd authority's
 * private key. SHA-256 sums tell of accidents; whoever can write to the backup's folder can correct them too, but not this.
 * @param config of a control plane; undefined in, undefined out: a worker's has no such key
 * @returns hex
 */
export function manifestCode(config: MachineConfig, manifest: Uint8Array): string | undefined {
  if (config.etcdAuthorityKey === undefined) return undefined
  const key = hkdfSync('sha256', config.etcdAuthorityKey, '', purpose, 32)
  return createHmac('sha256', Buffer.from(key)).update(manifest).digest('hex')
}

/** Compares in constant time. */
export function sameCode(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one.trim(), 'latin1'), Buffer.from(other, 'latin1')]
  return a.length === b.length && timingSafeEqual(a, b)
}
