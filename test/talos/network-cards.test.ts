import { readFile } from 'node:fs/promises'
import test from 'ava'
import { stringify } from 'yaml'
import { OperatorError } from '../../lib/migration/errors.ts'
import { mainDocument } from '../../lib/talos/config-fields.ts'
import { parseMachineConfig } from '../../lib/talos/machine-config.ts'
import { type NetworkCard, verifyMac, verifyNetworkCards } from '../../lib/talos/network-cards.ts'

const text = await readFile(new URL('fixtures/controlplane.yaml', import.meta.url), 'utf8')
const main = mainDocument(text) as { machine: { network: object } }
const configWith = (interfaces: object[]) =>
  parseMachineConfig(
    stringify({ ...main, machine: { ...main.machine, network: { ...main.machine.network, interfaces } } }),
    'the config',
  )
const card: NetworkCard = {
  type: 'ether',
  kind: '',
  names: ['enp3s0', 'enx020000000002'],
  hardwareAddr: '02:00:00:00:00:02',
  driver: 'igc',
  busPath: '0000:03:00.0',
}
const fits = (...interfaces: object[]) => outcome(() => verifyNetworkCards(configWith(interfaces), [card]))
const outcome = (run: () => void): string => {
  try {
    run()
    return 'fits'
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    return error.what
  }
}

test('a card is found by any of its names and by its selector', (t) => {
  t.is(fits(), 'fits')
  t.is(fits({ interface: 'enp3s0', dhcp: true }), 'fits')
  t.is(fits({ interface: 'enx020000000002' }), 'fits')
  t.is(fits({ deviceSelector: { physical: true } }), 'fits')
  t.is(fits({ deviceSelector: { hardwareAddr: '02:00:00:*', driver: 'igc' } }), 'fits')
  t.is(fits({ interface: 'bond0', bond: { interfaces: ['enp3s0'] } }), 'fits', 'Talos makes it')
})

test('a card that the new machine does not have is named, before anything is applied', (t) => {
  t.regex(fits({ interface: 'eth0' }), /does not fit the new machine: it has no network card eth0/)
  t.regex(fits({ deviceSelector: { hardwareAddr: '02:00:00:00:00:01' } }), /no network card deviceSelector/)
  t.regex(fits({ deviceSelector: { driver: 'igc', busPath: '00:1f*' } }), /no network card/)
})

test('a pinned card decides which machine it is', (t) => {
  const machine = { uuid: null, macs: ['02:00:00:00:00:02'] }
  t.notThrows(() => verifyMac('192.0.2.10', machine, undefined))
  t.notThrows(() => verifyMac('192.0.2.10', machine, '02:00:00:00:00:02'))
  t.throws(() => verifyMac('192.0.2.10', machine, '02:00:00:00:00:09'), { message: /not the new one.*NEW_MACHINE_MAC/ })
})
