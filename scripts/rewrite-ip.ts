#!/usr/bin/env node
import { phase } from '../lib/migration/phase.ts'
import { rewriteFlags } from '../lib/rewrite/flags.ts'
import { describeMappings, mappingsFrom } from '../lib/rewrite/mapping.ts'
import { printDefaultRules } from '../lib/rewrite/rules.ts'
import { rewriteRepository } from '../lib/rewrite/run.ts'
import { takeBackRewrites } from '../lib/rewrite/take-back.ts'

export default await phase(
  'rewrite-ip',
  async (migration) => {
    const { flags, settings } = migration
    if (flags['print-rules']) return printDefaultRules(migration)
    if (flags.undo) {
      await migration.step('Take the rewrite of the repository back', () => takeBackRewrites(migration))
      return
    }
    const mappings = mappingsFrom(flags, settings)
    // What becomes what is part of the title: another address is another step.
    await migration.step(`Rewrite the repository: ${describeMappings(mappings)}`, () =>
      rewriteRepository(migration, mappings),
    )
  },
  rewriteFlags,
)
