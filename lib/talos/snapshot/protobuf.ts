/** One field of a protobuf message: the wire types that etcd and Kubernetes use. */
export type Field =
  | { number: number; varint: number }
  | { number: number; bytes: Buffer }
  | { number: number; fixed: Buffer }

/**
 * Reads a message's fields in their order (protobuf.dev, "Encoding"). Bytes are views, not copies.
 * @throws RangeError when the message is cut off or has a group, which neither of both writes
 */
export function* fields(message: Buffer): Generator<Field> {
  let at = 0
  // Exact up to 2^53: enough for lengths and revisions; nothing here is negative.
  const varint = (): number => {
    let value = 0
    for (let factor = 1; factor < 2 ** 70; factor *= 128) {
      const byte = message[at++]
      if (byte === undefined) throw new RangeError('message cut off')
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
    throw new RangeError('varint too long')
  }
  const take = (length: number): Buffer => {
    if (at + length > message.length) throw new RangeError('message cut off')
    at += length
    return message.subarray(at - length, at)
  }
  while (at < message.length) {
    const tag = varint()
    const number = tag >>> 3
    const wire = tag & 7
    if (wire === 0) yield { number, varint: varint() }
    else if (wire === 2) yield { number, bytes: take(varint()) }
    else if (wire === 1) yield { number, fixed: take(8) }
    else if (wire === 5) yield { number, fixed: take(4) }
    else throw new RangeError(`wire type ${wire}`)
  }
}

const nothing: Buffer = Buffer.alloc(0)

/** The first field of that number with bytes, or undefined. */
export function bytesField(message: Buffer, number: number): Buffer | undefined {
  for (const field of fields(message)) if (field.number === number && 'bytes' in field) return field.bytes
  return undefined
}

/** The same, down through nested messages. */
export function bytesAt(message: Buffer, ...path: number[]): Buffer | undefined {
  let found: Buffer | undefined = message
  for (const number of path) found = found && bytesField(found, number)
  return found
}

/** etcd's mvccpb.KeyValue (api/mvccpb/kv.proto), as far as it is needed: the value of one revision in the `key` bucket. */
export function keyValue(message: Buffer): { key: Buffer; value: Buffer } {
  const read = { key: nothing, value: nothing }
  for (const field of fields(message)) {
    if (field.number === 1 && 'bytes' in field) read.key = field.bytes
    else if (field.number === 5 && 'bytes' in field) read.value = field.bytes
  }
  return read
}
