#!/usr/bin/env node
import { chain } from '../lib/migration/chain.ts'
import { swapHardware } from '../lib/migration/swap-hardware.ts'
import backup from './backup.ts'
import drain from './drain.ts'
import join from './join.ts'
import preflight from './preflight.ts'
import provision from './provision.ts'
import repeer from './repeer.ts'
import resume from './resume.ts'
import rewriteIp from './rewrite-ip.ts'
import shutdown from './shutdown.ts'
import unpeer from './unpeer.ts'
import verify from './verify.ts'

const preparing = [preflight, backup, unpeer, drain, shutdown]
const moving = [provision, rewriteIp, resume, repeer, join, verify]

await chain('run', [...preparing, swapHardware, ...moving])
