import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments, stringify } from 'yaml'
import * as z from 'zod'
import { run, type Target } from './target.ts'

const machineConfig = z.object({ machine: z.object({ ca: z.object({ crt: z.string(), key: z.string() }) }) })
const ownerOnly = { mode: 0o600 } as const

/**
 * Makes a talosconfig of a role with the machine's CA, by `talosctl gen`: an operator's way to hand out fewer rights.
 * @returns its path
 */
export async function talosconfigOfRole(target: Target, config: string, role: string): Promise<string> {
  const { machine } = machineConfig.parse(parseAllDocuments(readFileSync(config, 'utf8'))[0]?.toJS())
  const name = role.replaceAll(':', '-')
  const at = (file: string) => join(target.folder, file)
  const pem = (base64: string) => Buffer.from(base64, 'base64')
  writeFileSync(at('ca.crt'), pem(machine.ca.crt), ownerOnly)
  writeFileSync(at('ca.key'), pem(machine.ca.key), ownerOnly)
  const gen = async (...args: string[]) => {
    const answer = await run(target.talosctlPath, ['gen', ...args, '--force'], target.folder)
    if (answer.exitCode !== 0) throw new Error(answer.text)
  }
  await gen('key', '--name', name)
  await gen('csr', '--key', `${name}.key`, '--ip', '127.0.0.1', '--roles', role)
  await gen('crt', '--ca', 'ca', '--csr', `${name}.csr`, '--name', name)
  const encoded = (file: string) => readFileSync(at(file)).toString('base64')
  const context = {
    endpoints: [target.address],
    ca: encoded('ca.crt'),
    crt: encoded(`${name}.crt`),
    key: encoded(`${name}.key`),
  }
  writeFileSync(at(`${name}.talosconfig`), stringify({ context: name, contexts: { [name]: context } }), ownerOnly)
  return at(`${name}.talosconfig`)
}

/** A talosconfig for a cluster of the same name and address with another PKI. @returns its path */
export async function talosconfigOfStranger(target: Target): Promise<string> {
  const path = join(target.folder, 'stranger.talosconfig')
  const endpoint = `https://${target.address}:6443`
  const args = ['gen', 'config', 'stranger', endpoint, '--output-types', 'talosconfig', '--output', path, '--force']
  const answer = await run(target.talosctlPath, args)
  if (answer.exitCode !== 0) throw new Error(answer.text)
  return path
}
