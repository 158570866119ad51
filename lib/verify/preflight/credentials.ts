import * as z from 'zod'

/** A talosconfig, as far as it is looked at here; certificates are base64 of PEM. */
export const talosconfigFile = z.looseObject({
  context: z.string(),
  contexts: z.record(z.string(), z.looseObject({ crt: z.string() })),
})

/** A kubeconfig, in the same way. */
export const kubeconfigFile = z.looseObject({
  clusters: z.array(z.looseObject({ cluster: z.looseObject({ 'certificate-authority-data': z.string().optional() }) })),
  users: z.array(
    z.looseObject({ name: z.string(), user: z.looseObject({ 'client-certificate-data': z.string().optional() }) }),
  ),
})
