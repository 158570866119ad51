import { readFile } from 'node:fs/promises'
import type { KubeConfig } from '@kubernetes/client-node'
import { messageOf, OperatorError } from '../migration/errors.ts'

/** @throws OperatorError when the file cannot be read */
export async function kubeconfigText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw new OperatorError(`The kubeconfig ${path} cannot be read: ${messageOf(error)}`, {
      next: 'Set KUBECONFIG to the file, or fetch one: task talos:kubeconfig',
      cause: error,
    })
  })
}

/**
 * The library is read when the first kubeconfig is: what has no word for the cluster does without.
 * @param origin where the text is from, for the error
 * @throws OperatorError when it is no kubeconfig
 */
export async function parseKubeconfig(
  yaml: string,
  options: { context?: string; origin?: string } = {},
): Promise<KubeConfig> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  try {
    config.loadFromString(yaml)
  } catch (error) {
    throw new OperatorError(`${options.origin ?? 'The text'} is no kubeconfig: ${messageOf(error)}`, {
      next: 'Set KUBECONFIG to the file, or fetch one: task talos:kubeconfig',
      cause: error,
    })
  }
  if (options.context !== undefined) config.setCurrentContext(options.context)
  return config
}

/** @throws OperatorError when the kubeconfig names no current cluster */
export function serverOf(config: KubeConfig): string {
  const cluster = config.getCurrentCluster()
  if (!cluster) throw new OperatorError('The kubeconfig names no current cluster.', { next: 'Check KUBECONFIG.' })
  return cluster.server.replace(/\/$/, '')
}
