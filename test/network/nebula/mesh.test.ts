import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { findNebulaCert } from '../../../lib/network/nebula/nebula-cert.ts'
import { makeNetworks, type Side } from '../../../lib/rehearsal/nebula/networks.ts'
import { RunningMesh } from '../../../lib/rehearsal/nebula/running-mesh.ts'
import { until } from '../../kubernetes/bare-cluster.ts'
import { makeAuthority, nebula, nebulaCert } from './authority.ts'

const authority = makeAuthority('homelab', '-ips', '10.42.0.0/16')
const program = fileURLToPath(new URL('programs/reach.ts', import.meta.url))

/** A port that nobody listens at: the kernel at the other end of the tunnel refuses, which is an answer. */
const closed = 9

async function reaches(mesh: RunningMesh, from: Side, address: string): Promise<{ reach: string; inMesh: boolean }> {
  const args = ['--import', 'tsx', program, `${address}:${closed}`, '10.42.0.0/16']
  const child = mesh.networks.start(from, process.execPath, args)
  return JSON.parse(await text(child.stdout as NodeJS.ReadableStream))
}

/** What can be seen of who is in the mesh: through tunnels where this machine allows them, else by the handshakes that the lighthouse has made. */
async function isSeen(mesh: RunningMesh, address: string): Promise<boolean> {
  if (!mesh.networks.tunnels) return handshakes(mesh).includes(address)
  return (await reaches(mesh, 'lighthouse', address)).reach === 'reached'
}

/** Mesh addresses that the lighthouse has made a handshake with since the node was last started. */
function handshakes({ log }: RunningMesh): string[] {
  const made = log.split('\n').filter((line) => line.includes('Handshake message'))
  return [...new Set(made.flatMap((line) => /vpnIp"?[=:]"?([\d.]+)/.exec(line)?.[1] ?? []))]
}

test('a node is reached at its mesh address; with the certificate that was signed anew, at the new one, and the old one is silent', async (t) => {
  const host = authority.host('talos00', '10.42.1.1/16', '-groups', 'k8s')
  const networks = await makeNetworks()
  t.teardown(() => networks.stop())
  const lighthouse = authority.host('lighthouse', '10.42.0.1/16')
  const mesh = await RunningMesh.start({ nebula, networks, ca: authority.certificate, lighthouse })
  t.teardown(() => mesh.stop())
  await mesh.startNode(host)
  await until('the node is in the mesh', () => isSeen(mesh, '10.42.1.1'))
  t.false(await isSeen(mesh, '10.42.9.9'))
  // Whoever is in the mesh asks by itself; without a tunnel nobody is.
  const fromNode = await reaches(mesh, 'node', '10.42.0.1')
  t.is(fromNode.inMesh, mesh.networks.tunnels)
  if (mesh.networks.tunnels) t.is(fromNode.reach, 'reached')

  const tool = await findNebulaCert({ nebulaCert, memoryDir: '/dev/shm' })
  const [like] = await tool.print(host.certificate, 'the test')
  if (!like) return t.fail()
  const signing = { caCertificate: authority.certificate, caKey: authority.key, lifetime: 3600 }
  const certificate = await tool.sign({ like, networks: ['10.42.9.9/16'], ...signing })
  await mesh.startNode({ certificate, key: host.key })
  await until('the node is in the mesh at its new address', () => isSeen(mesh, '10.42.9.9'))
  t.false(await isSeen(mesh, '10.42.1.1'), mesh.log)
})
