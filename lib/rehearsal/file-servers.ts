import { createServer, type Server } from 'node:net'

const nfsPort = 2049

/**
 * The homelab's file servers by their names, and their numbers in its network. The names are of the home's own domain (RFC 8375), and only the
 * practice operator's hosts file knows them: a practice cluster can never mount a real one.
 */
const hostNumbers: Record<string, number> = {
  'fatboy.home.arpa': 20,
  'truenas.home.arpa': 21,
  'synology.home.arpa': 30,
}

/** Their addresses, in the network of the node. @param nodeAddress `127.0.12.54` */
export function fileServerAddresses(nodeAddress: string): [name: string, address: string][] {
  const network = nodeAddress.replace(/\.\d+$/, '')
  return Object.entries(hostNumbers).map(([name, number]) => [name, `${network}.${number}`])
}

/** What answers where the homelab's file servers would, and serves nothing: nobody mounts what a practice cluster has. */
export class FileServers {
  readonly #listening: Server[] = []

  static async start(nodeAddress: string): Promise<FileServers> {
    const servers = new FileServers()
    await Promise.all(fileServerAddresses(nodeAddress).map(([, address]) => servers.#listen(address)))
    return servers
  }

  #listen(address: string): Promise<void> {
    const server = createServer((socket) => socket.destroy())
    this.#listening.push(server)
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        // A file server of this computer's own, which listens everywhere, answers there as well.
        if (error.code === 'EADDRINUSE') resolve()
        else reject(error)
      })
      server.listen({ host: address, port: nfsPort }, resolve)
    })
  }

  stop(): void {
    for (const server of this.#listening) server.close()
  }
}
