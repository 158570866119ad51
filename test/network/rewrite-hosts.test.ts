import { execFileSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { OperatorError } from '../../lib/migration/errors.ts'
import { parseAddress } from '../../lib/network/addresses.ts'
import { movedHosts } from '../../lib/network/hosts-file.ts'
import { rewriteHosts, type Sudo, systemSudo, undoHosts } from '../../lib/network/rewrite-hosts.ts'
import { testMigration } from '../kubernetes/test-migration.ts'
import { seeded } from '../seeded.ts'
import { smallDisk } from '../small-disk.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const moves = [{ from: parseAddress('192.168.1.54', 'test'), to: parseAddress('192.168.1.60', 'test') }]
const never: Sudo = async () => {
  throw new Error('nobody may become root here')
}

const wicked = [
  '# 192.168.1.54 talos00, since 2024',
  '127.0.0.1\tlocalhost',
  '192.168.1.54\ttalos00   grafana.talos00\t# the control plane, 192.168.1.54\r',
  '  192.168.1.54 argocd.talos00',
  '192.168.1.540 other',
  '1192.168.1.54 other',
  '192.168.1.55 worker 192.168.1.54',
  '',
  '#192.168.1.54 off.talos00',
  '192.168.1.54 last.talos00 # caf\xe9',
].join('\n')

const expected = wicked
  .replace('\n192.168.1.54\t', '\n192.168.1.60\t')
  .replace('\n  192.168.1.54 ', '\n  192.168.1.60 ')
  .replace('\n192.168.1.54 last', '\n192.168.1.60 last')

function hostsWith(content: string, folder = temporaryFolder('hosts')): string {
  const path = join(folder, 'hosts')
  writeFileSync(path, content, { encoding: 'latin1', mode: 0o644 })
  return path
}

function migrationWith(path: string, more: Parameters<typeof testMigration>[1] = {}) {
  return testMigration({ HOSTS_FILE: path }, { runFolder: temporaryFolder('run'), ...more })
}

const contentOf = (path: string) => readFileSync(path, 'latin1')

test('the lines of the old address get the new one, and every other byte stays', async (t) => {
  const path = hostsWith(wicked)
  const { migration, journal, lines } = migrationWith(path)
  t.is(await rewriteHosts(migration, never, moves), undefined)
  t.is(contentOf(path), expected)
  t.is(statSync(path).mode & 0o777, 0o644)
  t.true(lines.some((line) => line.startsWith(`table ${path}`)))
  const backup = String(journal.changes()[0]?.undo?.backup)
  t.is(contentOf(backup), wicked, 'the whole file as it was lies beside the journal')

  await rewriteHosts(migration, never, moves)
  t.is(journal.changes().length, 1)
  t.true(lines.includes(`info No line of ${path} is of an old address.`))
})

test('a line whose names the new address has already is left out, unless it has a comment', (t) => {
  const text = '192.168.1.60 talos00 new\n192.168.1.54 talos00\n192.168.1.54 talos00 # why\n192.168.1.54 talos00 more\n'
  t.is(
    movedHosts(text, moves).text,
    '192.168.1.60 talos00 new\n192.168.1.60 talos00 # why\n192.168.1.60 talos00 more\n',
  )
})

test('IPv6 is known by its address, however it is written; a BOM stays', (t) => {
  const six = { from: parseAddress('fd00::54', 'test'), to: parseAddress('fd00::60', 'test') }
  t.is(movedHosts('FD00:0::54 talos00\nfd00::540 other\n', [six]).text, 'fd00::60 talos00\nfd00::540 other\n')
  t.is(movedHosts('\xef\xbb\xbf192.168.1.54 talos00', moves).text, '\xef\xbb\xbf192.168.1.60 talos00')
})

test('of random hosts files exactly the old lines change, and the undo is the identity', async (t) => {
  const random = seeded(20261124)
  const pick = <T>(from: readonly T[]) => from[Math.floor(random() * from.length)] as T
  for (let round = 0; round < 60; round++) {
    const addresses = ['192.168.1.54', '192.168.1.60', '192.168.1.154', '#192.168.1.54', '', 'fd00::1']
    const line = () =>
      `${pick(['', ' ', '\t'])}${pick(addresses)}${pick([' ', '\t', '  '])}${pick(['talos00', 'a.talos00', 'b', ''])}${pick(['', ' # x', '#'])}${pick(['\n', '\r\n', '\n\n'])}`
    const before = Array.from({ length: Math.floor(random() * 14) }, line).join('') + pick(['', '192.168.1.54 end'])
    const path = hostsWith(before)
    const { migration, journal } = migrationWith(path)
    await rewriteHosts(migration, never, moves)
    t.notRegex(contentOf(path), /^\s*192\.168\.1\.54\s/m)
    const others = (text: string) => text.split('\n').filter((each) => !/^\s*192\.168\.1\.(54|60)\s/.test(each))
    t.deepEqual(others(contentOf(path)).filter(Boolean), others(before).filter(Boolean))
    for (const change of journal.changes()) {
      t.is(await undoHosts({ ...effectsOf(migration), sudo: never }, change), 'undone')
    }
    t.is(contentOf(path), before)
  }
})

test('the undo leaves what was written beside it meanwhile, and what was changed meanwhile alone', async (t) => {
  const path = hostsWith(wicked)
  const { migration, journal } = migrationWith(path)
  await rewriteHosts(migration, never, moves)
  const [change] = journal.changes({ kind: 'hosts-file' })
  if (!change) return t.fail()
  const effects = { ...effectsOf(migration), sudo: never }
  writeFileSync(path, `10.0.0.1 vpn\n${expected}`, 'latin1')
  t.is(await undoHosts(effects, change), 'undone')
  t.is(contentOf(path), `10.0.0.1 vpn\n${wicked}`)
  t.is(await undoHosts(effects, change), 'already')

  writeFileSync(path, expected.replace('192.168.1.60 last', '192.168.1.61 last'), 'latin1')
  t.regex(await undoHosts(effects, change), /^conflict: the lines in .* are others by now; it was as in .*\.before$/)
})

test('killed before or after the file was written, the same again comes out the same', async (t) => {
  const path = hostsWith(wicked)
  const first = migrationWith(path)
  await rewriteHosts(first.migration, never, moves)
  const [change] = first.journal.changes()
  if (!change) return t.fail()
  const { journal } = testMigration()
  journal.beginChange(change)
  writeFileSync(path, wicked, 'latin1')
  await rewriteHosts(migrationWith(path, { journal }).migration, never, moves)
  t.is(contentOf(path), expected)
  t.is(journal.changes().length, 1)
  t.is(await undoHosts({ ...effectsOf(first.migration), sudo: never }, change), 'undone')
  t.is(contentOf(path), wicked)
})

test('a file that is a mount point of its own is written in place', async (t) => {
  const path = hostsWith(wicked)
  const other = hostsWith('')
  writeFileSync(other, wicked, 'latin1')
  execFileSync('mount', ['--bind', other, path])
  t.teardown(() => void execFileSync('umount', ['--lazy', path]))
  await rewriteHosts(migrationWith(path).migration, never, moves)
  t.is(contentOf(path), expected)
  t.is(contentOf(other), expected)
})

/** A hosts file that this user may not write, and a sudo that may. */
function protectedHosts(t: ExecutionContext) {
  const disk = smallDisk(t, '1m')
  const path = hostsWith(wicked, disk.folder)
  disk.makeReadOnly()
  const asked: string[] = []
  const typed: string[][] = []
  const sudo: Sudo = async (command) => {
    typed.push([...command])
    execFileSync('mount', ['-o', 'remount,rw', disk.folder])
    execFileSync(command[0] ?? '', command.slice(1))
    disk.makeReadOnly()
  }
  const answering = (answer: boolean | undefined) => async (question: string) => {
    asked.push(question)
    return answer
  }
  return { path, asked, typed, sudo, answering }
}

test('without leave to write, one sudo command is shown and asked for, and then run', async (t) => {
  const { path, asked, typed, sudo, answering } = protectedHosts(t)
  const { migration, journal, lines } = migrationWith(path, { confirm: answering(true) })
  t.is(await rewriteHosts(migration, sudo, moves), undefined)
  t.is(contentOf(path), expected)
  t.is(typed.length, 1)
  const command = `sudo ${typed[0]?.join(' ')}`
  t.deepEqual(asked, [`Run it now: ${command}?`])
  t.regex(command, /^sudo cp -- \S+ \S+\/hosts$/)
  t.true(lines.some((line) => line.startsWith('info') && line.includes(command)))

  const [change] = journal.changes()
  if (!change) return t.fail()
  const declining = migrationWith(path, { confirm: answering(false) }).migration
  t.regex(await undoHosts({ ...effectsOf(declining), sudo }, change), /^conflict: it is still to be done, by: sudo cp/)
  t.is(await undoHosts({ ...effectsOf(migration), sudo }, change), 'undone')
  t.is(contentOf(path), wicked)
})

test('declined, or without a terminal, nothing is run, and what is still to do is said', async (t) => {
  for (const answer of [false, undefined]) {
    const { path, typed, sudo, answering } = protectedHosts(t)
    const { migration, journal, lines } = migrationWith(path, { confirm: answering(answer) })
    const todo = await rewriteHosts(migration, sudo, moves)
    t.is(contentOf(path), wicked)
    t.deepEqual([typed, journal.changes()], [[], []])
    t.true(lines.includes(`warn Still to do, by you: ${todo}`), lines.join('\n'))
    // It was no empty word: typed, it does it.
    await sudo(todo?.split(' ').slice(1) ?? [])
    t.is(contentOf(path), expected)
  }
})

test('a sudo that fails, or that does something else, is not taken for done', async (t) => {
  const { path, answering } = protectedHosts(t)
  const { migration } = migrationWith(path, { confirm: answering(true) })
  const failing: Sudo = async () => {
    throw new Error('sudo ended with 1')
  }
  const refused = await t.throwsAsync(rewriteHosts(migration, failing, moves), {
    instanceOf: OperatorError,
    message: /was not written: sudo ended with 1/,
  })
  t.regex(refused?.next ?? '', /^Type it yourself: sudo cp/)
  await t.throwsAsync(
    rewriteHosts(migration, async () => undefined, moves),
    { message: /it does not say what it was to say/ },
  )
})

test.serial('the sudo of this machine gets the command as it was shown, and its failure is heard', async (t) => {
  const folder = temporaryFolder('sudo')
  const path = process.env.PATH
  t.teardown(() => {
    process.env.PATH = path
  })
  process.env.PATH = `${folder}:${path}`
  writeFileSync(join(folder, 'sudo'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 })
  const from = hostsWith('a b')
  const to = hostsWith('')
  await systemSudo(['cp', '--', from, to])
  t.is(contentOf(to), 'a b')
  await t.throwsAsync(systemSudo(['false']), { message: 'sudo ended with 1' })
  process.env.PATH = '/nowhere'
  await t.throwsAsync(systemSudo(['true']), { message: /ENOENT/ })
})

test('a dry run shows the lines and the command, and changes nothing', async (t) => {
  const path = hostsWith(wicked)
  const { migration, lines } = migrationWith(path, { dryRun: true })
  await rewriteHosts(migration, never, moves)
  t.is(contentOf(path), wicked)
  t.true(lines.some((line) => /^change Give 3 lines of .* the new address \(\w+\) would be made$/.test(line)))

  const guarded = protectedHosts(t)
  const dry = migrationWith(guarded.path, { dryRun: true })
  await rewriteHosts(dry.migration, guarded.sudo, moves)
  t.deepEqual(guarded.asked, [])
  t.true(
    dry.lines.some((line) => /^change .*: sudo cp -- .* would be made$/.test(line)),
    dry.lines.join('\n'),
  )
})

test('no hosts file is nothing to do; one that cannot be read is refused', async (t) => {
  const none = migrationWith('/nowhere/hosts')
  t.is(await rewriteHosts(none.migration, never, moves), undefined)
  const folder = temporaryFolder('hosts')
  await t.throwsAsync(rewriteHosts(migrationWith(folder).migration, never, moves), {
    instanceOf: OperatorError,
    message: /cannot be read: EISDIR/,
  })
})

function effectsOf({ console, prompt, runFolder }: ReturnType<typeof testMigration>['migration']) {
  return { console, prompt, runFolder }
}
