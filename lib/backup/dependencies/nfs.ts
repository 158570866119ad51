import { type Reader, type Spec, specOf, titleOf, Users } from '../../kubernetes/reader.ts'
import { type Template, variablesOf } from '../../kubernetes/templates.ts'

/** An export of a file server; null where only the server is named. */
type Export = { server: string; export: string | null }

/**
 * Exports that volumes, storage classes, provisioners and pods mount.
 * Sources: https://github.com/kubernetes-csi/csi-driver-nfs (server, share), https://github.com/democratic-csi/democratic-csi (the same),
 * https://github.com/SynologyOpenSource/synology-csi (dsm, location), https://github.com/kubernetes-sigs/nfs-subdir-external-provisioner (env)
 */
export async function findNfs(reader: Reader, templates: readonly Template[]) {
  const found = new Users<Export>()
  const add = (server: unknown, path: unknown, user: string) => {
    if (typeof server !== 'string' || server === '') return
    found.add({ server, export: typeof path === 'string' && path !== '' ? path : null }, user)
  }
  const addDriver = (driver: string, attributes: Spec, user: string) => {
    if (/nfs/i.test(driver) || attributes.node_attach_driver === 'nfs') add(attributes.server, attributes.share, user)
  }
  const volumes = await reader.pick('', 'persistentvolumes', (volume) => {
    const { nfs, csi } = specOf(volume) as { nfs?: Spec; csi?: { driver?: string; volumeAttributes?: Spec } }
    return [{ user: titleOf(volume), nfs, csi }]
  })
  for (const { user, nfs, csi } of volumes) {
    if (nfs) add(nfs.server, nfs.path, user)
    if (csi) addDriver(csi.driver ?? '', csi.volumeAttributes ?? {}, user)
  }
  const classes = await reader.pick('storage.k8s.io', 'storageclasses', (each) => [
    { user: titleOf(each), parameters: (each.parameters ?? {}) as Spec },
  ])
  for (const { user, parameters } of classes) {
    add(parameters.server, parameters.share ?? parameters.path, user)
    if (parameters.protocol === 'nfs') add(parameters.dsm, parameters.location, user)
  }
  for (const template of templates) {
    for (const { nfs, csi } of template.spec.volumes ?? []) {
      if (nfs) add(nfs.server, nfs.path, template.owner)
      if (csi) addDriver(csi.driver, csi.volumeAttributes ?? {}, template.owner)
    }
    const value = (variable: string) => variablesOf(template).find(({ name }) => name === variable)?.value
    add(value('NFS_SERVER'), value('NFS_PATH'), template.owner)
  }
  return found.list()
}
