/** History is not rewritten; everything else that these files say of the address is. */
export const historyFiles = ['CHANGELOG.md', 'docs/post-mortems/2025-11-02-nfs.md'] as const

/** What a homelab's repository says of the control plane's address, besides its machine configs: by path. */
export function repositoryFiles(address: string): Record<string, string> {
  const dashed = address.replaceAll('.', '-')
  return {
    '.gitignore': '.output/\nconfigs/\n',
    'README.md': `The homelab of a practice cluster. Its control plane is at ${address}.\n`,
    'CLAUDE.md': `- talos00 is ${address}; the API is https://${address}:6443\n- grafana: http://grafana.${dashed}.nip.io\n`,
    'CHANGELOG.md': `# Changelog\n\n## 2025-11-11\n\n- talos00 was installed at ${address}.\n`,
    'docs/network.md': `| node | address |\n| --- | --- |\n| talos00 | ${address}/24 |\n| printer | ${address}0 |\n`,
    'docs/post-mortems/2025-11-02-nfs.md': `# NFS was away\n\nAt 20:14 ${address} lost its mounts.\n`,
    'scripts/dashboard.sh': `#!/bin/sh\nTALOS_NODE="\${TALOS_NODE:-${address}}"\nexec talosctl --nodes "$TALOS_NODE" dashboard\n`,
    'infrastructure/settings.yaml': [
      'apiVersion: v1',
      'kind: ConfigMap',
      'metadata: { name: cluster-settings, namespace: flux-system }',
      `data: { NODE_IP: ${address}, API_URL: "https://${address}:6443" }`,
      '',
    ].join('\n'),
  }
}
