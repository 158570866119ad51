import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import * as z from 'zod'
import { OperatorError } from '../migration/errors.ts'
import type { MachineConfig } from './machine-config.ts'

const talosconfig = z.object({
  context: z.string(),
  contexts: z.record(z.string(), z.object({ ca: z.string(), crt: z.string() }).loose()),
})

/**
 * Checks, without any machine, that a talosconfig opens machines of a config: its authority is the config's machine.ca, and its
 * client certificate has not expired. After the config is applied it would be too late to find out.
 * @throws OperatorError otherwise
 */
export async function verifyTalosconfig(path: string, config: MachineConfig, now: Date): Promise<void> {
  const next = 'Set TALOSCONFIG to the file that `talosctl gen config` has written for this cluster.'
  const context = await currentContext(path).catch((cause: unknown) => {
    throw new OperatorError(`${path} is not a usable talosconfig.`, { next, cause })
  })
  if (context.ca.fingerprint256 !== config.fingerprints.talos) {
    throw new OperatorError(`${path} belongs to another cluster than ${config.origin}: their Talos CA differs.`, {
      means: 'A machine with this config would not let us in.',
      next,
    })
  }
  if (context.client.validToDate < now) {
    throw new OperatorError(`The client certificate in ${path} has expired on ${context.client.validTo}.`, {
      means: 'No machine lets us in with it.',
      next: 'Make a new one from the secrets bundle: talosctl gen config --with-secrets SECRETS_BUNDLE --output-types talosconfig …',
    })
  }
}

async function currentContext(
  path: string,
): Promise<{ ca: X509Certificate; client: X509Certificate & { validToDate: Date } }> {
  const file = talosconfig.parse(parse(await readFile(path, 'utf8'), { prettyErrors: false }))
  const context = file.contexts[file.context]
  if (!context) throw new Error(`it has no context ${file.context}`)
  const ca = new X509Certificate(Buffer.from(context.ca, 'base64'))
  const client = new X509Certificate(Buffer.from(context.crt, 'base64'))
  return { ca, client: Object.assign(client, { validToDate: new Date(client.validTo) }) }
}
