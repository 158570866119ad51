import { OperatorError } from '../../migration/errors.ts'
import { type Address, parseAddress } from '../../network/addresses.ts'
import type { Settings } from '../../settings.ts'

/** A machine that is to become a control plane of the cluster. */
export interface JoiningNode {
  readonly name: string
  readonly address: Address
}

/**
 * Whom the operator wants in: the one of NODE and IP, else all of JOIN_NODES, in that order.
 * @throws OperatorError (exit code 2) when nobody is named, only half of one is, or one is named twice
 */
export function nodesToJoin({
  joinNode: node,
  joinIp: ip,
  joinNodes,
}: Pick<Settings, 'joinNode' | 'joinIp' | 'joinNodes'>): JoiningNode[] {
  if (node !== undefined && ip !== undefined) return [{ name: node, address: parseAddress(ip, 'IP') }]
  const listed = joinNodes.map(({ name, address }) => ({ name, address: parseAddress(address, 'JOIN_NODES') }))
  const named = node === undefined ? listed : listed.filter(({ name }) => name === node)
  for (const field of ['name', 'address'] as const) refuseTwice(named.map((each) => each[field]))
  if (named.length > 0 && ip === undefined) return named
  throw new OperatorError(
    node === undefined ? 'Nobody is named who should join.' : `The address of ${node} is not known.`,
    {
      means: 'Nothing was changed.',
      next: 'task migrate:join NODE=talos01 IP=192.168.1.55   Or all of an evening: JOIN_NODES=talos01=192.168.1.55,talos02=192.168.1.56',
      exitCode: 2,
    },
  )
}

function refuseTwice(values: readonly string[]): void {
  const twice = values.find((value, place) => values.indexOf(value) !== place)
  if (twice === undefined) return
  throw new OperatorError(`${twice} stands in JOIN_NODES twice.`, {
    means: 'Two machines of one name or address would throw each other out of etcd. Nothing was changed.',
    next: 'Correct JOIN_NODES.',
    exitCode: 2,
  })
}
