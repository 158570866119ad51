import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { ListableResource } from '../../lib/kubernetes/discovery.ts'

export interface Command {
  program: string
  args: string[]
}

/** One way to get the objects out of a cluster: commands that are run one after the other, what they print going to a file. */
export interface Contender {
  name: string
  /** @param folder an empty one, for what the commands write */
  commands: (folder: string) => Command[]
}

/** The one that the others are compared with. */
export const ours = 'ours'

interface Surroundings {
  kubeconfig: string
  identityFile: string
  /** where the programs are built */
  workFolder: string
  resources: readonly ListableResource[]
  /** undefined: there is none, and its contenders are left out */
  kubectl: string | undefined
}

/** All contenders. Ours and the floor are bundled, as `task` runs the scripts. */
export async function contenders(surroundings: Surroundings): Promise<Contender[]> {
  const { kubeconfig, identityFile, workFolder, kubectl } = surroundings
  await bundle(workFolder)
  const node = (program: string, ...args: string[]) => ({
    program: process.execPath,
    args: [join(workFolder, program), kubeconfig, ...args],
  })
  return [
    { name: ours, commands: (folder) => [node('ours.js', folder, identityFile)] },
    { name: 'floor', commands: () => [node('floor.js')] },
    ...(kubectl === undefined ? [] : kubectlContenders(kubectl, surroundings)),
  ]
}

/** @returns kubectl of KUBECTL or PATH, or undefined when there is none that runs */
export function findKubectl(environment: NodeJS.ProcessEnv): string | undefined {
  const kubectl = environment.KUBECTL || 'kubectl'
  return spawnSync(kubectl, ['version', '--client'], { stdio: 'ignore' }).status === 0 ? kubectl : undefined
}

function kubectlContenders(program: string, { kubeconfig, workFolder, resources }: Surroundings): Contender[] {
  const get = (...args: string[]): Command => ({
    program,
    args: ['--kubeconfig', kubeconfig, '--cache-dir', join(workFolder, 'kubectl-cache'), 'get', ...args],
  })
  const names = resources.map(({ group, resource }) => (group === '' ? resource : `${resource}.${group}`)).join(',')
  return [
    { name: 'kubectl json', commands: () => [get(names, '-A', '-o', 'json')] },
    { name: 'kubectl yaml', commands: () => [get(names, '-A', '-o', 'yaml')] },
    {
      name: 'guide',
      commands: () => [
        get('all', '-A', '-o', 'yaml'),
        get('crd', '-o', 'yaml'),
        get('secrets', '-A', '-o', 'yaml'),
        get('pv', '-o', 'yaml'),
      ],
    },
  ]
}

async function bundle(folder: string): Promise<void> {
  const here = (name: string) => new URL(name, import.meta.url).pathname
  await build({
    entryPoints: [here('ours.ts'), here('floor.ts')],
    outdir: folder,
    ...{ bundle: true, platform: 'node', target: 'node20', format: 'esm', logLevel: 'warning' },
    banner: { js: "import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)" },
  })
}
