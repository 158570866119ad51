#!/usr/bin/env node
import { chain } from '../lib/migration/chain.ts'
import { swapHardware } from '../lib/migration/swap-hardware.ts'
import backup from './backup.ts'
import drain from './drain.ts'
import join from './join.ts'
import preflight from './preflight.ts'
import provision from './provision.ts'
import resume from './resume.ts'
import shutdown from './shutdown.ts'
import verify from './verify.ts'

await chain('run', [preflight, backup, drain, shutdown, swapHardware, provision, resume, join, verify])
