// Says what reachFromHere and isInMesh say of one peer, in whatever network this process was started.
import { isInMesh, peerOf, reachFromHere } from '../../../../lib/network/nebula/peers.ts'

const [peer = '', network = ''] = process.argv.slice(2)
console.log(JSON.stringify({ reach: await reachFromHere(peerOf(peer)), inMesh: isInMesh([network]) }))
