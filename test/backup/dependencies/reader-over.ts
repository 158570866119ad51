import type { ExecutionContext } from 'ava'
import type { KubernetesObject } from '../../../lib/kubernetes/api.ts'
import { type Reader, readerOf } from '../../../lib/kubernetes/reader.ts'
import { readTemplates } from '../../../lib/kubernetes/templates.ts'
import { type Fault, instantClock, listServer } from '../../kubernetes/list-server.ts'

export type Objects = Record<string, (Partial<KubernetesObject> & { metadata: object })[]>

/**
 * A list server with these objects behind it.
 * @param objects by GROUP/RESOURCE, such as /services or apps/deployments
 */
export async function clusterOf(t: ExecutionContext, objects: Objects, fault?: Fault) {
  const path = (name: string) => `/apis/${name}`
  const items = Object.fromEntries(
    Object.entries(objects).map(([name, all]) => [path(name), all.map((object) => JSON.stringify(object))]),
  )
  const server = await listServer(items, fault)
  t.teardown(server.close)
  const resources = Object.keys(objects).map((name) => {
    const [group = '', resource = ''] = name.split('/')
    return { group, version: 'v1', resource, kind: 'X', namespaced: true, path: path(name) }
  })
  return { api: server.api, discovery: { resources }, requests: server.requests }
}

export async function readerOver(t: ExecutionContext, objects: Objects, fault?: Fault): Promise<Reader> {
  const { api, discovery } = await clusterOf(t, objects, fault)
  return readerOf(api, discovery, instantClock())
}

export async function templatesOver(t: ExecutionContext, objects: Objects) {
  return readTemplates(await readerOver(t, objects))
}

/** An object in the namespace media. */
export function object(kind: string, name: string, rest: object, namespace = 'media') {
  return { apiVersion: 'v1', kind, metadata: { name, namespace }, ...rest }
}

/** An object without a namespace. */
export function clusterObject(kind: string, name: string, rest: object) {
  return { apiVersion: 'v1', kind, metadata: { name }, ...rest }
}

/** A Deployment whose pods are as told. */
export function deployment(name: string, pod: object, namespace = 'media') {
  return object('Deployment', name, { spec: { template: { spec: pod } } }, namespace)
}
