/** Which way a volume is copied: off the machine, or back onto it. */
export type Direction = 'out' | 'back'

/** Where the container has the volume of the node's disk and the copy's, and where the kubelet takes its last words from. */
export const mounts = { local: '/mnt/local', copy: '/mnt/copy', result: '/mnt/result' } as const

/** What the script ends with, besides 0 and what the shell itself may end with. */
export const exitCodes = { noRoom: 41, notCopied: 43, different: 44, occupied: 45, damaged: 46 } as const

/**
 * What the container of a copying Job runs, for busybox' tools and GNU's alike. The copy's volume holds two folders: `data`, which is
 * the volume's root with owners, modes, links, attributes and holes, and `evacuation`, with the SHA-256 of every file.
 * Contents are compared by those sums, all else by what rsync would still change. `security.selinux` is the node's own
 * to give. It may be killed at any instant and called again. Its last words are JSON when it ends well, else plain text.
 * Source: rsync(1); https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
 */
export function scriptOf(direction: Direction): string {
  return `${common}${direction === 'out' ? out : back}`
}

const common = String.raw`set -eu
umask 077
export LC_ALL=C
local=${mounts.local} data=${mounts.copy}/data book=${mounts.copy}/evacuation
# Not on the copy's volume, which may be full.
notes=/mnt/notes
mkdir -p "$notes"

fail() { # exit code, words
  printf '%s\n' "$2" | tail -c 1500 > ${mounts.result}
  printf '%s\n' "$2"
  exit "$1"
}

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

room() { # from, to
  need=$(du -sk "$1" | cut -f1)
  held=$(du -sk "$2" | cut -f1)
  free=$(df -Pk "$2" | tail -n 1 | tr -s ' ' | cut -d' ' -f4)
  [ "$need" -le $((free + held)) ] || fail ${exitCodes.noRoom} "It needs $need KiB, and the target has $((free + held))."
}

sums() { # tree, file
  (cd "$1" && find . -type f -print0 | sort -z | xargs -0 -r sha256sum) > "$2" || fail ${exitCodes.notCopied} "Not every file of $1 can be read, or its sums cannot be written."
}

alike() { # the same sums and nothing that rsync would still change
  sums "$local" "$book/local.sha256"
  sums "$data" "$book/copy.sha256"
  cmp -s "$book/local.sha256" "$book/copy.sha256" || return 1
  sync_trees "$1" "$2" --dry-run --itemize-changes > "$notes/differences" || return 1
  [ ! -s "$notes/differences" ]
}

differing() {
  { diff "$book/local.sha256" "$book/copy.sha256" | sed -n 's/^[<>] [0-9a-f]* *//p' | sort -u; cat "$notes/differences"; } 2> /dev/null | head -n 5
}

done_with() { # the file of sums
  files=$(find "$local" -type f -print0 | tr -cd '\0' | wc -c | tr -d ' ')
  kib=$(du -sk "$local" | cut -f1)
  digest=$(sha256sum < "$1" | cut -d' ' -f1)
  printf '{"files":%s,"kib":%s,"digest":"%s"}' "$files" "$kib" "$digest" > ${mounts.result}
  echo "$files files, $kib KiB, compared; the sums' own SHA-256: $digest"
}
`

const out = `
begin_book
if [ -z "$(ls -A "$local")" ] && [ -n "$(ls -A "$data")" ]; then
  fail ${exitCodes.occupied} 'The volume is empty and its copy is not: a copy is not made empty. Has the machine been replaced already?'
fi
room "$local" "$data"
copy "$local" "$data"
if ! alike "$local" "$data"; then
  echo 'Not alike after the first copy: once more, by contents.'
  copy "$local" "$data" --checksum
  alike "$local" "$data" || fail ${exitCodes.different} "It changes while it is copied, or the target keeps something else: $(differing)"
fi
mv "$book/copy.sha256" "$book/sha256"
sync
done_with "$book/sha256"
`

const back = `
[ -f "$book/sha256" ] || fail ${exitCodes.damaged} 'The copy has no sums: it is not what was evacuated.'
sums "$data" "$book/copy.sha256"
cmp -s "$book/copy.sha256" "$book/sha256" || fail ${exitCodes.damaged} 'The copy is not any more what its sums say.'
[ "$(sha256sum < "$book/sha256" | cut -d' ' -f1)" = "$DIGEST" ] || fail ${exitCodes.damaged} "The copy is not the one of this run: its sums are others than $DIGEST."
if ! alike "$data" "$local"; then
  if [ -n "$(ls -A "$local")" ] && [ ! -e "$book/coming-back" ]; then
    fail ${exitCodes.occupied} "The volume is neither empty nor as it was evacuated: $(differing)"
  fi
  room "$data" "$local"
  : > "$book/coming-back"
  copy "$data" "$local"
  alike "$data" "$local" || { copy "$data" "$local" --checksum; alike "$data" "$local"; } || fail ${exitCodes.different} "It is not as it was evacuated: $(differing)"
  sync
fi
rm -f "$book/coming-back"
done_with "$book/sha256"
`
