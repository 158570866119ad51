// In a file, and so a process, of its own: it changes whose process it is.
import { execFileSync } from 'node:child_process'
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { homelab, map, rewrite } from './homelab.ts'

test('a file that cannot be read is named, and the others are changed', async (t) => {
  const folder = homelab({ 'a.txt': '192.168.1.54', 'b.txt': '192.168.1.54' })
  chmodSync(join(folder, 'b.txt'), 0)
  chmodSync(folder, 0o777)
  // Root may read everything. The home folder is where git looks for its own settings.
  process.env.HOME = folder
  const isRoot = process.geteuid?.() === 0
  if (isRoot) execFileSync('chown', ['-R', '65534', folder])
  if (isRoot) process.seteuid?.(65534)
  const { code, said } = await rewrite(folder, [...map('192.168.1.54=192.168.1.60'), '--yes', '--dirty']).finally(
    () => {
      if (isRoot) process.seteuid?.(0)
    },
  )
  t.is(code, 0, said)
  t.regex(said, /b\.txt could not be read \(EACCES\)/)
  t.is(readFileSync(join(folder, 'a.txt'), 'utf8'), '192.168.1.60')
})
