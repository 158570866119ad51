import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseMachineConfig } from '../talos/machine-config.ts'
import { plainContent, storedContent } from './archive.ts'
import { codeFile, manifestCode, sameCode } from './authenticity.ts'
import type { Decryption } from './encryption.ts'
import { type Manifest, manifestFile, sumsFile, sumsOf } from './manifest.ts'

const machineConfigs = /^machineconfig\//

/**
 * Whether the manifest is the one that the backup was sealed with: by SHA256SUMS, and, with an identity, by the code that only the cluster's own secrets make.
 * @returns what is wrong, in words that name the file
 */
export async function manifestProblems(folder: string, manifest: Manifest, decryption?: Decryption): Promise<string[]> {
  const text = await readFile(join(folder, manifestFile))
  const code = await readFile(join(folder, codeFile), 'latin1').catch(() => undefined)
  const beside = { [manifestFile]: text, ...(code === undefined ? {} : { [codeFile]: Buffer.from(code, 'latin1') }) }
  return [
    ...(await sumsProblems(folder, sumsOf(manifest.files, beside))),
    ...(decryption ? await codeProblems(folder, manifest, text, code, decryption) : []),
  ]
}

async function sumsProblems(folder: string, expected: string): Promise<string[]> {
  const sums = await readFile(join(folder, sumsFile), 'latin1').catch(() => undefined)
  if (sums === undefined) return [`${sumsFile} is missing`]
  if (sums === expected) return []
  const lines = new Set(sums.split('\n'))
  const differing = expected.split('\n').filter((line) => !lines.has(line))
  const paths = differing.map((line) => line.slice(66)).filter((path) => path !== '')
  return [`${sumsFile} and ${manifestFile} do not agree${paths.length > 0 ? ` about ${paths.join(', ')}` : ''}`]
}

async function codeProblems(
  folder: string,
  manifest: Manifest,
  text: Uint8Array,
  code: string | undefined,
  decryption: Decryption,
): Promise<string[]> {
  const expected = await expectedCode(folder, manifest, text, decryption)
  if (expected === undefined) {
    return manifest.snapshot
      ? ["there is no control plane's machine config, without which the snapshot is worthless"]
      : []
  }
  if (code === undefined) return [`${codeFile} is missing`]
  if (sameCode(code, expected)) return []
  return [
    `${manifestFile} was not written by this cluster's backup: ${codeFile} is not what the cluster's secrets make of it`,
  ]
}

async function expectedCode(folder: string, manifest: Manifest, text: Uint8Array, decryption: Decryption) {
  for (const { path } of manifest.files.filter((file) => machineConfigs.test(file.path))) {
    const config = await readConfig(folder, path, decryption)
    const code = config && manifestCode(config, text)
    if (code !== undefined) return code
  }
  return undefined
}

/** A config that does not open is a broken file, which is told elsewhere. */
async function readConfig(folder: string, path: string, decryption: Decryption) {
  try {
    const chunks: Uint8Array[] = []
    for await (const chunk of plainContent(path, storedContent(folder, path), decryption)) chunks.push(chunk)
    return parseMachineConfig(Buffer.concat(chunks), path)
  } catch {
    return undefined
  }
}
