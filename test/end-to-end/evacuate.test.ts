import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import test from 'ava'
import type { PersistentVolume } from '../../lib/kubernetes/kinds.ts'
import { nodeOf } from '../../lib/kubernetes/volumes.ts'
import { localPathRoot } from '../../lib/rehearsal/practice-cluster.ts'
import { practise } from './on-practice-cluster.ts'

test('try', async (t) => {
  const practice = await practise(t)
  for (const phase of ['plan', 'preflight', 'backup', 'drain', 'shutdown', 'provision', 'resume', 'verify']) {
    const { exitCode, output } = await practice.task([`migrate:${phase}`])
    t.log(output)
    t.is(exitCode, 0, `migrate:${phase}\n${output}`)
  }
  await practice.prove()
})
