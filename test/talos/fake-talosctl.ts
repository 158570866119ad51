import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What stands at every address: silent, foreign, or `maintenance UUID MAC` or `running UUID MAC`. */
export type FakeState = 'silent' | 'foreign' | `${'maintenance' | 'running'} ${string} ${string}`

export interface FakeTalosctl {
  folder: string
  path: string
  /** @param address where it is so; without it, at every address that was not told apart */
  become(state: FakeState, address?: string): Promise<void>
  /** the arguments of all calls that were made to a machine, one line each */
  calls(): Promise<string[]>
  /** the config that was applied, or null */
  applied(): Promise<string | null>
}

// It answers in the words of talosctl v1.11.1, to the few calls that are needed to tell machines from each other.
const script = `#!/bin/sh
here=$(dirname "$0")
case "$1 $2" in
  'version --client') printf 'Client:\\nTalos v1.11.1\\n'; exit 0;;
  'validate --mode') cat > /dev/null; exit 0;;
  'machineconfig patch') cat /dev/stdin; exit 0;;
esac
echo "$*" >> "$here/calls"
for address; do :; done
at="$here/state-$address"; [ -f "$at" ] || at="$here/state"
read -r state uuid mac < "$at"
insecure=no
case "$*" in *--insecure*) insecure=yes;; esac
unavailable='rpc error: code = Unavailable desc = connection error: desc ='
case $state/$insecure in
  silent/*) echo "$unavailable \\"transport: Error while dialing: dial tcp: connect: connection refused\\"" >&2; exit 1;;
  running/yes) [ -f "$here/breaks-off" ] && { echo 'rpc error: code = Unavailable desc = error reading from server: EOF' >&2; exit 1; };;
esac
case $state/$insecure in
  running/yes|foreign/yes) echo "$unavailable \\"error reading server preface: remote error: tls: certificate required\\"" >&2; exit 1;;
  maintenance/no|foreign/no) echo "$unavailable \\"transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority\\"" >&2; exit 1;;
esac
resource() { printf '{\\n    "metadata": {"id": "%s", "namespace": "n"},\\n    "spec": %s\\n}\\n' "$1" "$2"; }
case "$1 $2" in
  'get disks') resource sda '{"dev_path": "/dev/sda", "size": 500000000000}'; resource loop0 '{"dev_path": "/dev/loop0", "size": 1}';;
  'get systeminformation') resource systeminformation "{\\"uuid\\": \\"$uuid\\"}";;
  'get links') resource lo '{"type": "loopback", "hardwareAddr": "00:00:00:00:00:00"}'; resource eth0 "{\\"type\\": \\"ether\\", \\"hardwareAddr\\": \\"$mac\\"}";;
  'get machinestatus') resource machine '{"stage": "running"}';;
  'get services') runs=false; [ -f "$here/etcd-runs" ] && runs=true; resource etcd "{\\"running\\": $runs, \\"healthy\\": $runs}";;
  'etcd members') cat "$here/members";;
  'etcd status') printf 'MEMBER   LEADER   ERRORS\\n1   1   \\n';;
  'bootstrap '*) [ -f "$here/etcd-starts" ] && touch "$here/etcd-runs"; [ -f "$here/answer-lost" ] || exit 0; echo 'rpc error: code = Unavailable desc = error reading from server: EOF' >&2; exit 1;;
  'kubeconfig -') printf 'apiVersion: v1\\nclusters: [{name: c, cluster: {server: "https://192.0.2.10:6443"}}]\\nusers: [{name: new}]\\n';;
  'apply-config --file') cat > "$here/applied"; echo "running $uuid $mac" > "$at";;
  'reset --graceful=false')
    # A slow one still answers when it was told, and in the middle of the next call it is in maintenance mode.
    if [ ! -f "$here/resets-slowly" ]; then echo silent > "$at"
    elif [ ! -f "$here/is-told" ]; then touch "$here/is-told"
    else
      echo "maintenance $uuid $mac" > "$at"
      echo "$unavailable \\"transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority\\"" >&2; exit 1
    fi;;
  *) echo "rpc error: code = Unimplemented desc = $1 $2" >&2; exit 1;;
esac
`

/** A talosctl without machines, for what depends on how a machine answers. */
export async function fakeTalosctl(): Promise<FakeTalosctl & { remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'fake-talosctl-'))
  const path = join(folder, 'talosctl')
  await writeFile(path, script)
  await chmod(path, 0o755)
  await writeFile(join(folder, 'state'), 'silent\n')
  return {
    folder,
    path,
    become: (state, address) => writeFile(join(folder, address ? `state-${address}` : 'state'), `${state}\n`),
    calls: async () => (await readFile(join(folder, 'calls'), 'utf8').catch(() => '')).split('\n').filter(Boolean),
    applied: () => readFile(join(folder, 'applied'), 'utf8').catch(() => null),
    remove: () => rm(folder, { recursive: true, maxRetries: 10 }),
  }
}
