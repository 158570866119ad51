import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { evening } from '../lib/migration/evening.ts'
import { catalogue } from '../lib/rehearsal/binaries/catalogue.ts'
import { ensureTools } from '../lib/rehearsal/binaries.ts'
import { projectFolder } from '../lib/settings.ts'
import { temporaryFolder } from './temporary-folder.ts'

const tools = await ensureTools(catalogue(['task']), { progress: { info: () => {} } as never })
const task = tools.get('task')?.path ?? 'task'

interface Outcome {
  code: number | null
  output: string
}

function run(args: string[], options: { cwd?: string; env?: Record<string, string> } = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    // In a CI go-task colours what it lists.
    const env = { ...process.env, NO_COLOR: '1', ...options.env }
    const child = spawn(task, args, { cwd: options.cwd ?? projectFolder, env })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
    child.on('close', (code) => resolve({ code, output }))
  })
}

const newFolder = () => temporaryFolder('taskfiles')

test('every target that the runbook names is there, with a description', async (t) => {
  const { output } = await run(['--list', '--json'])
  const tasks = (JSON.parse(output) as { tasks: { name: string; desc: string }[] }).tasks
  const names = tasks.map(({ name }) => name)
  const named = [
    'gen-config',
    'apply-config',
    'bootstrap',
    'kubeconfig',
    'health',
    'shutdown',
    'reset',
    'etcd-members',
    'etcd-snapshot',
  ]
  for (const name of named) t.true(names.includes(`talos:${name}`), name)
  for (const name of [
    'plan',
    'preflight',
    'backup',
    'backup-verify',
    'unpeer',
    'drain',
    'evacuate',
    'shutdown',
    'provision',
    'rewrite-ip',
    'resume',
    'repeer',
    'join',
    'leave',
    'verify',
    'run',
    'restore',
    'rollback',
    'status',
    'report',
    'rehearse',
  ]) {
    t.true(names.includes(`migrate:${name}`), name)
  }
  for (const { name, desc } of tasks) t.not(desc, '', name)
})

test('a variable of the task line wins over the environment, and the environment over the file', async (t) => {
  const folder = newFolder()
  const asked = (args: string[], env: Record<string, string>) =>
    run(['--exit-code', 'migrate:status', `OUTPUT_DIR=${folder}`, ...args], { env: { CLUSTER: 'catalyst', ...env } })
  const fromLine = await asked(['TALOS_NODE=line'], { TALOS_NODE: 'environment' })
  t.is(fromLine.code, 2)
  t.regex(fromLine.output, /TALOS_NODE=line \(from the environment\): expected an IP address/)
  const fromEnvironment = await asked([], { TALOS_NODE: 'environment' })
  t.regex(fromEnvironment.output, /TALOS_NODE=environment/)
  const fromFile = await asked([], {})
  t.is(fromFile.code, 0, fromFile.output)
  t.regex(fromFile.output, /No run is under way for catalyst/)
})

test('values with spaces and quotes reach the script as they are', async (t) => {
  const { code, output } = await run([
    '--exit-code',
    'migrate:status',
    'CLUSTER=catalyst',
    `TALOS_NODE=it's "1 2" $HOME`,
  ])
  t.is(code, 2)
  t.true(output.includes(`TALOS_NODE=it's "1 2" $HOME (from`), output)
})

test('flags follow the dashes, and a variable there is refused instead of ignored', async (t) => {
  t.regex((await run(['migrate:drain', '--yes', '--', '--help'])).output, /Changes: the cluster/)
  const { code, output } = await run(['--exit-code', '--yes', 'migrate:drain', '--', 'CLUSTER=catalyst'])
  t.is(code, 2)
  t.regex(output, /stands after the dashes/)
})

/** A homelab that has its own Taskfiles, and includes migrate with three lines; beside it talos-migrate, and a cluster of its own. */
function homelabWithMigrate(): string {
  const parent = newFolder()
  const homelab = join(parent, 'homelab')
  cpSync(join(projectFolder, 'test/fixtures/homelab'), homelab, { recursive: true })
  symlinkSync(projectFolder, join(parent, 'talos-migrate'))
  const taskfile = join(homelab, 'Taskfile.yaml')
  const own = readFileSync(taskfile, 'utf8')
  const included = own.replace(
    'includes:\n',
    'includes:\n  migrate:\n    taskfile: ../talos-migrate/Taskfile.migrate.yml\n',
  )
  writeFileSync(taskfile, included)
  mkdirSync(join(homelab, 'env'))
  const env = readFileSync(join(projectFolder, 'env/catalyst.env'), 'utf8')
  writeFileSync(join(homelab, 'env/mine.env'), env.replace('TALOS_NODE=192.168.1.54', 'TALOS_NODE=127.0.0.54'))
  return homelab
}

test('a homelab with Taskfiles of its own includes Taskfile.migrate.yml, and its folder is the homelab', async (t) => {
  const homelab = homelabWithMigrate()
  const status = (...more: string[]) =>
    run(['--exit-code', 'migrate:status', 'CLUSTER=mine', 'ENV_DIR=./env', ...more], { cwd: homelab })
  const { code, output } = await status()
  t.is(code, 0, output)
  t.true(output.includes(`(${join(homelab, '.output/migrate')})`), output)
  const elsewhere = newFolder()
  t.true((await status(`HOMELAB_DIR=${elsewhere}`)).output.includes(`(${join(elsewhere, '.output/migrate')})`))
  const listed = (await run(['--list'], { cwd: homelab })).output
  for (const name of ['clean', 'flux:reconcile', 'talos:health', 'migrate:plan'])
    t.true(listed.includes(`* ${name}:`), name)
})

test('the three lines that the README shows are enough', async (t) => {
  const homelab = newFolder()
  const readme = readFileSync(join(projectFolder, 'README.md'), 'utf8')
  const lines = /```yaml\n([\s\S]*?)```/.exec(readme)?.[1]?.replaceAll(/^ {3}/gm, '') ?? ''
  t.is(lines.trim().split('\n').length, 3)
  mkdirSync(join(homelab, 'mine'))
  symlinkSync(projectFolder, join(homelab, 'talos-migrate'))
  writeFileSync(join(homelab, 'mine/Taskfile.yaml'), `version: '3'\n${lines}`)
  const { code, output } = await run(['migrate'], { cwd: join(homelab, 'mine') })
  t.is(code, 0, output)
  t.regex(output, /task migrate:plan/)
})

test('`task migrate` alone shows the order of every scenario at 80 columns, and `task --list` has no line that wraps at 110', async (t) => {
  const { output } = await run(['migrate'])
  const named = output.split('\n').flatMap((line) => /^ {2}task migrate:([a-z-]+) {2,}/.exec(line)?.[1] ?? [])
  for (const scenario of ['A', 'B', 'C'] as const) {
    const order = evening(scenario).map(({ name }) => name)
    t.deepEqual(
      named.filter((name) => order.includes(name)),
      order,
    )
  }
  for (const line of output.split('\n')) t.true(line.length <= 80, line)
  for (const line of (await run(['--list'])).output.split('\n')) t.true(line.length <= 110, line)
})

test('talos targets take their variables from the task line, the environment, or the defaults of the homelab', async (t) => {
  const health = (args: string[], env: Record<string, string> = {}) =>
    run(['talos:health', 'TALOSCTL=echo', ...args], { env })
  t.regex((await health([])).output, /--talosconfig \.\/configs\/talosconfig --nodes 192\.168\.1\.54 .*health/)
  t.regex((await health([], { TALOS_NODE: '127.0.0.7' })).output, /--nodes 127\.0\.0\.7 /)
  t.regex((await health(['TALOS_NODE=127.0.0.8'], { TALOS_NODE: '127.0.0.7' })).output, /--nodes 127\.0\.0\.8 /)
})

test('apply-config takes INSECURE=true for a machine in maintenance mode, and finds the config where homelabs keep it', async (t) => {
  const homelab = newFolder()
  cpSync(join(projectFolder, 'Taskfile.talos.yml'), join(homelab, 'Taskfile.talos.yaml'))
  writeFileSync(join(homelab, 'Taskfile.yaml'), "version: '3'\nincludes:\n  talos: Taskfile.talos.yaml\n")
  const apply = (...args: string[]) => run(['--yes', 'talos:apply-config', 'TALOSCTL=echo', ...args], { cwd: homelab })
  t.regex(
    (await apply('INSECURE=true')).output,
    /apply-config --insecure --nodes 192\.168\.1\.54 --file \.\/configs\/controlplane\.yaml/,
  )
  mkdirSync(join(homelab, 'configs/nodes'), { recursive: true })
  writeFileSync(join(homelab, 'configs/nodes/controlplane.yaml'), '')
  t.regex((await apply()).output, /--talosconfig .* apply-config --file \.\/configs\/nodes\/controlplane\.yaml/)
})

test('gen-config never overwrites, and never makes a second secrets bundle for a cluster that has one', async (t) => {
  const homelab = newFolder()
  const generate = () => run(['--exit-code', 'talos:gen-config', `CONFIGS_DIR=${homelab}`, 'TALOSCTL=echo'])
  mkdirSync(join(homelab, 'nodes'))
  writeFileSync(join(homelab, 'nodes/controlplane.yaml'), '')
  const orphaning = await generate()
  t.not(orphaning.code, 0)
  t.regex(orphaning.output, /A new bundle would be a new PKI/)
  writeFileSync(join(homelab, 'secrets.yaml'), '')
  const withBundle = await generate()
  t.is(withBundle.code, 0, withBundle.output)
  t.notRegex(withBundle.output, /gen secrets/)
  t.regex(withBundle.output, /gen config catalyst-cluster https:\/\/192\.168\.1\.54:6443 --with-secrets/)
  writeFileSync(join(homelab, 'controlplane.yaml'), '')
  const again = await generate()
  t.not(again.code, 0)
  t.regex(again.output, /is not overwritten/)
})

test('bootstrap is refused where etcd runs, and done where it does not, without asking an etcd that cannot answer', async (t) => {
  const folder = newFolder()
  const talosctl = join(folder, 'talosctl')
  const answering = (state: string) => {
    writeFileSync(
      talosctl,
      `#!/bin/sh\ncase "$*" in *"service etcd"*) echo "STATE    ${state}";; *) echo "called: $*";; esac\n`,
      { mode: 0o755 },
    )
    return run(['--exit-code', '--yes', 'talos:bootstrap', `TALOSCTL=${talosctl}`])
  }
  const running = await answering('Running')
  t.not(running.code, 0)
  t.regex(running.output, /runs already: nothing is bootstrapped/)
  t.notRegex(running.output, /called/)
  const preparing = await answering('Preparing')
  t.is(preparing.code, 0, preparing.output)
  t.regex(preparing.output, /called: .* bootstrap$/m)
  t.notRegex(preparing.output, /etcd members/)
})
