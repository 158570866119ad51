const text = { type: 'string' } as const
const given = { type: 'boolean' } as const

/** Both commands take these; each of them with `remote-` before it, too. */
const shared = {
  ...{ kubeconfig: text, context: text, cluster: text, user: text, namespace: text },
  ...{ 'remote-kubeconfig': text, 'remote-context': text, 'remote-cluster': text, 'remote-user': text },
  ...{ 'remote-namespace': text, timeout: text, verbose: given },
} as const

/** The flags of liqoctl 1.0.1 as its documentation has them; a test holds them against the real one's --help, where there is one. */
export const flags = {
  peer: {
    ...shared,
    'skip-validation': given,
    'networking-disabled': given,
    'gw-server-service-location': text,
    'gw-server-service-type': text,
    'gw-server-service-port': text,
    'gw-server-service-nodeport': text,
    'gw-server-service-loadbalancerip': text,
    'gw-client-address': text,
    'gw-client-port': text,
    mtu: text,
    // Booleans that are true unless --NAME=false is given.
    'create-resource-slice': text,
    'create-virtual-node': text,
    'resource-slice-class': text,
    'in-band': given,
    'proxy-url': text,
    cpu: text,
    memory: text,
    pods: text,
  },
  unpeer: { ...shared, 'delete-namespaces': given, wait: text },
} as const

type Flag = keyof (typeof flags)['peer'] | keyof (typeof flags)['unpeer']
type Given = 'verbose' | 'skip-validation' | 'networking-disabled' | 'in-band' | 'delete-namespaces'

/** What it was called with. */
export type StandInOptions = { [flag in Flag]?: flag extends Given ? boolean : string }
