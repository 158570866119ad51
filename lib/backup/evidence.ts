import type { Manifest } from './manifest.ts'

/** What a later look would ask a backup for first, as `[what, which]`. @param folder where it lies */
export function backupEvidence(folder: string, manifest: Manifest): [string, string][] {
  const { createdAt, resources, files, identity, versions, snapshot, recipients } = manifest
  const known = (what: string, which: string | number | undefined): [string, string][] =>
    which === undefined ? [] : [[what, String(which)]]
  const objects = resources.reduce((sum, { count }) => sum + count, 0)
  return [
    ['Backup', folder],
    ['Taken', createdAt],
    ['Objects in it', `${objects} in ${resources.length} resources, ${files.length} files`],
    ['Encrypted to', recipients.join(', ') || 'a passphrase'],
    ...known('Snapshot revision', snapshot?.revision),
    ...known('Snapshot hash (etcdutl)', snapshot?.hash),
    ...known('Cluster (UID of kube-system)', identity.kubeSystemUid),
    ...known('etcd cluster id', identity.etcdClusterId),
    ...known('Talos', versions.talos),
    ...known('Kubernetes', versions.kubernetes),
    ...known('talosctl', versions.talosctl),
    ...known('etcdutl', versions.etcdutl),
    ...known('talos-migrate', versions.talosMigrate),
  ]
}
