import { execFileSync } from 'node:child_process'
import { chmodSync, linkSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { temporaryFolder } from '../temporary-folder.ts'
import { commit, git, homelab, map, rewrite, write } from './homelab.ts'

const to60 = map('192.168.1.54=192.168.1.60')
const now = [...to60, '--yes']
const at = (folder: string, path: string) => readFileSync(join(folder, path), 'latin1')

test('a dry run shows a table and a unified diff, and changes nothing', async (t) => {
  const folder = homelab({ 'scripts/up.sh': '#!/bin/sh\nNODE=192.168.1.54\n', 'docs/archive/old.md': '192.168.1.54\n' })
  const { code, said, lines } = await rewrite(folder, [...to60, '--dry-run'])
  t.is(code, 0, said)
  const table = lines.find((line) => line.startsWith('table')) ?? ''
  t.true(table.includes('["history","docs/archive/old.md","1","dotted","history: left as it is"]'), table)
  t.true(table.includes('["script","scripts/up.sh","1","dotted","changed"]'), table)
  t.true(said.includes('-NODE=192.168.1.54') && said.includes('+NODE=192.168.1.60'), said)
  t.regex(said, /change replace 192\.168\.1\.54 → 192\.168\.1\.60 in 1 files .* would be made/)
  t.is(at(folder, 'scripts/up.sh'), '#!/bin/sh\nNODE=192.168.1.54\n')
  t.is(git(folder, 'status', '--porcelain', '--ignored'), '')
})

test('the settings say what becomes what, when no --map does; an address that stays is not looked for', async (t) => {
  const folder = homelab({ 'a.txt': '192.168.1.54 10.42.1.1' })
  const { said } = await rewrite(folder, ['--yes', ...map('10.42.1.1=10.42.1.2')], { NEW_TALOS_NODE: '192.168.1.61' })
  t.is(at(folder, 'a.txt'), '192.168.1.61 10.42.1.2', said)
  const none = await rewrite(folder, ['--yes'])
  t.is(none.code, 2)
  t.regex(none.said, /neither NEW_TALOS_NODE, NEW_MESH_ADDRESS nor --map/)
})

test('a new address in the mesh takes the old one’s place without --map', async (t) => {
  const folder = homelab({ 'a.txt': '192.168.1.54 10.42.1.1' })
  const mesh = { MESH_ADDRESS: '10.42.1.1', NEW_MESH_ADDRESS: '10.42.1.2' }
  const { said } = await rewrite(folder, ['--yes'], { NEW_TALOS_NODE: '192.168.1.61', ...mesh })
  t.is(at(folder, 'a.txt'), '192.168.1.61 10.42.1.2', said)
  const none = await rewrite(folder, ['--yes'], { MESH_ADDRESS: '10.42.1.1' })
  t.is(none.code, 2)
})

test('what Git takes as unchanged, or as a link, is read as it lies there', async (t) => {
  const folder = homelab({ 'assumed.txt': 'x', 'sparse.txt': 'x', 'link.txt': 'x', 'new.txt': 'x' })
  const git = (...args: string[]) => execFileSync('git', ['-C', folder, ...args])
  git('update-index', '--assume-unchanged', 'assumed.txt')
  git('update-index', '--skip-worktree', 'sparse.txt')
  for (const name of ['assumed.txt', 'sparse.txt', 'link.txt', 'new.txt'])
    writeFileSync(join(folder, name), '192.168.1.54')
  git('update-index', '--cacheinfo', `120000,${git('hash-object', '-w', 'link.txt').toString().trim()},link.txt`)
  git('rm', '--quiet', '--cached', 'new.txt')
  const { said } = await rewrite(folder, [...to60, '--yes', '--dirty'])
  for (const name of ['assumed.txt', 'sparse.txt', 'link.txt', 'new.txt'])
    t.is(at(folder, name), '192.168.1.60', `${name}: ${said}`)
})

test('what is no pair of addresses is refused', async (t) => {
  const folder = homelab({ 'a.txt': 'x' })
  const refused = async (...args: string[]) => (await rewrite(folder, ['--yes', ...args])).said
  t.regex(await refused('--map', '192.168.1.54'), /is not OLD=NEW/)
  t.regex(await refused('--map', '192.168.1.54=talos01'), /is not an IP address: talos01/)
  t.regex(await refused('--map', '192.168.1.54=fd00::1'), /different families/)
  t.regex(await refused(...map('10.0.0.1=10.0.0.2', '10.0.0.1=10.0.0.3')), /cannot become both/)
  t.regex(await refused(...to60, '--include', 'fairy tales'), /is no class of files/)
})

test('it asks before it changes anything, and without a terminal it wants --yes', async (t) => {
  const folder = homelab({ 'a.txt': '192.168.1.54' })
  const no = await rewrite(folder, to60, {}, false)
  t.deepEqual(no.asked, ['Replace 192.168.1.54 → 192.168.1.60 in 1 files?'])
  t.is(no.code, 1)
  t.regex((await rewrite(folder, to60)).said, /no terminal to confirm at.*--yes/s)
  t.is(at(folder, 'a.txt'), '192.168.1.54')
  t.is((await rewrite(folder, to60, {}, true)).code, 0)
  t.is(at(folder, 'a.txt'), '192.168.1.60')
})

test('a folder that is no Git repository is named, and what to do', async (t) => {
  const { code, said } = await rewrite(temporaryFolder('no-git'), now)
  t.is(code, 1)
  t.regex(said, /is not a Git repository that can be read: .*git init/s)
})

test('a dirty tree is refused by the files that make it so, unless told; its own edits do not make it dirty', async (t) => {
  const folder = homelab({ 'a.txt': '192.168.1.54', 'b.txt': 'b', 'c.txt': '10.42.1.1' })
  write(folder, { 'b.txt': 'changed', 'new.txt': '192.168.1.54' })
  const refused = await rewrite(folder, now)
  t.is(refused.code, 1)
  t.regex(refused.said, /The tree is dirty: b\.txt differ/)
  t.is(at(folder, 'a.txt'), '192.168.1.54')
  t.is((await rewrite(folder, [...now, '--dirty'])).code, 0)
  t.is(at(folder, 'new.txt'), '192.168.1.60', 'not tracked and not ignored')
})

test('a second rewrite does not take the first for dirt, and each is taken back by its own --undo', async (t) => {
  const folder = homelab({ 'a.txt': '192.168.1.54 10.42.1.1', 'c.txt': '10.42.1.1' })
  t.is((await rewrite(folder, now)).code, 0)
  const second = await rewrite(folder, ['--yes', ...map('10.42.1.1=10.42.1.2')])
  t.is(second.code, 0, second.said)
  t.is(at(folder, 'a.txt'), '192.168.1.60 10.42.1.2')
  await rewrite(folder, ['--undo'])
  t.is(at(folder, 'a.txt'), '192.168.1.60 10.42.1.1')
  await rewrite(folder, ['--undo'])
  t.is(git(folder, 'status', '--porcelain'), '')
})

test('--undo puts every byte back, and refuses by name, and as a whole, when a file was changed since', async (t) => {
  const files = {
    'a.txt': 'a 192.168.1.54\r\n',
    'b/c.yaml': '\uFEFFnode: 192.168.1.54',
    'latin1.txt': Buffer.from('é 192.168.1.54 ü', 'latin1'),
  }
  const folder = homelab(files)
  await rewrite(folder, now)
  const written = at(folder, 'b/c.yaml')
  writeFileSync(join(folder, 'b/c.yaml'), `${written} # by hand`)
  const refused = await rewrite(folder, ['--undo'])
  t.is(refused.code, 1)
  t.regex(refused.said, /cannot be taken back, conflict: changed since by somebody else: b\/c\.yaml/)
  t.is(at(folder, 'a.txt'), 'a 192.168.1.60\r\n', 'all of it or nothing')
  writeFileSync(join(folder, 'b/c.yaml'), written, 'latin1')
  t.is((await rewrite(folder, ['--undo'])).code, 0)
  t.is(git(folder, 'status', '--porcelain'), '')
  const nothing = await rewrite(folder, ['--undo'])
  t.is(nothing.code, 1)
  t.regex(nothing.said, /There is no rewrite to take back/)
})

test('file mode, links and their targets stay as they are; what a link leads to outside is not touched', async (t) => {
  const folder = homelab({ 'run.sh': '#!/bin/sh\necho 192.168.1.54\n', 'readonly.txt': '192.168.1.54' })
  const outside = join(temporaryFolder('outside'), 'file.txt')
  writeFileSync(outside, '192.168.1.54')
  chmodSync(join(folder, 'run.sh'), 0o751)
  chmodSync(join(folder, 'readonly.txt'), 0o444)
  symlinkSync('run.sh', join(folder, 'link'))
  symlinkSync(outside, join(folder, 'out'))
  symlinkSync('loop-b', join(folder, 'loop-a'))
  symlinkSync('loop-a', join(folder, 'loop-b'))
  symlinkSync('.', join(folder, 'self'))
  symlinkSync('192.168.1.54', join(folder, 'dangling'))
  commit(folder)
  const { code, said } = await rewrite(folder, now)
  t.is(code, 0, said)
  t.is(statSync(join(folder, 'run.sh')).mode & 0o7777, 0o751)
  t.is(statSync(join(folder, 'readonly.txt')).mode & 0o7777, 0o444)
  t.is(at(folder, 'readonly.txt'), '192.168.1.60')
  for (const link of ['link', 'out', 'loop-a', 'self', 'dangling'])
    t.true(lstatSync(join(folder, link)).isSymbolicLink(), link)
  t.is(readFileSync(outside, 'utf8'), '192.168.1.54')
})

test('a tracked folder that has become a link out of the repository is not followed', async (t) => {
  const folder = homelab({ 'sub/a.txt': '192.168.1.54', 'b.txt': '192.168.1.54' })
  const outside = temporaryFolder('outside')
  write(outside, { 'a.txt': '192.168.1.54' })
  execFileSync('rm', ['-r', join(folder, 'sub')])
  symlinkSync(outside, join(folder, 'sub'))
  const { code, said } = await rewrite(folder, [...now, '--dirty'])
  t.is(code, 0, said)
  t.is(at(outside, 'a.txt'), '192.168.1.54')
  t.is(at(folder, 'b.txt'), '192.168.1.60')
})

test('names with line ends, quotes, spaces and bytes that are no UTF-8', async (t) => {
  const names = ['a\nb.txt', '"quoted".txt', ' space .txt', 'ünï.txt', "it's.txt", '-n', ':colon', '*']
  const folder = homelab(Object.fromEntries(names.map((name) => [name, '192.168.1.54'])))
  const odd = Buffer.concat([Buffer.from(`${folder}/odd-`), Buffer.from([0xff, 0xfe])])
  writeFileSync(odd, '192.168.1.54')
  commit(folder)
  const { code, said } = await rewrite(folder, now)
  t.is(code, 0, said)
  for (const name of names) t.is(at(folder, name), '192.168.1.60', name)
  t.is(readFileSync(odd, 'utf8'), '192.168.1.60')
  t.true(said.includes('a\\\\nb.txt'), 'on one line')
  t.is((await rewrite(folder, ['--undo'])).code, 0)
  t.is(git(folder, 'status', '--porcelain'), '')
})

test('a file of 50 MB is changed where it is to be, and taken back', async (t) => {
  const line = Buffer.from(`${'0123456789abcdef '.repeat(60)}10.0.0.1\n`)
  const large = Buffer.concat([...Array.from({ length: Math.ceil(50e6 / line.length) }, () => line)])
  const places = [0, 262_000, 262_144, 524_280, 25_000_000, large.length - 13]
  for (const place of places) large.write('|192.168.1.54|'.slice(place === 0 ? 1 : 0), place)
  const folder = homelab({ 'large.log.txt': large })
  const { code, said } = await rewrite(folder, now)
  t.is(code, 0, said)
  const expected = Buffer.from(large)
  for (const place of places) expected.write('|192.168.1.60|'.slice(place === 0 ? 1 : 0), place)
  t.true(readFileSync(join(folder, 'large.log.txt')).equals(expected))
  await rewrite(folder, ['--undo'])
  t.true(readFileSync(join(folder, 'large.log.txt')).equals(large))
})

test('what Git ignores is left alone, but for configs/, .env and their like; .git, .output and nested repositories too', async (t) => {
  const folder = homelab({
    'a.txt': '192.168.1.54',
    '.gitignore': '/output/\n/backup/\n.output/\nconfigs/\n.env\n*.env\nnode_modules/\n',
  })
  write(folder, {
    ...{
      'configs/nodes/controlplane.yaml': 'machine: {}\nip: 192.168.1.54\n',
      '.env': 'NODE=192.168.1.54\n',
      'prod.env': 'N=192.168.1.54',
    },
    ...{ 'node_modules/x/.env': '192.168.1.54', '.output/kubeconfig': '192.168.1.54', 'output/x': '192.168.1.54' },
    '.git/description': '192.168.1.54',
  })
  mkdirSync(join(folder, 'nested'))
  git(join(folder, 'nested'), 'init', '--quiet')
  write(folder, { 'nested/a.txt': '192.168.1.54' })
  const { code, said } = await rewrite(folder, now)
  t.is(code, 0, said)
  for (const path of ['a.txt', 'configs/nodes/controlplane.yaml', '.env', 'prod.env'])
    t.regex(at(folder, path), /192\.168\.1\.60/, path)
  for (const path of ['node_modules/x/.env', '.output/kubeconfig', 'output/x', '.git/description', 'nested/a.txt'])
    t.regex(at(folder, path), /192\.168\.1\.54/, path)
  t.regex(said, /Repositories of their own, left alone: nested\//)
})

test('a submodule is named and left alone', async (t) => {
  const other = homelab({ 'inside.txt': '192.168.1.54' })
  const folder = homelab({ 'a.txt': '192.168.1.54' })
  git(folder, '-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', other, 'sub')
  commit(folder)
  const { code, said } = await rewrite(folder, now)
  t.is(code, 0, said)
  t.is(at(folder, 'sub/inside.txt'), '192.168.1.54')
  t.regex(said, /Repositories of their own, left alone: sub/)
})

test('binaries and files that SOPS or age have encrypted are reported and left alone', async (t) => {
  const files = {
    'a.bin': Buffer.from('\0\x01 192.168.1.54'),
    'secrets.yaml': 'host: 192.168.1.54\npassword: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\nsops: {}\n',
    'x.sops.yaml': 'host: 192.168.1.54\n',
  }
  const folder = homelab(files)
  const { said } = await rewrite(folder, [...now, '--include', 'history'])
  for (const [path, content] of Object.entries(files)) t.is(at(folder, path), content.toString('latin1'), path)
  for (const what of ['binary', 'encrypted: change it with the tool']) t.true(said.includes(what), said)
})

test('another name of the same file keeps what it held', async (t) => {
  const folder = homelab({ 'a.txt': '192.168.1.54' })
  const other = join(temporaryFolder('link'), 'other')
  linkSync(join(folder, 'a.txt'), other)
  await rewrite(folder, now)
  t.is(at(folder, 'a.txt'), '192.168.1.60')
  t.is(readFileSync(other, 'utf8'), '192.168.1.54')
})

test('an edit after which YAML or JSON could not be parsed, or says one thing twice, is not made', async (t) => {
  const files = {
    'twice.yaml': 'hosts:\n  192.168.1.54: a\n  192.168.1.60: b\n',
    'flow.yaml': 'hosts: {"192.168.1.54": a, "192.168.1.60": b}\n',
    'twice.json': '{"192.168.1.54":1,"192.168.1.60":2}',
    'six.yaml': 'address: fd00::54\n',
  }
  const folder = homelab({
    ...files,
    'fine.yaml': 'hosts:\n  192.168.1.54: a\n',
    'template.yaml': '{{ if }}\n192.168.1.54: x\n',
  })
  const { code, said } = await rewrite(folder, [...now, ...map('fd00::54=fd00::')])
  t.is(code, 0, said)
  for (const path of ['twice.yaml', 'flow.yaml', 'twice.json', 'six.yaml'] as const)
    t.is(at(folder, path), files[path], path)
  t.true(said.includes('it could not be parsed any more, or would have one key twice'), said)
  t.is(at(folder, 'fine.yaml'), 'hosts:\n  192.168.1.60: a\n')
  t.regex(at(folder, 'template.yaml'), /192\.168\.1\.60/, 'what could not be parsed before need not be after')
})

test('a name that a file has is not changed in what refers to it, for files are not renamed', async (t) => {
  const files = {
    'nodes/node-192-168-1-54.yaml': 'ip: 192.168.1.54\n',
    'up.sh': 'apply nodes/node-192-168-1-54.yaml --node 192.168.1.54\n',
  }
  const folder = homelab(files)
  const { said } = await rewrite(folder, now)
  t.is(at(folder, 'up.sh'), 'apply nodes/node-192-168-1-54.yaml --node 192.168.1.60\n')
  t.regex(said, /Files are not renamed, nor what refers to them: node-192-168-1-54\.yaml/)
})

test('UTF-16 that holds the address is named, in either byte order, and left alone', async (t) => {
  const little = Buffer.from('\uFEFFserver: https://192.168.1.54:6443\r\n', 'utf16le')
  const files = {
    'little.txt': little,
    'big.txt': Buffer.from(little).swap16(),
    'other.txt': Buffer.from('\uFEFFserver: 192.168.1.540', 'utf16le'),
  }
  const folder = homelab({ ...files, 'a.txt': '192.168.1.54' })
  const { code, said } = await rewrite(folder, now)
  t.is(code, 0, said)
  t.is(at(folder, 'a.txt'), '192.168.1.60')
  for (const [path, bytes] of Object.entries(files)) t.is(at(folder, path), bytes.toString('latin1'), path)
  for (const name of ['little.txt', 'big.txt']) t.regex(said, new RegExp(`${name}.*UTF-16: change it by hand`))
  t.notRegex(said, /other\.txt/)
})

test('access lists and extended attributes stay, of a file with another name too', async (t) => {
  const folder = homelab({ 'a.txt': '192.168.1.54', 'linked.txt': '192.168.1.54' })
  const names = ['a.txt', 'linked.txt']
  linkSync(join(folder, 'linked.txt'), join(temporaryFolder('link'), 'other'))
  const attributes = (name: string) => [
    execFileSync('getfattr', ['--dump', name], { cwd: folder, encoding: 'utf8' }),
    execFileSync('getfacl', ['--numeric', name], { cwd: folder, encoding: 'utf8' }),
  ]
  for (const name of names) {
    execFileSync('setfattr', ['--name', 'user.note', '--value', 'kept', name], { cwd: folder })
    execFileSync('setfacl', ['--modify', 'u:65534:rw', name], { cwd: folder })
  }
  const before = names.map(attributes)
  t.regex(String(before), /user\.note="kept".*user:65534:rw/s)
  t.is((await rewrite(folder, now)).code, 0)
  for (const name of names) t.is(at(folder, name), '192.168.1.60')
  t.deepEqual(names.map(attributes), before)
})
