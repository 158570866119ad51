import type { Settings } from '../settings.ts'
import type { Flags } from './migration.ts'

/** What no scenario changes unasked. */
export type Consent = Settings['alsoChange'][number]

/**
 * Whether the operator has agreed to a change that is not made unasked: with the phase's flag of that name, or beforehand in ALSO_CHANGE, which is
 * how migrate:run, which takes no phase's flags, is told.
 */
export function isAgreed(
  { flags, settings }: { flags: Flags; settings: Pick<Settings, 'alsoChange'> },
  what: Consent,
): boolean {
  return flags[what] === true || settings.alsoChange.includes(what)
}
