import { apiFaults } from './api-faults.ts'
import { computerFaults } from './computer-faults.ts'
import { machineFaults } from './machine-faults.ts'
import type { Place } from './places.ts'
import type { Scene } from './scene.ts'
import { scriptFaults } from './script-faults.ts'

/** Something that goes wrong. */
export interface Fault {
  readonly name: string
  /** Whether there is something for it to strike at a place of the way forward, or in a rollback from there. */
  strikes(place: Place, inRollback: boolean): boolean
  strike(scene: Scene): Promise<void>
  /** What time, or somebody, puts right again; a fault without it is over when it has struck. */
  takeAway?(scene: Scene): Promise<void>
}

/** All of them. */
export const faults: readonly Fault[] = [...scriptFaults, ...machineFaults, ...apiFaults, ...computerFaults]
