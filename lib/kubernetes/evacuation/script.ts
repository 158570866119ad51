/** Which way a volume is copied: off the machine, or back onto it. */
export type Direction = 'out' | 'back'

/** Where a container has the volume of the node's disk and the copy's, the daemon's password, and where the kubelet takes its last words from. */
export const mounts = { local: '/mnt/local', copy: '/mnt/copy', secret: '/mnt/secret', result: '/mnt/result' } as const

/** What the script ends with, besides 0 and what the shell itself may end with. */
export const exitCodes = {
  noRoom: 41,
  notReached: 42,
  notCopied: 43,
  different: 44,
  occupied: 45,
  damaged: 46,
} as const

/** Of the rsync daemon beside a volume whose copy lies on another node. */
export const daemonPort = 8730
export const daemonUser = 'evacuation'

/**
 * What the container of a copying Job runs, for busybox' tools and GNU's alike. The copy's volume holds two folders: `data`, which is
 * the volume's root with owners, modes, links, attributes and holes, and `evacuation`, with the SHA-256 of every file.
 * Contents are compared by those sums, all else by what rsync would still change. `security.selinux` is the node's own
 * to give. It may be killed at any instant and called again. Its last words are JSON when it ends well, else plain text.
 * Source: rsync(1); https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
 * @param far the volume lies on another node than its copy, and PEER is the address of the daemon beside it
 */
export function scriptOf(direction: Direction, far = false): string {
  return `${head}${trees}${far ? farVolume : nearVolume}${common}${direction === 'out' ? out : back}`
}

/**
 * What the container beside the volume runs when the copy lies on another node: an rsync daemon at the pod's address for whoever has the
 * password. The volume can be written to on the way back only. It looks at the volume itself, each time that `facts` or `sums` is fetched.
 * Source: rsyncd.conf(5)
 */
export function daemonScript(direction: Direction): string {
  return `${head}mkdir -p "$notes/facts" "$notes/sums"
cat > "$notes/look" <<'END'
${head}${trees}case $1 in
  facts) flush ${mounts.local}; facts ${mounts.local} > "$notes/facts/facts" ;;
  sums) sums ${mounts.local} "$notes/sums/sums" ;;
esac
END
cat > "$notes/rsyncd.conf" <<END
address = $POD_IP
port = ${daemonPort}
uid = 0
gid = 0
use chroot = yes
numeric ids = yes
munge symlinks = no
reverse lookup = no
auth users = ${daemonUser}
secrets file = ${mounts.secret}/daemon
[local]
path = ${mounts.local}
read only = ${direction === 'out' ? 'yes' : 'no'}
[facts]
path = $notes/facts
read only = yes
pre-xfer exec = sh $notes/look facts
[sums]
path = $notes/sums
read only = yes
pre-xfer exec = sh $notes/look sums
END
exec rsync --daemon --no-detach --config="$notes/rsyncd.conf" --log-file=/dev/stderr
`
}

const head = String.raw`set -eu
umask 077
export LC_ALL=C
# Not on the copy's volume, which may be full.
notes=/mnt/notes
mkdir -p "$notes"

fail() { # exit code, words
  printf '%s\n' "$2" | tail -c 1500 > ${mounts.result} 2> /dev/null || true
  printf '%s\n' "$2"
  exit "$1"
}
`

const trees = String.raw`
# That file system alone: a sync of all of them waits for whatever else the node writes, and for ever on a server that is gone.
flush() { sync -f "$1" 2> /dev/null || sync; }

sums() { # tree, file
  (cd "$1" && find . -type f -print0 | sort -z | xargs -0 -r sha256sum) > "$2" || fail ${exitCodes.notCopied} "Not every file of $1 can be read, or its sums cannot be written."
}

facts() { # tree: entries in its root, KiB, KiB free beside it, files
  entries=$(ls -A "$1" | wc -l)
  kib=$(du -sk "$1" | cut -f1)
  free=$(df -Pk "$1" | tail -n 1 | tr -s ' ' | cut -d' ' -f4)
  files=$(find "$1" -type f -print0 | tr -cd '\0' | wc -c)
  echo $entries $kib $free $files
}
`

const nearVolume = `
local=${mounts.local}
local_facts() { facts "$local" > "$notes/facts"; }
local_sums() { sums "$local" "$1"; }
flush_local() { flush "$local"; }
`

/** What a container runs that only reads a volume: the same sums as of a copy, as its last words. */
export const lookScript = `${head}${trees}
sums ${mounts.local} "$notes/sums"
facts ${mounts.local} > "$notes/facts"
read -r entries kib free files < "$notes/facts"
printf '{"files":%s,"kib":%s,"digest":"%s"}' "$files" "$kib" "$(sha256sum < "$notes/sums" | cut -d' ' -f1)" > ${mounts.result}
`

const farVolume = `
RSYNC_PASSWORD=$(cat ${mounts.secret}/password)
export RSYNC_PASSWORD
peer=rsync://${daemonUser}@$PEER:${daemonPort}
local=$peer/local

ask() { # what, file
  code=10 tries=0
  while [ "$code" = 10 ] && [ "$tries" -lt 10 ]; do
    code=0
    # By contents: the file asked for last may be of the same size and second.
    rsync --ignore-times "$peer/$1/$1" "$2" 2> "$notes/errors" || code=$?
    [ "$code" != 10 ] || sleep 1
    tries=$((tries + 1))
  done
  [ "$code" = 0 ] || fail ${exitCodes.notReached} "The daemon beside the volume at $PEER:${daemonPort} does not tell (does a NetworkPolicy forbid it?): $(tail -n 3 "$notes/errors")"
}
local_facts() { ask facts "$notes/facts"; }
local_sums() { ask sums "$1"; }
# The daemon flushes the volume before it tells its facts.
flush_local() { local_facts; }
`

const common = String.raw`
data=${mounts.copy}/data book=${mounts.copy}/evacuation

look_at_local() { local_facts; read -r local_entries local_kib local_free local_files < "$notes/facts"; }

begin_book() { mkdir -p "$book" "$data" || fail ${exitCodes.noRoom} "The copy's volume cannot be written to."; }

sync_trees() { # from, to, more options of rsync
  from=$1 to=$2; shift 2
  rsync -aHAXS --numeric-ids --delete --filter='-x security.selinux' "$@" "$from/" "$to/"
}

# Fractions of a second count when times are set, so that a folder keeps its own; they do not when trees are compared, for not every file system has them.
copy() { # from, to, more options of rsync
  code=0
  { sync_trees "$@" --modify-window=-1 --info=progress2 2> "$notes/errors" || code=$?; echo "$code" > "$notes/code"; } |
    awk 'BEGIN { RS = "\r" } $2 != last { print; fflush(); last = $2 }'
  code=$(cat "$notes/code" 2> /dev/null || true)
  [ "$code" = 0 ] && return 0
  why=$(tail -n 5 "$notes/errors" 2> /dev/null || true)
  case $why in
    *'No space left'*|*'quota exceeded'*) fail ${exitCodes.noRoom} "The target became full: $why" ;;
    *chown*'not permitted'*) fail ${exitCodes.notCopied} "The file server does not let root set owners (root_squash, maproot): $why" ;;
    *) fail ${exitCodes.notCopied} "rsync ended with $code: $why" ;;
  esac
}

room() { # KiB needed, KiB that the target has
  [ "$1" -le "$2" ] || fail ${exitCodes.noRoom} "It needs $1 KiB, and the target has $2."
}

alike() { # the same sums and nothing that rsync would still change
  local_sums "$book/local.sha256"
  sums "$data" "$book/copy.sha256"
  cmp -s "$book/local.sha256" "$book/copy.sha256" || return 1
  sync_trees "$1" "$2" --dry-run --itemize-changes > "$notes/differences" || return 1
  [ ! -s "$notes/differences" ]
}

differing() {
  { diff "$book/local.sha256" "$book/copy.sha256" | sed -n 's/^[<>] [0-9a-f]* *//p' | sort -u; cat "$notes/differences"; } 2> /dev/null | head -n 5
}

done_with() { # the file of sums
  look_at_local
  digest=$(sha256sum < "$1" | cut -d' ' -f1)
  printf '{"files":%s,"kib":%s,"digest":"%s"}' "$local_files" "$local_kib" "$digest" > ${mounts.result}
  echo "$local_files files, $local_kib KiB, compared; the sums' own SHA-256: $digest"
}
`

/** RESERVE: percent of the target's file system that stay free, for a node's disk is not only the copies'. */
const out = `
begin_book
look_at_local
if [ "$local_entries" = 0 ] && [ -n "$(ls -A "$data")" ]; then
  fail ${exitCodes.occupied} 'The volume is empty and its copy is not: a copy is not made empty. Has the machine been replaced already?'
fi
set -- $(df -Pk "$data" | tail -n 1) # device, size, used, free
room "$local_kib" $(($4 + $(du -sk "$data" | cut -f1) - $2 / 100 * $RESERVE))
copy "$local" "$data"
if ! alike "$local" "$data"; then
  echo 'Not alike after the first copy: once more, by contents.'
  copy "$local" "$data" --checksum
  alike "$local" "$data" || fail ${exitCodes.different} "It changes while it is copied, or the target keeps something else: $(differing)"
fi
mv "$book/copy.sha256" "$book/sha256"
flush "$book"
done_with "$book/sha256"
`

const back = `
[ -f "$book/sha256" ] || fail ${exitCodes.damaged} 'The copy has no sums: it is not what was evacuated.'
sums "$data" "$book/copy.sha256"
cmp -s "$book/copy.sha256" "$book/sha256" || fail ${exitCodes.damaged} 'The copy is not any more what its sums say.'
[ "$(sha256sum < "$book/sha256" | cut -d' ' -f1)" = "$DIGEST" ] || fail ${exitCodes.damaged} "The copy is not the one of this run: its sums are others than $DIGEST."
if ! alike "$data" "$local"; then
  look_at_local
  if [ "$local_entries" != 0 ] && [ ! -e "$book/coming-back" ]; then
    fail ${exitCodes.occupied} "The volume is neither empty nor as it was evacuated: $(differing)"
  fi
  room "$(du -sk "$data" | cut -f1)" $((local_free + local_kib))
  : > "$book/coming-back"
  copy "$data" "$local"
  alike "$data" "$local" || { copy "$data" "$local" --checksum; alike "$data" "$local"; } || fail ${exitCodes.different} "It is not as it was evacuated: $(differing)"
  flush_local
fi
rm -f "$book/coming-back"
done_with "$book/sha256"
`
