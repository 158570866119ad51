import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'
import * as z from 'zod'
import type { KubernetesObject } from '../../kubernetes/api.ts'
import { appsFileSchema } from './apps.ts'
import { isInCore } from './core.ts'
import { expand } from './expand.ts'
import { type Owner, own } from './ownership.ts'
import { ResourceTypes } from './resources.ts'

const objectSchema = z
  .looseObject({
    apiVersion: z.string(),
    kind: z.string(),
    metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
  })
  .transform((object) => object as KubernetesObject)

const editSchema = z.strictObject({
  why: z.string(),
  object: objectSchema,
  patch: z.record(z.string(), z.json()),
})

/** Something that a person changed in the cluster and not in Git. */
export type HandEdit = z.infer<typeof editSchema>

/** A homelab's Git repository, as the objects that its controllers have made of it. */
export interface Homelab {
  objects: KubernetesObject[]
  handEdits: HandEdit[]
  types: ResourceTypes
}

/** The homelabs of test/fixtures: the runbook's, the part of it that holds one of each thing, and one that is moved quickly. */
export type Fixture = 'catalyst' | 'core' | 'small'

/**
 * Reads a homelab of test/fixtures. The folder of a file says who owns its objects, as the paths of Flux Kustomizations and
 * Argo CD Applications do.
 * @throws Error when a file does not fit its schema, naming the file
 */
export async function readHomelab({
  nodeName = 'talos00',
  fixture = 'catalyst',
}: {
  nodeName?: string
  fixture?: Fixture
} = {}): Promise<Homelab> {
  const root = fixtureFolder(fixture === 'core' ? 'catalyst' : fixture)
  const files = (await readdir(root, { recursive: true })).filter((file) => file.endsWith('.yaml')).sort()
  const objects: KubernetesObject[] = []
  for (const file of files.filter((file) => file !== 'by-hand.yaml')) {
    try {
      objects.push(...readFixture(file, await readFile(join(root, file), 'utf8'), nodeName))
    } catch (error) {
      throw new Error(`${relative(process.cwd(), join(root, file))} is no fixture`, { cause: error })
    }
  }
  const handEdits = z.array(editSchema).parse(parse(await readFile(join(root, 'by-hand.yaml'), 'utf8')))
  const part = fixture === 'core' ? isInCore : () => true
  const chosen = objects.filter(part)
  const definitions = chosen.filter(({ kind }) => kind === 'CustomResourceDefinition')
  const edits = handEdits.filter(({ object }) => part(object))
  return { objects: chosen, handEdits: edits, types: new ResourceTypes(definitions) }
}

function readFixture(file: string, text: string, nodeName: string): KubernetesObject[] {
  const folder = dirname(file).split(sep).join('/')
  const owner = ownerOfFolder(folder) ?? ownersOfDefinitions[file.split(sep).join('/')]
  if (file.endsWith('apps.yaml')) return expand(appsFileSchema.parse(parse(text)), owner, folder, nodeName)
  return parseAllDocuments(text).map((document) => {
    const object = objectSchema.parse(document.toJS())
    // Secrets do not come from Git: a person or an operator made them.
    return owner && object.kind !== 'Secret' ? own(object, owner) : object
  })
}

/** Whoever installs the definitions marks them as his own; a chart's crds folder leaves no marks. */
const ownersOfDefinitions: Record<string, Owner> = {
  'crds/flux.yaml': { kind: 'Kustomization', namespace: 'flux-system', name: 'flux-system' },
  'crds/argocd.yaml': { kind: 'HelmRelease', namespace: 'argocd', name: 'argocd' },
  'crds/cert-manager.yaml': { kind: 'HelmRelease', namespace: 'cert-manager', name: 'cert-manager' },
  'crds/external-secrets.yaml': { kind: 'HelmRelease', namespace: 'external-secrets', name: 'external-secrets' },
}

function ownerOfFolder(folder: string): Owner | undefined {
  const [area, name] = folder.split('/')
  if (name === undefined) return undefined
  if (area === 'clusters') return { kind: 'Kustomization', namespace: 'flux-system', name: 'flux-system' }
  if (area === 'infrastructure') return { kind: 'Kustomization', namespace: 'flux-system', name }
  if (area === 'applications') return { kind: 'Application', namespace: 'argocd', name }
  return undefined
}

/** Looked for upwards, because a bundle of this module lies elsewhere than its source. */
function fixtureFolder(name: string): string {
  const wanted = join('test/fixtures', name)
  let folder = import.meta.dirname
  while (!existsSync(join(folder, wanted, 'by-hand.yaml'))) {
    if (dirname(folder) === folder) throw new Error(`${wanted} is not above this module`)
    folder = dirname(folder)
  }
  return join(folder, wanted)
}
