import { unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { git } from '../../../rewrite/homelab.ts'
import { at } from '../healthy-cluster.ts'
import { files, next, old, type Sickness, status } from './sickness.ts'

export const ofFiles: readonly Sickness[] = [
  {
    what: 'a work tree with an uncommitted file',
    sicken: files(
      ({ folder }) => writeFileSync(join(folder, 'notes.yaml'), 'a: 1\n'),
      ({ folder }) => unlinkSync(join(folder, 'notes.yaml')),
    ),
    found: [['warning', "The homelab's work tree is clean", 'HOMELAB_DIR']],
  },
  {
    what: 'a changed file in a tree that is to be rewritten',
    settings: { SCENARIO: 'B', NEW_TALOS_NODE: next },
    sicken: files(
      ({ folder }) => writeFileSync(join(folder, '.gitignore'), 'configs/\n.output/\nmore/\n'),
      ({ folder }) => git(folder, 'checkout', '--quiet', '.gitignore'),
    ),
    found: [['error', "The homelab's work tree is clean", 'HOMELAB_DIR']],
  },
  {
    what: 'a commit that is not pushed, and so not applied',
    sicken: files(
      (homelab) => homelab.commit(),
      ({ folder }) => git(folder, 'reset', '--quiet', '--hard', 'HEAD~1'),
    ),
    found: [
      ['warning', "The homelab's branch is pushed", 'main'],
      ['warning', 'Flux has applied what is committed here', 'GitRepository flux-system/homelab'],
    ],
  },
  {
    what: 'a Kustomization that stopped at an older commit',
    sicken: async (homelab) =>
      status(at.kustomization, {
        conditions: [{ type: 'Ready', status: 'True' }],
        lastAppliedRevision: `main@sha1:${'a'.repeat(40)}`,
      })(homelab),
    found: [['warning', 'Flux has applied what is committed here', 'Kustomization flux-system/apps']],
  },
  {
    what: 'an identity that does not open the backup',
    settings: { AGE_IDENTITY_FILE: 'OTHER' },
    found: [['error', 'AGE_IDENTITY_FILE opens what AGE_RECIPIENTS close', 'other']],
  },
  {
    what: 'a secrets bundle of another cluster',
    settings: { SECRETS_BUNDLE: 'FOREIGN' },
    found: ['etcd CA', 'Kubernetes CA', 'Talos CA'].map((ca) => [
      'error',
      'The secrets bundle is the one of this cluster',
      `${ca} in secrets.yaml`,
    ]),
  },
  {
    what: 'a hosts entry that leads elsewhere',
    sicken: files(
      (homelab) => homelab.names(`${old} talos00\n192.168.1.99 grafana.talos00\n`),
      (homelab) => homelab.names(`${old} talos00 grafana.talos00\n`),
    ),
    found: [['warning', 'Names of the cluster lead to TALOS_NODE', 'grafana.talos00']],
  },
]
