import type { Pause } from './chain.ts'

/** Between shutdown and provision the operator is the one who works; the run waits for the new machine by itself. */
export const swapHardware: Pause = {
  pauseBefore: 'provision',
  inShort: 'The old machine is off. Swap the hardware: the run goes on by itself when the new machine answers.',
  tell: ({ nodeAddress, newNodeAddress, machineTimeout }, console) => {
    const address = newNodeAddress ?? nodeAddress
    console.info('')
    console.info('The old machine is off. Now it is your turn:')
    console.info('  1. Unplug the old machine from the network, and leave it unplugged.')
    console.info(`  2. Connect the new machine so that it gets the address ${address}.`)
    console.info('  3. Start it from the Talos image, into maintenance mode.')
    console.info(
      `The run goes on by itself when ${address} answers (it waits for ${Math.round(machineTimeout / 60)} min).`,
    )
    console.info('Ctrl-C is safe here: the same command goes on later. The way back: task migrate:rollback')
  },
}
