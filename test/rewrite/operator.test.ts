import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'
import { ensureBinaries } from '../../lib/rehearsal/binaries.ts'
import { runTalosctl } from '../../lib/rehearsal/run-talosctl.ts'
import { type BareCluster, startBareCluster } from '../kubernetes/bare-cluster.ts'
import { homelab, map, rewrite } from './homelab.ts'

const silent = { info: () => undefined, warn: () => undefined, detail: () => undefined }
const old = '192.168.1.54'
const young = '192.168.1.60'

let cluster: BareCluster
test.before(async () => {
  cluster = await startBareCluster()
  const notes = { metadata: { name: 'notes' }, data: { url: `http://${old}:80, http://grafana.192-168-1-54.nip.io` } }
  await cluster.api.create('/api/v1/namespaces/default/configmaps', notes)
  const backend = { service: { name: 'web', port: { number: 80 } } }
  await cluster.api.create('/apis/networking.k8s.io/v1/namespaces/default/ingresses', {
    metadata: { name: 'web' },
    spec: { defaultBackend: backend, rules: [{ host: 'argocd.talos00' }, { host: 'elsewhere.example.org' }] },
  })
})
test.after.always(() => cluster?.stop())

/** A homelab, and what its operator has beside it. */
async function operator() {
  const { talosctl } = await ensureBinaries({ progress: silent })
  const folder = homelab({
    'docs/README.md': `ssh ${old}\n`,
    '.gitignore': '/output/\n/backup/\n/home/\nconfigs/\n.output/\n',
  })
  const at = (path: string) => join(folder, path)
  for (const path of ['configs/x', 'home/.talos/x', 'home/.kube/x', '.output/x'])
    mkdirSync(dirname(at(path)), { recursive: true })
  await runTalosctl(talosctl, [
    'gen',
    'config',
    'cat',
    `https://${old}:6443`,
    '--output-types',
    'talosconfig',
    '--output',
    at('configs/talosconfig'),
  ])
  for (const list of ['endpoint', 'node'])
    await runTalosctl(talosctl, ['config', list, old, '--talosconfig', at('configs/talosconfig')])
  symlinkSync(at('configs/talosconfig'), at('home/.talos/config'))
  cpSync(cluster.kubeconfig, at('.output/kubeconfig'))
  writeFileSync(
    at('home/.kube/config'),
    `# ${old}\nclusters: [{name: cat, cluster: {server: 'https://${old}:6443'}}]\n`,
  )
  writeFileSync(at('home/hosts'), `127.0.0.1 localhost\n${old} talos00 grafana.talos00 # ${old}\n`)
  const paths = ['docs/README.md', 'configs/talosconfig', 'home/.kube/config', 'home/hosts', '.output/kubeconfig']
  const contents = () => Object.fromEntries(paths.map((path) => [path, readFileSync(at(path), 'utf8')]))
  return { folder, contents, settings: { TALOSCTL: talosctl, KUBECONFIG: at('.output/kubeconfig') } }
}

const notesNow = async () =>
  (await cluster.api.get<{ data: { url: string } }>('/api/v1/namespaces/default/configmaps/notes')).data.url

test.serial(
  'repository, talosconfig, kubeconfigs, hosts file, names and cluster in one run; a second one finds nothing; undone, all is as it was',
  async (t) => {
    const { folder, contents, settings } = await operator()
    const before = contents()
    const url = await notesNow()
    const dry = await rewrite(folder, [...map(`${old}=${young}`), '--dry-run', '--cluster'], settings)
    t.is(dry.code, 0, dry.said)
    t.deepEqual(contents(), before)
    for (const would of [
      /Point the context cat of/,
      /Set the server of cat/,
      /Give 1 line of/,
      /Give configmaps default\/notes/,
    ]) {
      t.true(
        dry.lines.some((line) => would.test(line) && line.endsWith('would be made')),
        `${would} in ${dry.said}`,
      )
    }

    const done = await rewrite(folder, [...map(`${old}=${young}`), '--yes', '--cluster'], settings)
    t.is(done.code, 0, done.said)
    const after = contents()
    t.is(after['docs/README.md'], `ssh ${young}\n`)
    t.false(after['configs/talosconfig']?.includes(old))
    t.true(after['configs/talosconfig']?.includes(young))
    t.is(after['home/.kube/config'], before['home/.kube/config']?.replace(`//${old}`, `//${young}`))
    t.is(after['home/hosts'], `127.0.0.1 localhost\n${young} talos00 grafana.talos00 # ${old}\n`)
    t.is(after['.output/kubeconfig'], before['.output/kubeconfig'])
    t.is(await notesNow(), `http://${young}:80, http://grafana.192-168-1-60.nip.io`)
    t.true(done.said.includes(`["grafana.talos00","${old}","${young}"],["talos00","${old}","${young}"]`), done.said)
    t.true(done.said.includes('["argocd.talos00",'))
    t.true(done.said.includes(`["configmaps default/notes","data.url","nobody","the cluster: -- --cluster does it"]`))

    const again = await rewrite(folder, [...map(`${old}=${young}`), '--yes', '--dirty'], settings)
    t.is(again.code, 0, again.said)
    t.deepEqual(
      again.lines.filter((line) => line.startsWith('change')),
      [],
    )
    t.true(again.said.includes(`info No object of the cluster holds ${old}.`))

    const back = await rewrite(folder, ['--undo'], settings)
    t.is(back.code, 0, back.said)
    t.deepEqual(contents(), before)
    t.is(await notesNow(), url)
  },
)

test.serial('without a cluster, and with what cannot be undone any more, the rest is done all the same', async (t) => {
  const { folder, contents, settings } = await operator()
  const before = contents()
  const none = { ...settings, KUBECONFIG: join(folder, '.output/none') }
  const done = await rewrite(folder, [...map(`${old}=${young}`), '--yes'], none)
  t.is(done.code, 0, done.said)
  t.regex(done.said, /warn The cluster is not looked into: there is no kubeconfig/)
  writeFileSync(join(folder, 'home/hosts'), '10.0.0.1 mine\n')
  const back = await rewrite(folder, ['--undo'], none)
  t.is(back.code, 0, back.said)
  t.regex(back.said, /warn Give 1 line of .* was not undone, conflict: the lines in/)
  t.deepEqual(contents(), { ...before, 'home/hosts': '10.0.0.1 mine\n' })
  t.true(existsSync(join(folder, 'output')))
})
