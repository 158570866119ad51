import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import pMap from 'p-map'
import { OperatorError } from '../../migration/errors.ts'
import type { Progress } from '../progress.ts'
import type { BinaryName, Tool } from './catalogue.ts'
import type { Environment } from './find.ts'
import { runTool } from './run-tool.ts'
import { judge } from './version-gate.ts'

/** Two at once keep both cores busy while one of them links or downloads; more would only need more memory. */
const buildsAtOnce = 2
/** Older programs of earlier sources are of no use to anyone, but a rehearsal may be running on them now. */
const outdatedAfterMs = 24 * 3600 * 1000

export interface BuildContext {
  cache: string
  environment: Environment
  progress: Progress
  signal?: AbortSignal
}

/** Where the cache has, or will have, the binary of a tool. The key changes with everything that goes into it. */
export function cachedPath(tool: Tool, cache: string): string {
  const hash = createHash('sha256').update(JSON.stringify([tool.version, tool.source.kind]))
  if (tool.source.kind === 'go') {
    hash.update(JSON.stringify([tool.source.package, tool.source.ldflags]))
    for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(tool.source.folder, file)))
  }
  if (tool.source.kind === 'python') {
    for (const file of ['requirements.txt', tool.name]) hash.update(readFileSync(join(tool.source.folder, file)))
  }
  return join(cache, `${tool.name}-${tool.version}-${hash.digest('hex').slice(0, 8)}`, tool.name)
}

/**
 * Builds the given tools into the cache, those of one module in one go, two modules at a time. Call it with the
 * cache's lock held. A binary appears in the cache only when it is whole and has told the pinned version.
 * @throws OperatorError with the tail of what the build said
 */
export async function build(tools: readonly Tool[], context: BuildContext): Promise<void> {
  removeLeftOvers(context.cache)
  const jobs = jobsOf(tools)
  const running = new Map<string, string>()
  const tell = () => context.progress.detail([...running].map(([name, state]) => `${name}: ${state}`).join(', '))
  await pMap(
    jobs,
    async (job) => {
      const title = job.map((tool) => tool.name).join(', ')
      const began = Date.now()
      await runJob(job, context, (state) => {
        running.set(title, state)
        tell()
      })
      running.delete(title)
      context.progress.info(`built ${title} (${Math.round((Date.now() - began) / 1000)} s)`)
    },
    { concurrency: buildsAtOnce },
  )
}

async function runJob(job: readonly Tool[], context: BuildContext, tell: (state: string) => void): Promise<void> {
  const folder = mkdtempSync(join(context.cache, `${partialPrefix}${process.pid}-`))
  try {
    const made = await (isGo(job[0])
      ? buildWithGo(job, folder, context, tell)
      : installWithPip(job, folder, context, tell))
    for (const [tool, path] of made) await admit(tool, path, context.cache)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Moves a finished binary to its place, if it is what it should be. rename(2) is atomic within the cache. */
async function admit(tool: Tool, path: string, cache: string): Promise<void> {
  const verdict = await judge(tool, path)
  if (!verdict.fits) {
    throw new OperatorError(`The ${tool.name} that was built is not the pinned one: ${verdict.because}.`, {
      means: 'The pinned modules and the catalogue of lib/rehearsal/binaries do not agree. It was thrown away.',
      next: 'git status lib/rehearsal/binaries   (a changed go.mod?)',
    })
  }
  const target = cachedPath(tool, cache)
  chmodSync(path, 0o755)
  mkdirSync(dirname(target), { recursive: true })
  // The program last: where it is, all that it needs is.
  if (tool.source.kind === 'python') {
    rmSync(join(dirname(target), packagesFolder), { recursive: true, force: true })
    renameSync(join(dirname(path), packagesFolder), join(dirname(target), packagesFolder))
  }
  renameSync(path, target)
}

async function buildWithGo(
  job: readonly Tool[],
  folder: string,
  context: BuildContext,
  tell: (state: string) => void,
): Promise<Map<Tool, string>> {
  const sources = job.flatMap((tool) => (tool.source.kind === 'go' ? [tool.source] : []))
  const [source] = sources
  if (!source) return new Map()
  const packages = sources.map((one) => one.package)
  const output = new Map(job.map((tool, i) => [tool, join(folder, outputName(tool, packages, packages[i] ?? ''))]))
  const [first] = output.values()
  const target = packages.length === 1 && first ? first : `${folder}/`
  const flags = ['-trimpath', '-buildvcs=false', '-mod=readonly', '-v', '-ldflags', source.ldflags.join(' ')]
  const began = Date.now()
  let compiled = 0
  let downloaded = 0
  const state = () => {
    const done =
      compiled > 0 ? `, ${compiled} packages compiled` : downloaded > 0 ? `, ${downloaded} modules fetched` : ''
    return `building for ${Math.round((Date.now() - began) / 1000)} s${done}`
  }
  await runTool('go', ['build', ...flags, '-o', target, ...packages], {
    cwd: source.folder,
    // Static binaries, the same whether there is a C compiler or not.
    environment: { ...context.environment, CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '' },
    signal: context.signal,
    onLine: (line) => {
      if (line.startsWith('go: downloading')) downloaded++
      else compiled++
    },
    onTick: () => tell(state()),
    onMissing: () => missingGo(job),
    onFailure: (said, code) => failed(job, 'go build', said, code),
  })
  return output
}

/** `go build -o FOLDER/` names a binary after the last element of its package, less a major version (cmd/go, -o). */
function outputName(tool: Tool, packages: readonly string[], path: string): string {
  if (packages.length === 1) return tool.name
  const last = basename(path)
  return /^v\d+$/.test(last) ? basename(dirname(path)) : last
}

async function installWithPip(
  job: readonly Tool[],
  folder: string,
  context: BuildContext,
  tell: (state: string) => void,
): Promise<Map<Tool, string>> {
  const made = new Map<Tool, string>()
  for (const tool of job) {
    const { source } = tool
    if (source.kind === 'go') continue
    const wanted =
      source.kind === 'pip'
        ? { what: [`${source.package}==${source.version}`], target: folder }
        : { what: ['--requirement', join(source.folder, 'requirements.txt')], target: join(folder, packagesFolder) }
    const flags = ['--no-deps', '--only-binary', ':all:', '--disable-pip-version-check', '--quiet']
    await runTool('python3', ['-m', 'pip', 'install', '--target', wanted.target, ...flags, ...wanted.what], {
      cwd: folder,
      environment: context.environment,
      signal: context.signal,
      onLine: () => undefined,
      onTick: () => tell('being installed from PyPI'),
      onMissing: () => missing(tool, 'there is no python3 to install it with'),
      onFailure: (said) => missing(tool, `pip could not install ${tool.version}: ${said.at(-1) ?? 'it said nothing'}`),
    })
    if (source.kind === 'python') {
      copyFileSync(join(source.folder, tool.name), join(folder, tool.name))
      chmodSync(join(folder, tool.name), 0o755)
    }
    made.set(tool, source.kind === 'python' ? join(folder, tool.name) : join(folder, 'bin', tool.name))
  }
  return made
}

/** Where the packages of a Python program lie, beside it. */
const packagesFolder = 'packages'
const partialPrefix = '.partial-'

/** What interrupted builds left: partial folders of processes that are gone, and programs of sources of other days. */
function removeLeftOvers(cache: string): void {
  mkdirSync(cache, { recursive: true })
  for (const name of readdirSync(cache)) {
    const path = join(cache, name)
    const owner = /^\.partial-(\d+)-/.exec(name)?.[1]
    const abandoned = owner !== undefined && Number(owner) !== process.pid
    const outdated = name.startsWith('practice-machine-') && Date.now() - statSync(path).mtimeMs > outdatedAfterMs
    // Only the holder of the lock builds, so that no other process can be at work in a partial folder.
    if (abandoned || outdated) rmSync(path, { recursive: true, force: true })
  }
}

const isGo = (tool: Tool | undefined) => tool?.source.kind === 'go'
const moduleOf = ({ source }: Tool) => (source.kind === 'pip' ? source.package : source.folder)

/** One job per module: its packages share most of what is compiled. The longest first, so that it is not alone at the end. */
function jobsOf(tools: readonly Tool[]): Tool[][] {
  const jobs = new Map<string, Tool[]>()
  for (const tool of tools) jobs.set(moduleOf(tool), [...(jobs.get(moduleOf(tool)) ?? []), tool])
  const order: BinaryName[] = ['kube-apiserver', 'talosctl', 'practice-machine', 'kwok']
  const rank = (job: Tool[]) => Math.min(...job.map(({ name }) => (order.includes(name) ? order.indexOf(name) : 9)))
  return [...jobs.values()].sort((a, b) => rank(a) - rank(b))
}

function missingGo(job: readonly Tool[]): OperatorError {
  const names = job.map((tool) => `${tool.name} ${tool.version}`).join(', ')
  return new OperatorError(`There is no go on PATH, and it is needed to build ${names}.`, {
    means: 'The practice cluster runs on real binaries. Those that are not found are built from pinned sources, once.',
    next: 'Install Go 1.24.5 or later (https://go.dev/dl), or name the binaries, e.g. ETCD_BINARY=/path/to/etcd',
  })
}

function missing(tool: Tool, because: string): OperatorError {
  const isTask = tool.name === 'task'
  return new OperatorError(`${isTask ? 'go-task' : tool.name} is not on PATH, and ${because}.`, {
    means: isTask
      ? 'The phases are run the way that a user runs them: as task migrate:NAME.'
      : 'The tests of copies in a bucket run against it.',
    next: `${isTask ? 'Install go-task (https://taskfile.dev/installation)' : 'Install Python 3.10 or later with pip'}, or name one that you have: ${tool.setting}=/path/to/${tool.name}`,
  })
}

function failed(job: readonly Tool[], what: string, said: string[], code: number | string): OperatorError {
  const reason = said.slice(-12).join('\n   ')
  return new OperatorError(`${what} of ${job.map((tool) => tool.name).join(', ')} failed (${code}):\n   ${reason}`, {
    means: 'Nothing half-built was kept; what was compiled so far is in the build cache of go.',
    next: 'Type the same command again. If modules cannot be downloaded: go env GOPROXY',
  })
}
