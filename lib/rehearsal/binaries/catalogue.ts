import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { projectFolder } from '../../settings.ts'

export const binaryNames = [
  'etcd',
  'etcdutl',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kwok',
  'talosctl',
  'practice-machine',
  'age',
  'task',
  'moto_server',
  'nebula',
  'nebula-cert',
] as const

/** Those that take long to build and of which one scenario's rehearsal alone makes use: built when they are asked for by name. */
export const onDemandNames = ['liqoctl'] as const

export type BinaryName = (typeof binaryNames)[number] | (typeof onDemandNames)[number]

/** How a binary is made when none is found. */
export type Source =
  | { kind: 'go' /** folder of the pinned go.mod */; folder: string; package: string; ldflags: string[] }
  | { kind: 'pip'; package: string; version: string }
  /** a folder with requirements.txt, all pinned, and the program that runs on them */
  | { kind: 'python'; folder: string }

/** One pinned program: where it may be named, how it tells its version, how it is made. */
export interface Tool {
  name: BinaryName
  /** Without a leading v. For the practice machine, a hash of its sources. */
  version: string
  /** The environment variable that names a binary explicitly. */
  setting: string
  /** False for what only this project has: then PATH and KUBEBUILDER_ASSETS are not searched. */
  foreign: boolean
  versionArguments: string[]
  /** Group 1 of it is the version; what does not match is another program of the same name. */
  versionPattern: RegExp
  /** Whether a found version will do; the exact one by default. */
  accepts?: (version: string) => boolean
  source: Source
}

/** Commit and time of the Kubernetes release that the pinned modules were cut from (`git rev-list -1 v1.34.0`; module proxy's .info). */
const kubernetes = {
  version: '1.34.0',
  commit: 'f28b4c9efbca5c5c0af716d9f2d5702667ee8a45',
  time: '2025-08-27T10:09:04Z',
} as const

const etcd = { version: '3.6.4' } as const
const task = { version: '3.54.0' } as const
const moto = { version: '5.2.5' } as const
const age = { version: '1.2.1' } as const
const nebula = { version: '1.9.7' } as const
const liqo = { version: '1.0.1' } as const

/** Talos, with the commit of its release tag, shortened as its own releases are (module proxy's .info). */
const talos = { version: '1.11.1', sha: '8e85c836' } as const

const stripped = ['-s', '-w']
// What `talosctl version` says of client and machine alike; a build from a module knows the tag, and not the commit.
const talosFlags = [...stripped, `-X github.com/siderolabs/talos/pkg/machinery/gendata.VersionSHA=${talos.sha}`]

/** The pinned programs of the given names, in the catalogue's order. For the practice machine its sources are read. */
export function catalogue(names: readonly BinaryName[] = binaryNames, root = projectFolder): Tool[] {
  const pinned = join(root, 'lib/rehearsal/binaries')
  const tools: Record<BinaryName, () => Tool> = {
    etcd: () => etcdTool(join(pinned, 'etcd')),
    etcdutl: () => etcdutlTool(join(pinned, 'etcd')),
    'kube-apiserver': () => kubernetesTool('kube-apiserver', join(pinned, 'kubernetes')),
    'kube-controller-manager': () => kubernetesTool('kube-controller-manager', join(pinned, 'kubernetes')),
    'kube-scheduler': () => kubernetesTool('kube-scheduler', join(pinned, 'kubernetes')),
    kwok: () => kwokTool(join(pinned, 'kwok')),
    talosctl: () => talosctlTool(join(pinned, 'talosctl')),
    'practice-machine': () => practiceMachineTool(join(root, 'lib/rehearsal/machine')),
    age: () => ageTool(join(pinned, 'age')),
    task: taskTool,
    moto_server: () => motoTool(join(pinned, 'moto')),
    nebula: () => nebulaTool('nebula', join(pinned, 'nebula')),
    'nebula-cert': () => nebulaTool('nebula-cert', join(pinned, 'nebula')),
    liqoctl: () => liqoctlTool(join(pinned, 'liqoctl')),
  }
  return [...binaryNames, ...onDemandNames].filter((name) => names.includes(name)).map((name) => tools[name]())
}

function etcdTool(folder: string): Tool {
  return {
    name: 'etcd',
    version: etcd.version,
    setting: 'ETCD_BINARY',
    foreign: true,
    versionArguments: ['--version'],
    versionPattern: /^etcd Version: (\S+)/m,
    source: { kind: 'go', folder, package: 'go.etcd.io/etcd/server/v3', ldflags: stripped },
  }
}

function etcdutlTool(folder: string): Tool {
  return {
    name: 'etcdutl',
    version: etcd.version,
    setting: 'ETCDUTL_BINARY',
    foreign: true,
    versionArguments: ['version'],
    versionPattern: /^etcdutl version: (\S+)/m,
    source: { kind: 'go', folder, package: 'go.etcd.io/etcd/etcdutl/v3', ldflags: stripped },
  }
}

function kubernetesTool(name: 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler', folder: string): Tool {
  return {
    name,
    version: kubernetes.version,
    setting: `${name.toUpperCase().replaceAll('-', '_')}_BINARY`,
    foreign: true,
    versionArguments: ['--version'],
    versionPattern: /^Kubernetes v(\S+)/m,
    source: { kind: 'go', folder, package: `k8s.io/kubernetes/cmd/${name}`, ldflags: kubernetesFlags() },
  }
}

/** What `kubectl version` and the user agent say; Kubernetes leaves these empty unless the linker fills them in. */
function kubernetesFlags(): string[] {
  const [major = '', minor = ''] = kubernetes.version.split('.')
  const stamp = {
    gitVersion: `v${kubernetes.version}`,
    gitMajor: major,
    gitMinor: minor,
    gitCommit: kubernetes.commit,
    // Neither "clean" nor "dirty": there is no work tree. Kubernetes' own build says this of a source archive.
    gitTreeState: 'archive',
    buildDate: kubernetes.time,
  }
  const packages = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version']
  const settings = packages.flatMap((path) =>
    Object.entries(stamp).map(([field, value]) => `-X ${path}.${field}=${value}`),
  )
  return [...stripped, ...settings]
}

function kwokTool(folder: string): Tool {
  return {
    name: 'kwok',
    version: '0.7.0',
    setting: 'KWOK_BINARY',
    foreign: true,
    versionArguments: ['--version'],
    versionPattern: /^kwok version v(\S+)/m,
    source: { kind: 'go', folder, package: 'sigs.k8s.io/kwok/cmd/kwok', ldflags: stripped },
  }
}

function talosctlTool(folder: string): Tool {
  return {
    name: 'talosctl',
    version: talos.version,
    setting: 'TALOSCTL',
    foreign: true,
    versionArguments: ['version', '--client', '--short'],
    versionPattern: /^Talos v(\S+)/m,
    source: { kind: 'go', folder, package: 'github.com/siderolabs/talos/cmd/talosctl', ldflags: talosFlags },
  }
}

function practiceMachineTool(folder: string): Tool {
  const version = hashOfSources(folder)
  return {
    name: 'practice-machine',
    version,
    setting: 'PRACTICE_MACHINE',
    foreign: false,
    versionArguments: ['--version'],
    versionPattern: /^practice-machine (\S+)/m,
    source: { kind: 'go', folder, package: '.', ldflags: [...talosFlags, `-X main.version=${version}`] },
  }
}

/** Opens in the tests what this program has encrypted, as an operator would without it. */
function ageTool(folder: string): Tool {
  return {
    name: 'age',
    version: age.version,
    setting: 'AGE_BINARY',
    foreign: true,
    versionArguments: ['--version'],
    versionPattern: /^v?(\d+\.\d+\.\d+)/m,
    accepts: (version) => version.startsWith('1.'),
    source: {
      kind: 'go',
      folder,
      package: 'filippo.io/age/cmd/age',
      ldflags: [...stripped, `-X main.Version=v${age.version}`],
    },
  }
}

function taskTool(): Tool {
  return {
    name: 'task',
    version: task.version,
    setting: 'TASK_BINARY',
    foreign: true,
    versionArguments: ['--version'],
    versionPattern: /^(?:Task version: )?v?(\d+\.\d+\.\d+)/m,
    accepts: isRecentTask,
    source: { kind: 'pip', package: 'go-task-bin', version: task.version },
  }
}

/** A bucket on loopback for the tests. */
function motoTool(folder: string): Tool {
  return {
    name: 'moto_server',
    version: moto.version,
    setting: 'MOTO_SERVER',
    foreign: false,
    versionArguments: ['--version'],
    versionPattern: /^moto (\S+)/m,
    source: { kind: 'python', folder },
  }
}

/** A mesh of its own for the tests, and what signs and reads its certificates. */
function nebulaTool(name: 'nebula' | 'nebula-cert', folder: string): Tool {
  return {
    name,
    version: nebula.version,
    setting: name === 'nebula' ? 'NEBULA_BINARY' : 'NEBULA_CERT',
    foreign: true,
    versionArguments: ['-version'],
    versionPattern: /^Version: (\d+\.\d+\.\d+)/m,
    source: {
      kind: 'go',
      folder,
      package: `github.com/slackhq/nebula/cmd/${name}`,
      ldflags: [...stripped, `-X main.Build=${nebula.version}`],
    },
  }
}

/** What tears Liqo's peerings down and makes them, of the Liqo that the rehearsal plays. */
function liqoctlTool(folder: string): Tool {
  return {
    name: 'liqoctl',
    version: liqo.version,
    setting: 'LIQOCTL_BINARY',
    foreign: true,
    versionArguments: ['version', '--client'],
    versionPattern: /^Client version: v(\S+)/m,
    source: {
      kind: 'go',
      folder,
      package: 'github.com/liqotech/liqo/cmd/liqoctl',
      ldflags: [...stripped, `-X github.com/liqotech/liqo/pkg/liqoctl/version.LiqoctlVersion=v${liqo.version}`],
    },
  }
}

/** The first 12 hex digits of a SHA-256 over names and contents of all files below a folder, Go tests and their data left out. */
export function hashOfSources(folder: string): string {
  const hash = createHash('sha256')
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('_test.go'))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((file) => !file.split(sep).includes('testdata'))
    .sort()
  for (const file of files) {
    hash.update(`${file}\0`)
    hash.update(readFileSync(join(folder, file)))
    hash.update('\0')
  }
  return hash.digest('hex').slice(0, 12)
}

/** The Taskfiles need what go-task has had since 3.40. */
function isRecentTask(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major === 3 && minor >= 40
}
