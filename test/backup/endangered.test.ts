import { execFileSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { describeDanger, findDangers } from '../../lib/backup/endangered.ts'
import { loadSettings } from '../../lib/settings.ts'
import { scratchFolder } from './keys.ts'

async function homelab(t: ExecutionContext, files: Record<string, string>) {
  const folder = await scratchFolder(t)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  const dangers = async (more: Record<string, string> = {}) => {
    const paths = { BACKUP_DIR: '/nas/backup', OUTPUT_DIR: '/nas/runs', AGE_IDENTITY_FILE: '/nas/identity', ...more }
    const found = await findDangers(loadSettings({ CLUSTER: 'catalyst', HOMELAB_DIR: folder, ...paths }))
    // What is not known may be all of them; a test is about the ones that it names.
    return found.flatMap((danger) =>
      danger.things
        .filter(({ variable }) => variable in more)
        .map((thing) => describeDanger({ ...danger, things: [{ ...thing, path: '…' }] })),
    )
  }
  return { folder, dangers }
}

/** What one command of `task clean` does to a BACKUP_DIR. */
async function clean(t: ExecutionContext, command: string, backupDir = '.output/backup'): Promise<string> {
  const { dangers } = await homelab(t, {
    'Taskfile.yml': `tasks:\n  clean:\n    cmds:\n      - ${JSON.stringify(command)}\n`,
  })
  const found = await dangers({ BACKUP_DIR: backupDir })
  if (found.length === 0) return 'safe'
  return found.join().includes('may remove') ? 'perhaps' : 'removed'
}

test('the task, its file and its line are named', async (t) => {
  const { dangers } = await homelab(t, {
    'Taskfile.yaml':
      "version: '3'\n\ntasks:\n  clean:\n    desc: Remove output\n    cmds:\n      - echo cleaning\n      - rm -rf .output\n",
  })
  t.deepEqual(await dangers({ BACKUP_DIR: '.output/backup' }), [
    'task clean (Taskfile.yaml:8) removes BACKUP_DIR (…): rm -rf .output',
  ])
  t.deepEqual(await dangers({ OUTPUT_DIR: '.output/migrate', AGE_IDENTITY_FILE: '.output/id.txt' }), [
    'task clean (Taskfile.yaml:8) removes OUTPUT_DIR (…): rm -rf .output',
    'task clean (Taskfile.yaml:8) removes AGE_IDENTITY_FILE (…): rm -rf .output',
  ])
  t.deepEqual(await dangers({ BACKUP_DIR: '/nas/backup' }), [])
})

test('rm, in the ways in which it is written', async (t) => {
  const removing = [
    'rm -rf .output',
    'rm -fr ./.output/',
    'rm -r -f -- .output',
    'rm --recursive .output',
    'sudo rm -rf ".output"',
    'rm -rf .output/*',
    'rm -rf .output/backup/*',
    'rm -rf .out*',
    'rm -rf build {.output,dist}',
    'test -d .output && rm -rf .output',
    'if true; then rm -rf .output; fi',
    'cd .output && rm -rf backup',
    'echo a\nrm -rf \\\n  .output',
  ]
  for (const command of removing) t.is(await clean(t, command), 'removed', command)
  const harmless = [
    'rm -f .output/*',
    'rm -rf .output/kubeconfig',
    'rm -rf .outputs',
    'rm -rf .output/backups',
    'echo "rm -rf .output"',
    'rm -rf ./*',
    'rm -rf build # .output',
  ]
  for (const command of harmless) t.is(await clean(t, command), 'safe', command)
})

test('find and git clean, in the ways in which they are written', async (t) => {
  const removing = [
    'find .output -delete',
    'find . -mindepth 1 -delete',
    'find .output -name "*.gz" -delete',
    'find .output -name "manifest.*" -exec rm {} +',
    'find .output -type f | xargs rm -f',
  ]
  for (const command of removing) t.is(await clean(t, command), 'removed', command)
  const harmless = [
    'find .output -name "*.log" -delete',
    'find .output -empty -delete',
    'find .output',
    'find configs -delete',
  ]
  for (const command of harmless) t.is(await clean(t, command), 'safe', command)
  t.is(await clean(t, 'git clean -fdx'), 'safe', 'there is no repository')
})

test('git clean removes what Git ignores only with x, and what it does not ignore only without X', async (t) => {
  const outcome = async (command: string, backupDir: string) => {
    const { folder, dangers } = await homelab(t, {
      'Taskfile.yml': `tasks: {clean: [${JSON.stringify(command)}]}`,
      '.gitignore': '.output/\n',
    })
    execFileSync('git', ['init', '--quiet', folder])
    return (await dangers({ BACKUP_DIR: backupDir })).length > 0
  }
  for (const command of [
    'git clean -fdx',
    'git clean -f -d -x',
    'git clean -xdff',
    'git -C . clean -dfx',
    'git clean -fdX',
  ]) {
    t.true(await outcome(command, '.output/backup'), command)
  }
  for (const command of [
    'git clean -fd',
    'git clean -ndx',
    'git clean -fdx -e .output',
    'git clean -fdx configs',
    'git status',
  ]) {
    t.false(await outcome(command, '.output/backup'), command)
  }
  t.true(await outcome('git clean -fd', 'backup'))
  t.false(await outcome('git clean -fdX', 'backup'))
  t.false(await outcome('git clean -fdx', '/nas/backup'))
})

test('variables are followed where they are plain, and taken for a danger where they are not', async (t) => {
  const taskfile = (vars: string, command: string) => ({
    'Taskfile.yml': `vars:\n${vars}\ntasks:\n  clean: ${JSON.stringify(command)}\n`,
  })
  const outcome = async (vars: string, command: string) => {
    const { dangers } = await homelab(t, taskfile(vars, command))
    return (await dangers({ BACKUP_DIR: '.output/backup' })).map((line) =>
      line.includes('may remove') ? 'perhaps' : 'removed',
    )
  }
  t.deepEqual(await outcome('  OUT: .output', 'rm -rf {{.OUT}}'), ['removed'])
  t.deepEqual(await outcome('  BASE: .output\n  OUT: "{{.BASE}}/backup"', 'rm -rf "{{ .OUT }}"'), ['removed'])
  t.deepEqual(await outcome('  X: y', 'rm -rf {{.OUT | default ".output"}}'), ['removed'])
  t.deepEqual(await outcome('  X: y', 'rm -rf {{.ROOT_DIR}}/.output'), ['removed'])
  t.deepEqual(await outcome('  OUT: build', 'rm -rf {{.OUT}}'), [])
  t.deepEqual(await outcome('  OUT: {sh: pwd}', 'rm -rf {{.OUT}}'), ['perhaps'])
  t.deepEqual(await outcome('  OUT: {sh: pwd}', 'rm -rf {{.OUT}}/backup'), ['perhaps'])
  t.deepEqual(await outcome('  OUT: {sh: pwd}', 'rm -rf {{.OUT}}/cache'), [])
  t.deepEqual(await outcome('  X: y', 'rm -rf $(ls) "$OUT/node_modules"'), ['perhaps'])
  t.deepEqual(await outcome('  X: y', 'for d in a b; do rm -rf .output/$d; done'), ['perhaps'])
})

test('includes, folders of tasks, loops, and tasks that a clean task calls are followed', async (t) => {
  const { dangers } = await homelab(t, {
    'Taskfile.dist.yaml': [
      'includes:',
      '  infra: {taskfile: ./infra, dir: ./infra}',
      '  gone: {taskfile: ./gone.yml, optional: true}',
      '  remote: https://example.com/Taskfile.yml',
      'tasks:',
      '  clean: {deps: [wipe], cmds: [{task: "infra:purge"}]}',
      '  wipe: {dir: .output, cmds: [{for: [logs, backup], cmd: "rm -rf {{.ITEM}}"}]}',
      '  unrelated: rm -rf .output',
    ].join('\n'),
    'infra/Taskfile.yml':
      'tasks:\n  purge:\n    - rm -rf ../.output\n  clean:all:\n    - {defer: rm -rf ../.output/backup}\n',
  })
  t.deepEqual(await dangers({ BACKUP_DIR: '.output/backup' }), [
    'task infra:clean:all (infra/Taskfile.yml:5) removes BACKUP_DIR (…): rm -rf ../.output/backup',
    'task wipe (Taskfile.dist.yaml:7) removes BACKUP_DIR (…): rm -rf backup',
    'task infra:purge (infra/Taskfile.yml:3) removes BACKUP_DIR (…): rm -rf ../.output',
  ])
})

test('a link into a folder that is removed is no way out', async (t) => {
  const { folder, dangers } = await homelab(t, {
    'Taskfile.yml': 'tasks: {clean: rm -rf .output}',
    '.output/backup/x': '',
  })
  symlinkSync(join(folder, '.output'), join(folder, 'link'))
  t.is((await dangers({ BACKUP_DIR: 'link/backup' })).length, 1)
})

test('a Taskfile that is broken, or none, is no danger and no error', async (t) => {
  for (const text of ['tasks: [', 'tasks: 5', 'tasks: {clean: {cmds: 5}}', '', 'tasks: {clean: null}', '- a']) {
    const { dangers } = await homelab(t, { 'Taskfile.yml': text })
    t.deepEqual(await dangers({ BACKUP_DIR: '.output/backup' }), [], text)
  }
  const { dangers } = await homelab(t, {})
  t.deepEqual(await dangers({ BACKUP_DIR: '.output/backup' }), [])
})
