import { messageOf } from '../migration/errors.ts'
import { fields } from './snapshot/protobuf.ts'
import type { Talosctl, Target } from './talosctl.ts'

const walFolder = '/var/lib/etcd/member/wal'
// The two first records of a segment are shorter by far; a whole segment has 64 MB.
const beginningBytes = 4096
const metadataRecord = 1

/**
 * The id of the cluster that the machine's etcd belongs to, from the beginning of its write-ahead log: neither a snapshot nor talosctl's other answers hold it.
 * @returns 16 hex digits, as etcd logs it; undefined with the reason when it is not to be had
 */
export async function etcdClusterId(talosctl: Talosctl, target: Target): Promise<{ id?: string; reason?: string }> {
  try {
    const { stdout } = await talosctl.run(target, ['list', walFolder])
    const segment = stdout.match(/\b[0-9a-f]{16}-[0-9a-f]{16}\.wal\b/)?.[0]
    if (segment === undefined) return { reason: `there is no log in ${walFolder}` }
    return { id: clusterIdOf(await talosctl.beginningOf(target, `${walFolder}/${segment}`, beginningBytes)) }
  } catch (error) {
    return { reason: messageOf(error) }
  }
}

/**
 * A segment is a row of frames: 8 bytes of length, little endian, whose top byte tells the padding, then a walpb.Record (type 1, crc 2, data 3). The
 * record of type 1 holds etcdserverpb.Metadata: the member's id (1) and the cluster's (2).
 * Source: etcd, server/storage/wal/encoder.go, server/storage/wal/walpb/record.proto, server/etcdserver/etcdserverpb/raft_internal.proto
 * @throws RangeError when there is no such record in the bytes
 */
export function clusterIdOf(segment: Buffer): string {
  for (let at = 0; at + 8 <= segment.length; ) {
    const length = Number(segment.readBigUInt64LE(at) & 0x00ff_ffff_ffff_ffffn)
    const padding = segment[at + 7] ?? 0
    const record = segment.subarray(at + 8, at + 8 + length)
    const found = [...fields(record)]
    const type = found.find((field) => field.number === 1)
    const data = found.find((field) => field.number === 3)
    if (type && 'varint' in type && type.varint === metadataRecord && data && 'bytes' in data)
      return secondVarint(data.bytes)
    at += 8 + length + ((padding & 0x80) === 0 ? 0 : padding & 0x07)
  }
  throw new RangeError('the log does not begin with its metadata')
}

/** Ids use all 64 bits, which a number cannot hold. */
function secondVarint(message: Buffer): string {
  for (let at = 0; at < message.length; ) {
    const tag = message[at++] ?? 0
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]
      if (byte === undefined) throw new RangeError('the metadata is cut off')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    if (tag === 0x10) return BigInt.asUintN(64, value).toString(16).padStart(16, '0')
  }
  throw new RangeError('the metadata does not name the cluster')
}
