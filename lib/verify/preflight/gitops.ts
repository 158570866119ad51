import { sameRepository } from '../../gitops/work-tree.ts'
import { NotChecked } from '../check.ts'
import type { PreflightCheck } from './context.ts'

const allIsCommitted: PreflightCheck = {
  name: "The homelab's work tree is clean",
  run: async (context) => {
    const { changed, untracked } = await context.openWorkTree()
    const paths = [...changed, ...untracked]
    if (paths.length === 0) return []
    const some = `${paths.slice(0, 5).join(', ')}${paths.length > 5 ? ' …' : ''}`
    return [
      {
        subject: context.settings.homelabDir,
        evidence: `${paths.length} ${paths.length === 1 ? 'path is' : 'paths are'} not committed: ${some}`,
        // migrate:rewrite-ip refuses a tree whose tracked files are changed.
        severity: context.settings.scenario === 'B' && changed.length > 0 ? 'error' : 'warning',
        wayOut: 'Commit or stash it, so that what this evening changes can be told from it.',
      },
    ]
  },
}

const allIsPushed: PreflightCheck = {
  name: "The homelab's branch is pushed",
  run: async (context) => {
    const { branch, upstream, ahead, behind, remotes } = await context.workTree()
    // A repository without a remote is nobody's source.
    if (remotes.length === 0) return []
    const finding = (evidence: string, wayOut: string) => [
      { subject: branch ?? 'HEAD', evidence, severity: 'warning' as const, wayOut },
    ]
    if (upstream === undefined)
      return finding('it follows no branch of a remote', 'git switch BRANCH; git push --set-upstream')
    if (ahead > 0)
      return finding(
        `${ahead} commits are not at ${upstream}: Flux cannot have applied them`,
        'git push, and wait for Flux',
      )
    if (behind > 0) return finding(`${upstream} has ${behind} commits more`, 'git pull')
    return []
  },
}

const fluxHasAppliedIt: PreflightCheck = {
  name: 'Flux has applied what is committed here',
  run: async (context) => {
    const flux = (await context.gitops()).flux ?? []
    const repositories = flux.filter(({ kind }) => kind === 'GitRepository')
    if (repositories.length === 0) return []
    const { head, remotes } = await context.workTree()
    const ours = repositories.filter(({ url }) => remotes.some((remote) => sameRepository(remote, url ?? '')))
    if (ours.length === 0) throw new NotChecked("no GitRepository of Flux has the URL of one of HOMELAB_DIR's remotes")
    return ours.flatMap(({ namespace, name, appliedRevision, suspended }) => {
      const key = `GitRepository ${namespace}/${name}`
      const fetched = commitIn(appliedRevision)
      const stale = flux.filter(
        (each) => each.kind === 'Kustomization' && each.source === key && commitIn(each.appliedRevision) !== fetched,
      )
      const wayOut = `${suspended ? 'It is suspended. ' : ''}flux reconcile source git ${name} -n ${namespace}, or git pull here`
      return [
        ...(fetched === head
          ? []
          : [
              {
                subject: key,
                evidence: `it has ${short(fetched)}, and here is ${short(head)}`,
                severity: 'warning' as const,
                wayOut,
              },
            ]),
        ...stale.map((each) => ({
          subject: `Kustomization ${each.namespace}/${each.name}`,
          evidence: `it has applied ${short(commitIn(each.appliedRevision))}, and its source is at ${short(fetched)}`,
          severity: 'warning' as const,
          wayOut: `flux reconcile kustomization ${each.name} -n ${each.namespace}`,
        })),
      ]
    })
  },
}

/** `main@sha1:4af3…`, and `main/4af3…` of older versions (https://fluxcd.io/flux/components/source/gitrepositories/#artifact). */
function commitIn(revision: string | null): string | undefined {
  return /[@/](?:sha\d+:)?([0-9a-f]{40,64})$/.exec(revision ?? '')?.[1]
}

function short(commit: string | undefined): string {
  return commit?.slice(0, 8) ?? 'nothing'
}

/** Whether Git, the work tree here, and what the cluster runs are the same. */
export const gitopsChecks: readonly PreflightCheck[] = [allIsCommitted, allIsPushed, fluxHasAppliedIt]
