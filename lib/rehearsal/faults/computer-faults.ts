import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Fault } from './fault.ts'
import type { Place } from './places.ts'
import type { Scene } from './scene.ts'

const hour = 3_600_000
/** How long an operator looks at a screen on which nothing moves after his Ctrl-C. */
const patienceMs = 3_000
/** Within this a step comes to the order that it is about. */
const ordersWithinMs = 90_000

/** What happens to the computer that the scripts run on. */
export const computerFaults: readonly Fault[] = [
  {
    name: 'run folder full',
    strikes: () => true,
    strike: async ({ cluster, tore }) => {
      fill(ballastOf(cluster.homelab.outputDir))
      // The line that finds no room is cut off in it.
      tore()
    },
    takeAway: async ({ cluster }) => rmSync(ballastOf(cluster.homelab.outputDir), { force: true }),
  },
  {
    name: 'backup folder full',
    strikes: ({ phase }, inRollback) => inRollback || phase === 'backup' || phase === 'shutdown',
    strike: async ({ cluster }) => fill(ballastOf(cluster.homelab.backupDir)),
    takeAway: async ({ cluster }) => rmSync(ballastOf(cluster.homelab.backupDir), { force: true }),
  },
  {
    name: 'clock jumps ahead',
    strikes: () => true,
    strike: ({ tool }) => tool.setClock(2 * hour),
    takeAway: ({ tool }) => tool.setClock(0),
  },
  {
    name: 'clock jumps back',
    strikes: () => true,
    strike: ({ tool }) => tool.setClock(-2 * hour),
    takeAway: ({ tool }) => tool.setClock(0),
  },
  {
    name: 'talosctl hangs',
    strikes: ({ phase }) => phase !== 'drain' && phase !== 'resume',
    strike: async ({ tool }) => tool.hangTalosctl(),
    takeAway: async (scene) => {
      await stopByHand(scene)
      scene.tool.letTalosctlGo()
    },
  },
  {
    name: 'answer of talosctl lost',
    strikes: (place, inRollback) => inRollback || isOrder(place),
    strike: async ({ tool }) => tool.loseAnswers(),
    takeAway: async (scene) => {
      const { command, tool } = scene
      const until = Date.now() + ordersWithinMs
      while (!tool.hasLostAnswer && command.exitCode === undefined && Date.now() < until) await delay(50)
      await stopByHand(scene)
      tool.letTalosctlGo()
    },
  },
]

const isOrder = ({ phase, step }: Place) =>
  /^(Shut the old|Give|Recover)/.test(step) && ['shutdown', 'provision', 'join'].includes(phase)

/** Ctrl-C, and once more when that changes nothing. */
async function stopByHand({ command }: Scene): Promise<void> {
  command.ctrlC()
  await Promise.race([command.ended, delay(patienceMs)])
  if (command.exitCode === undefined) command.ctrlC()
  await command.ended
}

const ballastOf = (folder: string) => join(folder, 'ballast')

/** A tmpfs gives its room out in pages. */
const pageBytes = 4096

/** Writes until there is no room left. */
function fill(path: string): void {
  const descriptor = openSync(path, 'w')
  try {
    for (const bytes of [1 << 20, pageBytes]) while (writes(descriptor, Buffer.alloc(bytes)));
  } finally {
    closeSync(descriptor)
  }
}

function writes(descriptor: number, bytes: Buffer): boolean {
  try {
    return writeSync(descriptor, bytes) === bytes.length
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false
    throw error
  }
}
