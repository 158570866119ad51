import type { Talosctl } from './talosctl.ts'

/**
 * The secrets bundle that a control plane's machine config was made with, as `talosctl gen secrets` writes one. It passes through pipes, and is on no disk.
 * @param config the machine config, YAML
 * @throws TalosctlError when the config is not one of a control plane
 */
export async function secretsBundleOf(talosctl: Talosctl, config: Buffer): Promise<Buffer> {
  const args = ['--from-controlplane-config', '/dev/stdin', '--output-file', '/dev/stdout', '--force']
  const { stdout } = await talosctl.local(['gen', 'secrets', ...args], { input: config })
  return Buffer.from(stdout)
}
