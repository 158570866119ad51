import { appendFileSync, readFileSync, truncateSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { journalOf } from '../rehearse.ts'
import type { Fault } from './fault.ts'

const everywhere = () => true
/** Between two Ctrl-C of an operator who is in a hurry. */
const hurryMs = 300

/** What happens to the script itself, by its operator or by its computer. */
export const scriptFaults: readonly Fault[] = [
  {
    name: 'kill -9 of the script',
    strikes: everywhere,
    strike: async ({ command }) => command.kill(),
  },
  {
    name: 'Ctrl-C',
    strikes: everywhere,
    strike: async ({ command }) => command.ctrlC(),
  },
  {
    name: 'Ctrl-C twice',
    strikes: everywhere,
    strike: async ({ command }) => {
      command.ctrlC()
      await delay(hurryMs)
      command.ctrlC()
    },
  },
  {
    name: 'torn journal line',
    strikes: everywhere,
    strike: async ({ command, cluster, tore }) => {
      command.kill()
      await command.ended
      tearLastLine(journalOf(cluster))
      tore()
    },
  },
  {
    name: 'two operators',
    strikes: everywhere,
    strike: async ({ command, tool }) => {
      // Where the first has come to its end, another would begin a new evening.
      if (command.exitCode !== undefined) return
      const [script = '', ...flags] = command.line.replace(/^task migrate:/, '').split(/ (?:-- )?/)
      const second = tool.type(script, flags)
      const exitCode = await second.ended
      if (command.exitCode !== undefined) return
      if (exitCode !== 1 || !second.said().includes('Another run holds the lock')) {
        throw new Error(`a second operator was not refused (exit code ${exitCode}): ${second.said().slice(-500)}`)
      }
    },
  },
]

/**
 * What a crash in the middle of a write leaves: half a line. A change whose line was whole may have been begun, so there it is the next line,
 * which would have told of its end, that is torn.
 */
function tearLastLine(path: string): void {
  const text = readFileSync(path, 'utf8').trimEnd()
  const last = text.slice(text.lastIndexOf('\n') + 1)
  const half = Math.floor(last.length / 2)
  if (JSON.parse(last).type === 'change') appendFileSync(path, last.slice(0, half))
  else truncateSync(path, Buffer.byteLength(text) - (last.length - half))
}
