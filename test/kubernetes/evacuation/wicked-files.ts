import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

/** Fills a folder with what copies are known to fail at. */
export function writeWickedFiles(folder: string): void {
  const at = (name: string) => join(folder, name)
  mkdirSync(at('data/empty'), { recursive: true })
  writeFileSync(at('data/segment'), 'one, two, three\n')
  linkSync(at('data/segment'), at('data/the same segment'))
  symlinkSync('segment', at('data/current'))
  symlinkSync('/nowhere/at all', at('dangling'))
  writeFileSync(at('two\nlines'), 'a name with a newline')
  writeFileSync(at('-rf'), 'a name like an option')
  writeFileSync(at(' spaces and "quotes" \\ $HOME `id` ü'), 'a name for a shell')
  writeFileSync(at('.hidden'), '')
  writeFileSync(at('setuid'), '#!/bin/true\n')
  chmodSync(at('setuid'), 0o4711)
  writeFileSync(at('sparse'), '')
  truncateSync(at('sparse'), 64 * 1024 * 1024)
  execFileSync('mkfifo', [at('pipe')])
  mkdirSync(at('sticky'))
  chmodSync(at('sticky'), 0o1777)
  chmodSync(folder, 0o770)
  const long = new Date('2019-03-31T01:59:59.123Z')
  utimesSync(at('data/segment'), long, long)
  lutimesSync(at('dangling'), long, long)
  utimesSync(at('sticky'), long, long)
}
