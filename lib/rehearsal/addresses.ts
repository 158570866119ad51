import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { messageOf, OperatorError } from '../migration/errors.ts'
import { type FileLock, tryLock } from './file-lock.ts'

/** A network 127.0.N.0/24 that one practice cluster has for itself, until it gives it back or its process ends. */
export interface Network {
  /** The address of host number 1 to 254 in it. */
  address(host: number): string
  release(): void
}

const firstNetwork = 10
const lastNetwork = 250
/** What listens on a control plane machine: machine API, Kubernetes API, etcd's clients and peers, controller manager, scheduler. */
export const machinePorts = [50000, 6443, 2379, 2380, 10257, 10259] as const

/**
 * Takes a loopback network that no other practice cluster of this computer uses. A lock file per network keeps clusters
 * apart that are started at the same moment; ports that something else listens on make a network unusable.
 * @throws OperatorError when none is left
 */
export async function takeNetwork(purpose: string, host = 54): Promise<Network> {
  const locks = join(tmpdir(), `talos-network-${userInfo().uid}`)
  let reason = 'all are in use by other practice clusters'
  for (let n = firstNetwork; n <= lastNetwork; n++) {
    const attempt = tryLock(`${locks}-127.0.${n}.lock`, purpose)
    if ('holder' in attempt) continue
    const occupied = await occupiedPort(`127.0.${n}.${host}`)
    if (occupied === null) return network(n, attempt.lock)
    attempt.lock.release()
    reason = occupied
  }
  throw new OperatorError(`No loopback network is free for a practice cluster: ${reason}.`, {
    means: `Each machine needs the ports ${machinePorts.join(', ')} of a loopback address (127.0.0.0/8, Linux).`,
    next: 'ss -ltnp   shows who listens; a service that listens on 0.0.0.0 takes a port on every address',
  })
}

function network(n: number, lock: FileLock): Network {
  return { address: (host) => `127.0.${n}.${host}`, release: () => lock.release() }
}

async function occupiedPort(address: string): Promise<string | null> {
  for (const port of machinePorts) {
    const problem = await listenOnce(address, port)
    if (problem) return `${address}:${port}: ${problem}`
  }
  return null
}

function listenOnce(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error) => resolve(messageOf(error)))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}
