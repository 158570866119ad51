import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'
import { movesOf } from '../../../lib/network/nebula/moves.ts'
import { hostMapsInRepository } from '../../../lib/network/nebula/repository.ts'
import { temporaryFolder } from '../../temporary-folder.ts'

const moves = movesOf({
  nodeAddress: '192.168.1.54',
  newNodeAddress: '192.168.1.210',
  meshAddress: '10.42.1.1',
  newMeshAddress: '10.42.9.9',
})

function folderWith(files: Record<string, string>): string {
  const folder = temporaryFolder('repository')
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), text)
  }
  return folder
}

const map = 'static_host_map:\n  "10.42.1.1": ["192.168.1.54:4242"]\n  "10.42.1.10": ["192.168.1.540:4242"]\n'

test('files with a static_host_map are found with the lines that hold an address that changes; ignored ones and our own are not', async (t) => {
  const folder = folderWith({
    'mesh/new file.yaml': map,
    'docs/mesh.md': `about static_host_map, and 192.168.1.54\n`,
    'mesh/other.yaml': 'hosts: ["192.168.1.54"]\n',
    'secret/config.yml': map,
    'runs/log.txt': map,
    '.output/migrate/log.txt': map,
    '.gitignore': 'secret/\n',
  })
  execFileSync('git', ['init', '-q'], { cwd: folder })
  const found = (await hostMapsInRepository(folder, moves, [join(folder, 'runs'), '/elsewhere'])) ?? []
  const told = found.flatMap(({ file, lines }) =>
    lines.map(({ line, moves: held }) => `${file}:${line} ${held.map(({ to }) => to).join(' ')}`),
  )
  t.deepEqual(told.sort(), ['docs/mesh.md:1 192.168.1.210', 'mesh/new file.yaml:2 192.168.1.210 10.42.9.9'])
})

test('a folder that is no repository is told from one in which nothing is', async (t) => {
  const folder = folderWith({ 'mesh.yaml': map })
  t.is(await hostMapsInRepository(folder, moves, []), null)
  execFileSync('git', ['init', '-q'], { cwd: folder })
  writeFileSync(join(folder, 'mesh.yaml'), '')
  t.deepEqual(await hostMapsInRepository(folder, moves, []), [])
})

test('an address that stays the same, or is not set, is no move', (t) => {
  t.deepEqual(
    movesOf({
      nodeAddress: '192.168.1.54',
      newNodeAddress: '192.168.1.54',
      meshAddress: undefined,
      newMeshAddress: '10.42.9.9',
    }),
    [],
  )
})
