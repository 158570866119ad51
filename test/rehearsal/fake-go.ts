import { chmodSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Tool } from '../../lib/rehearsal/binaries/catalogue.ts'
import type { Progress } from '../../lib/rehearsal/progress.ts'

/** A computer of its own: a home with a cache, a PATH with a `go` that "builds" shell scripts and counts how often. */
export interface Workshop {
  folder: string
  environment: Record<string, string>
  tool: Tool
  builds(): number
}

/** @param goTakes seconds that its `go` takes; `version` is what the built program says of itself */
export function workshop({ goTakes = 0, version = '1.2.3' } = {}): Workshop {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'workshop-')))
  const log = join(folder, 'builds')
  for (const name of ['bin', 'module', 'home', 'assets']) mkdirSync(join(folder, name))
  writeFileSync(log, '')
  writeFileSync(join(folder, 'module/go.mod'), 'module example.invalid/gadget\n')
  writeFileSync(join(folder, 'module/go.sum'), '')
  // Standing in for `go build … -o FILE PACKAGE`: writes half of the file, takes its time, writes the rest.
  const go = [
    '#!/bin/sh',
    `echo $$ >> ${log}`,
    'while [ "$1" != "-o" ]; do shift; done',
    'printf "#!/bin/sh\\n" > "$2"; chmod +x "$2"',
    `sleep ${goTakes}`,
    `echo "echo gadget ${version}" >> "$2"`,
    'echo example.invalid/gadget >&2',
  ]
  program(join(folder, 'bin/go'), go.slice(1))
  return {
    folder,
    environment: { HOME: join(folder, 'home'), PATH: `${join(folder, 'bin')}:/usr/bin:/bin` },
    tool: gadget(join(folder, 'module')),
    builds: () => readFileSync(log, 'utf8').split('\n').filter(Boolean).length,
  }
}

/** Writes a shell script that says that it is that version of the gadget. */
export function gadgetProgram(path: string, version: string): string {
  program(path, [`echo gadget ${version}`])
  return path
}

export function gadget(folder: string): Tool {
  return {
    name: 'etcd',
    version: '1.2.3',
    setting: 'GADGET_BINARY',
    foreign: true,
    versionArguments: ['--version'],
    versionPattern: /^gadget (\S+)/m,
    source: { kind: 'go', folder, package: '.', ldflags: ['-s', '-w'] },
  }
}

/** Keeps everything that was said. */
export function listener(): Progress & { said: string[] } {
  const said: string[] = []
  const hear = (text: string) => void said.push(text)
  return { said, info: hear, warn: hear, detail: hear }
}

function program(path: string, lines: string[]): void {
  writeFileSync(path, ['#!/bin/sh', ...lines, ''].join('\n'))
  chmodSync(path, 0o755)
}
