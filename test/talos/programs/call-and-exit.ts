// Calls talosctl and exits, as a second Ctrl-C does, when the call has begun. Argument: the settings of Talosctl.open, as JSON.
import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { parseAddress } from '../../../lib/network/addresses.ts'
import { Talosctl } from '../../../lib/talos/talosctl.ts'

const settings: Parameters<typeof Talosctl.open>[0] & { talosctl: string } = JSON.parse(process.argv[2] ?? '')
const talosctl = await Talosctl.open(settings)
void talosctl.run({ address: parseAddress('192.0.2.1', 'test') }, ['version'])
while (!existsSync(`${settings.talosctl}.pid`)) await delay(20)
process.exit(130)
