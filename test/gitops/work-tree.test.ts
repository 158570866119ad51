import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { readWorkTree, sameRepository } from '../../lib/gitops/work-tree.ts'
import { git, homelab } from '../rewrite/homelab.ts'
import { temporaryFolder } from '../temporary-folder.ts'

test('what is changed, what is in no commit, and what no remote has are told apart', async (t) => {
  const folder = homelab({ 'a file.yaml': 'a: 1\n' })
  const clean = await readWorkTree(folder)
  t.like(clean, { branch: 'main', ahead: 0, behind: 0, changed: [], untracked: [], remotes: [] })
  t.is(clean.upstream, undefined)
  t.is(clean.head, git(folder, 'rev-parse', 'HEAD').trim())
  writeFileSync(join(folder, 'a file.yaml'), 'a: 2\n')
  writeFileSync(join(folder, 'new.yaml'), 'b: 1\n')
  t.like(await readWorkTree(folder), { changed: ['a file.yaml'], untracked: ['new.yaml'] })
})

test('a folder that is in no repository is an error', async (t) => {
  const error = await t.throwsAsync(readWorkTree(temporaryFolder('no-repository')))
  t.regex(error.message, /HOMELAB_DIR/)
})

test('one repository has several URLs', (t) => {
  const one = 'git@github.com:me/homelab.git'
  t.true(sameRepository(one, 'ssh://git@github.com/me/homelab'))
  t.true(sameRepository(one, 'https://github.com/me/homelab.git'))
  t.false(sameRepository(one, 'https://github.com/me/homelab-2'))
  t.false(sameRepository(one, 'https://gitlab.com/me/homelab'))
})
