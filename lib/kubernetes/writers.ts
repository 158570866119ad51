import type { KubernetesApi, KubernetesObject } from './api.ts'

interface Rule {
  apiGroups?: string[]
  resources?: string[]
  verbs?: string[]
}

interface Role extends KubernetesObject {
  rules?: Rule[]
}

interface Binding extends KubernetesObject {
  roleRef: { kind: string; name: string }
  subjects?: { kind: string; namespace?: string; name: string }[]
}

/**
 * The ServiceAccounts, as `namespace/name`, that may write the status of a kind by a rule that names its API group; where
 * none may, those that may write the resource itself. Whoever may write everything (GitOps, an administrator) is not
 * meant: an operator asks for what is its own.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
 */
export async function writersOf(api: KubernetesApi, owner: { group: string; kind: string }): Promise<Set<string>> {
  const resource = await pluralOf(api, owner)
  const root = '/apis/rbac.authorization.k8s.io/v1'
  const [clusterRoles, roles, clusterBindings, bindings] = await Promise.all([
    api.list<Role>(`${root}/clusterroles`),
    api.list<Role>(`${root}/roles`),
    api.list<Binding>(`${root}/clusterrolebindings`),
    api.list<Binding>(`${root}/rolebindings`),
  ])
  const all = { roles: { ClusterRole: clusterRoles, Role: roles }, bindings: [...clusterBindings, ...bindings] }
  const ofStatus = accountsWith(all, owner.group, ['*', '*/status', `${resource}/status`, `${resource}/*`])
  return ofStatus.size > 0 ? ofStatus : accountsWith(all, owner.group, [resource])
}

interface Grants {
  readonly roles: Readonly<Record<'ClusterRole' | 'Role', readonly Role[]>>
  readonly bindings: readonly Binding[]
}

function accountsWith({ roles, bindings }: Grants, group: string, resources: readonly string[]): Set<string> {
  const writing = new Set(
    (['ClusterRole', 'Role'] as const).flatMap((kind) =>
      roles[kind]
        .filter(({ rules }) => rules?.some((rule) => mayWrite(rule, group, resources)))
        .map(({ metadata }) => keyOf(kind, metadata.name, metadata.namespace)),
    ),
  )
  const granted = bindings.filter(({ roleRef, metadata }) =>
    writing.has(keyOf(roleRef.kind, roleRef.name, roleRef.kind === 'Role' ? metadata.namespace : undefined)),
  )
  return new Set(
    granted.flatMap(({ subjects = [], metadata }) =>
      subjects
        .filter(({ kind }) => kind === 'ServiceAccount')
        .map(({ namespace = metadata.namespace, name }) => `${namespace}/${name}`),
    ),
  )
}

function mayWrite(rule: Rule, group: string, wanted: readonly string[]): boolean {
  const { apiGroups = [], resources = [], verbs = [] } = rule
  const writes = verbs.some((verb) => ['*', 'update', 'patch'].includes(verb))
  return writes && apiGroups.includes(group) && resources.some((resource) => wanted.includes(resource))
}

/** As the API serves it; the empty text if it serves no such kind any more. */
async function pluralOf(api: KubernetesApi, { group, kind }: { group: string; kind: string }): Promise<string> {
  const found = await api.getOrNull<{ versions: { groupVersion: string }[] }>(`/apis/${group}`)
  for (const { groupVersion } of found?.versions ?? []) {
    const list = await api.getOrNull<{ resources: { name: string; kind: string }[] }>(`/apis/${groupVersion}`)
    const resource = list?.resources.find((each) => each.kind === kind && !each.name.includes('/'))
    if (resource) return resource.name
  }
  return ''
}

function keyOf(kind: string, name: string, namespace: string | undefined): string {
  return `${kind} ${namespace ?? ''}/${name}`
}
