import pMap from 'p-map'
import { ApiError, type KubernetesApi } from '../../lib/kubernetes/api.ts'
import { namespaces, objectOf } from './objects.ts'

const atOnce = 48

/**
 * Makes objects `from` to `to` of the mix in a cluster that serves Flux' HelmReleases. The namespaces are made with the first.
 * @throws ApiError when the API server refuses one
 */
export async function fill(
  api: KubernetesApi,
  { from, to }: { from: number; to: number },
  onProgress: (made: number) => void,
): Promise<void> {
  if (from === 0) for (const name of namespaces) await createNew(api, '/api/v1/namespaces', { metadata: { name } })
  let made = 0
  await pMap(
    numbers(from, to),
    async (number) => {
      const { collection, object } = objectOf(number)
      await createNew(api, collection, object)
      onProgress(++made)
    },
    { concurrency: atOnce },
  )
}

async function createNew(api: KubernetesApi, collection: string, object: unknown): Promise<void> {
  try {
    await api.create(collection, object)
  } catch (error) {
    // Of an answer that was lost on its way.
    if (!(error instanceof ApiError && error.reason === 'AlreadyExists')) throw error
  }
}

function* numbers(from: number, to: number): Generator<number> {
  for (let number = from; number < to; number++) yield number
}
