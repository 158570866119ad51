import { createHash } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Proof } from './proofs.ts'

/** Everything of a folder by its path: type, mode, owner, time, contents by SHA-256, target of a link, names of the same file. */
export type Tree = ReadonlyMap<string, string>

/** Reads a folder's tree, the folder itself included; of one that is not there, nothing. */
export function readTree(folder: string): Tree {
  const tree = new Map<string, string>()
  if (!existsSync(folder)) return tree
  const names = new Map<number, string>()
  const visit = (path: string) => {
    const at = join(folder, path)
    const stat = lstatSync(at)
    const what = stat.isFile()
      ? `file of ${stat.size} ${createHash('sha256').update(readFileSync(at)).digest('hex')} ${sameFile(names, stat.ino, path)}`
      : stat.isSymbolicLink()
        ? `link to ${readlinkSync(at)}`
        : `${stat.isDirectory() ? 'folder' : 'special'}`
    tree.set(path, `${what} ${stat.mode.toString(8)} ${stat.uid}:${stat.gid} ${Math.floor(stat.mtimeMs)}`)
    if (stat.isDirectory()) for (const name of readdirSync(at).sort()) visit(join(path, name))
  }
  visit('.')
  return tree
}

/** Hard links are told by the first name of their file. */
function sameFile(names: Map<number, string>, inode: number, path: string): string {
  const first = names.get(inode) ?? path
  names.set(inode, first)
  return first
}

/**
 * Every volume of which the new machine has anything is, file for file, what the old one had; the others are named as left behind.
 * @param away what was evacuated and not brought back
 */
export function volumesProof(
  old: string,
  replacement: string,
  away: readonly { namespace: string; claim: string }[],
): { proof: Proof; leftBehind: string[] } {
  const volumes = existsSync(old) ? readdirSync(old).filter((name) => readdirSync(join(old, name)).length > 0) : []
  const isThere = (name: string) =>
    existsSync(join(replacement, name)) && readdirSync(join(replacement, name)).length > 0
  const moved = volumes.filter(isThere)
  const trees = moved.map((name) => ({
    name,
    before: readTree(join(old, name)),
    now: readTree(join(replacement, name)),
  }))
  const missing = away.map(({ namespace, claim }) => `${namespace}/${claim} was not brought back`)
  const different = trees.flatMap(({ name, before, now }) => [
    ...[...before].flatMap(([path, was]) => (now.get(path) === was ? [] : [`${name}/${path} is not what it was`])),
    ...[...now.keys()].flatMap((path) => (before.has(path) ? [] : [`${name}/${path} was not there`])),
  ])
  const against = [...missing, ...different]
  const files = trees.reduce((sum, { before }) => sum + before.size, 0)
  return {
    proof: {
      claim: 'every volume that was evacuated holds what it held',
      holds: against.length === 0,
      evidence: `${moved.length} volumes, ${files} files and folders by SHA-256, mode, owner, time and links`,
      against,
    },
    leftBehind: volumes.filter((name) => !isThere(name)),
  }
}
