#!/usr/bin/env node
import { phase } from '../lib/migration/phase.ts'
import { showStatus } from '../lib/migration/status.ts'

export default await phase('status', async (migration) => showStatus(migration))
