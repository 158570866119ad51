// The floor: the same pages, fetched raw and thrown away. Nothing that reads the objects over this API can be faster.
import pMap from 'p-map'
import { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { discover } from '../../lib/kubernetes/discovery.ts'
import { firstPageLimit, limitFor } from '../../lib/kubernetes/listing.ts'

const collectionsAtOnce = 4
/** How a list goes on is said before its items; in one of custom resources, whose fields are sorted, after them. */
const tokenBefore = /^[^[]*"continue":"([^"]+)"/
const tokenAfter = /"metadata":{"continue":"([^"]+)"[^{}[\]]*}}\s*$/
const farEnough = 4000

const [kubeconfig = ''] = process.argv.slice(2)
const api = await KubernetesApi.fromFile(kubeconfig)
const { resources } = await discover(api)
let bytes = 0
await pMap(resources, ({ path }) => throwAway(path), { concurrency: collectionsAtOnce })
api.close()
process.stdout.write(`${JSON.stringify({ bytes })}\n`)

async function throwAway(path: string): Promise<void> {
  let limit = firstPageLimit
  let token: string | undefined
  do {
    const page = await api.raw(path, { limit, continue: token })
    bytes += page.length
    token = tokenIn(page)
    limit = limitFor(page.length / limit)
  } while (token !== undefined)
}

function tokenIn(page: Buffer): string | undefined {
  const found = tokenBefore.exec(page.toString('latin1', 0, farEnough))
  return (found ?? tokenAfter.exec(page.toString('latin1', Math.max(0, page.length - farEnough))))?.[1]
}
