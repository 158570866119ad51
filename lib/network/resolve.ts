import { isIP } from 'node:net'
import type { Condition } from '../migration/migration.ts'
import { type Address, sameAddress } from './addresses.ts'
import { type Resolver, systemResolver } from './names.ts'

/**
 * Waits until the name in a URL leads to an address; it does at once where the URL holds an address.
 * @param resolve gives the addresses of a name; by default, the system's own
 */
export function leadsTo(
  url: string,
  address: Address,
  timeoutSeconds: number,
  resolve: Resolver = systemResolver,
): Condition<true> {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '')
  return {
    name: `${host} resolves to ${address}`,
    timeoutSeconds,
    everyMs: 2000,
    hint: `Change its record in DNS, and wait for its time to live; or its line in the hosts file.`,
    probe: async () => {
      if (isIP(host) !== 0) return { met: true, value: true }
      const found = await resolve(host)
      if (found.some((each) => sameAddress(each, address))) return { met: true, value: true }
      return { met: false, saw: `${host} is ${found.join(', ') || 'nowhere'}` }
    },
  }
}
