import { controlplane, etcdMembers, etcdStatus, healthyMachine, waitingMachine } from '../fake-machines.ts'
import { files, next, old, type Sickness } from './sickness.ts'

const newMachineWaits = 'The new machine waits in maintenance mode, where it is on'
const etcd = `etcd on ${old}`

/** Another answer of the old machine. */
const machine =
  (call: string, answer: string): NonNullable<Sickness['sicken']> =>
  async ({ machines }) => {
    machines.answers(old, call, answer)
    return () => healthyMachine(machines, old)
  }

export const ofMachines: readonly Sickness[] = [
  {
    what: 'a talosctl of another minor version than the machines',
    settings: { TALOS_VERSION: 'v1.12.0' },
    found: [['error', 'talosctl is of the minor version of the machines', '–']],
  },
  {
    what: 'machines of another patch than the settings say',
    settings: { TALOS_VERSION: 'v1.11.9' },
    found: [['error', 'The machine lets us in as an administrator', `Talos on ${old}`]],
  },
  {
    what: 'an API server of another version than the settings say',
    settings: { KUBERNETES_VERSION: 'v1.33.0' },
    found: [['warning', 'The kubeconfig opens the cluster', 'API']],
  },
  {
    what: 'a talosconfig that may only read',
    sicken: files(
      (homelab) => homelab.talosconfig('os:reader', 365),
      (homelab) => homelab.talosconfig('os:admin', 365),
    ),
    found: [['error', 'The talosconfig has the role os:admin', 'talosconfig']],
  },
  {
    what: 'a talosconfig that expires within a day',
    sicken: files(
      (homelab) => homelab.talosconfig('os:admin', 1),
      (homelab) => homelab.talosconfig('os:admin', 365),
    ),
    found: [['error', 'Credentials do not expire tonight', 'talosconfig']],
  },
  {
    what: 'a talosconfig that expires within two weeks',
    sicken: files(
      (homelab) => homelab.talosconfig('os:admin', 10),
      (homelab) => homelab.talosconfig('os:admin', 365),
    ),
    found: [['warning', 'Credentials do not expire tonight', 'talosconfig']],
  },
  {
    what: 'an etcd that has no space left',
    sicken: machine('etcd alarm list', 'MEMBER   ALARM\na1       NOSPACE\n'),
    found: [['error', 'etcd is healthy', etcd]],
  },
  {
    what: 'an etcd with a second member',
    sicken: machine('etcd members', etcdMembers('talos00', 'talos09')),
    found: [
      ['error', 'etcd is healthy', etcd],
      ['error', 'The control plane is the one machine that is replaced', 'etcd'],
    ],
  },
  {
    what: 'an etcd whose database is fragmented',
    sicken: machine('etcd status', etcdStatus('400 MB', '60 MB (15.00%)')),
    found: [['warning', "etcd's database is far from its quota, and not fragmented", etcd]],
  },
  {
    what: 'an etcd whose database is at its quota, and larger than the memory that its snapshot goes to',
    sicken: machine('etcd status', etcdStatus('900 TB', '800 TB (88.00%)')),
    found: [
      ['error', "etcd's database is far from its quota, and not fragmented", etcd],
      ['error', 'MEMORY_DIR has room for the etcd snapshot', '/dev/shm'],
    ],
  },
  {
    what: 'a machine whose clock is not synchronised',
    sicken: async ({ machines }) => {
      machines.has(old, 'get timestatus', { node: { synced: false } })
      return () => healthyMachine(machines, old)
    },
    found: [['warning', "The machine's clock is synchronised", old]],
  },
  {
    what: 'a machine that runs on another config than the file',
    sicken: async ({ machines }) => {
      const text = controlplane.replace('/dev/sda', '/dev/nvme0n1')
      machines.has(old, 'get machineconfig v1alpha1', { v1alpha1: text })
      return () => healthyMachine(machines, old)
    },
    found: [['warning', 'CONTROLPLANE_CONFIG is what the machine runs on', 'machine.install.disk']],
  },
  {
    what: 'a config that would make another Node of the new machine',
    sicken: files(
      (homelab) => homelab.config(controlplane.replace('hostname: talos00', 'hostname: talos01')),
      (homelab) => homelab.config(controlplane),
    ),
    found: [['error', 'The node keeps its name on other hardware', 'controlplane.yaml']],
  },
  {
    what: 'a certificate authority that ends within a day',
    sicken: files(
      (homelab) => homelab.authority(1, 1),
      (homelab) => homelab.config(controlplane),
    ),
    found: [['error', "The cluster's certificate authorities do not expire tonight", 'Kubernetes CA']],
  },
  {
    what: 'a talosconfig of another cluster',
    sicken: files(
      (homelab) => homelab.authority(0, 3650),
      (homelab) => homelab.config(controlplane),
    ),
    found: [['error', 'The talosconfig opens machines of CONTROLPLANE_CONFIG', '–']],
  },
  {
    what: 'a KubePrism that is off, and a Cilium that needs it',
    sicken: files(
      (homelab) => homelab.config(controlplane.replace('enabled: true\n      port: 7445', 'enabled: false')),
      (homelab) => homelab.config(controlplane),
    ),
    found: [
      ['warning', 'KubePrism is on', `the config of ${old}`],
      ['error', 'Cilium is ready, and finds the API without the old address', 'DaemonSet kube-system/cilium'],
    ],
  },
  {
    what: 'a new machine without the disk, and smaller than the old one',
    settings: { NEW_TALOS_NODE: next },
    sicken: async ({ machines }) => {
      waitingMachine(machines, next, '/dev/nvme0n1', 4, 16_384)
      return () => machines.isGone(next)
    },
    found: [
      ['error', 'The new machine has the disk that the config installs on', '–'],
      ['warning', 'The new machine has the CPU and memory of the old one', `CPU of ${next}`],
      ['warning', 'The new machine has the CPU and memory of the old one', `Memory of ${next}`],
    ],
  },
  {
    what: 'a new machine, waiting elsewhere until tonight, that is smaller than the old one',
    settings: { NEW_MACHINE_ADDRESS: next },
    sicken: async ({ machines }) => {
      waitingMachine(machines, next, '/dev/sda', 4, 32_768)
      return () => machines.isGone(next)
    },
    found: [['warning', 'The new machine has the CPU and memory of the old one', `CPU of ${next}`]],
  },
  {
    what: 'a new machine that is said to wait, and does not',
    settings: { NEW_MACHINE_ADDRESS: next },
    found: [['warning', newMachineWaits, next]],
  },
  {
    what: 'a machine of this cluster where the new one is to wait',
    settings: { NEW_MACHINE_ADDRESS: next },
    sicken: async ({ machines }) => {
      const refused = 'rpc error: code = Unavailable desc = remote error: tls: certificate required'
      for (const what of ['disks', 'systeminformation', 'links'])
        machines.refuses(next, `insecure-get ${what}`, refused)
      machines.has(next, 'get systeminformation', { systeminformation: { uuid: 'u-9' } })
      machines.has(next, 'get links', { eth0: { type: 'ether', hardwareAddr: '02:00:00:00:00:09' } })
      machines.has(next, 'get machinestatus', { machine: { stage: 'running' } })
      return () => machines.isGone(next)
    },
    found: [['error', newMachineWaits, next]],
  },
  {
    what: 'a kubectl that is too old for the cluster',
    parts: { kubectlVersion: async () => 'v1.31.4' },
    found: [['warning', 'kubectl, where there is one, is within a minor version of the cluster', 'kubectl']],
  },
  {
    what: 'a kubectl of the minor version before',
    parts: { kubectlVersion: async () => 'v1.33.9' },
    found: [],
  },
  {
    what: 'another machine than the new one, at its address',
    settings: { NEW_TALOS_NODE: next, NEW_MACHINE_MAC: '02:00:00:00:00:99' },
    sicken: async ({ machines }) => {
      waitingMachine(machines, next, '/dev/sda', 8, 32_768)
      return () => machines.isGone(next)
    },
    found: [['error', 'The new machine has the network cards that the config names', '–']],
  },
]
