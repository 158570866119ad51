/*
 * The contract suite: what the rest of this project relies on of a Talos machine, asked of it with the real talosctl.
 *
 *   npm run test:talos                                   against the practice machine of lib/rehearsal
 *   TALOS_TEST_ENV=env/NAME.env npm run test:talos       the very same tests against a real machine
 *
 * Against a real machine nothing is changed: no test applies a config, bootstraps, reboots, resets or shuts down. Tests for
 * a machine in maintenance mode run when it is in maintenance mode, the others when it is not; the rest shows as skipped.
 * The env file is one as `CLUSTER=NAME` uses. These of its variables are read:
 *
 *   TALOS_NODE             address of the machine; required
 *   TALOSCONFIG            path of a talosconfig with os:admin for its cluster; required
 *   CONTROLPLANE_CONFIG    path of a machine config that fits the machine; without it, tests that need one are skipped
 *   TALOSCTL               path of the talosctl to use; else the pinned one is looked for, as for a rehearsal
 *   HOMELAB_DIR            folder that relative paths start from; default: the current one
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { parse as parseDotenv } from 'dotenv'
import * as z from 'zod'
import { $ } from 'zx'
import { ensureBinaries } from '../../../lib/rehearsal/binaries.ts'
import { PracticeCluster } from '../../../lib/rehearsal/practice-cluster.ts'

/** What talosctl said, and how it ended. */
export interface Answer {
  exitCode: number | null
  stdout: string
  /** Both of its outputs. */
  text: string
}

/** The machine that is asked. */
export interface Target {
  readonly address: string
  readonly talosctlPath: string
  readonly talosconfig: string
  readonly controlplaneConfig: string | null
  /** A folder for what a test writes. */
  readonly folder: string
  /** With the talosconfig, for the machine. */
  talosctl(...args: string[]): Promise<Answer>
  /** Without a client certificate, as in maintenance mode. */
  insecure(...args: string[]): Promise<Answer>
  close(): Promise<void>
}

export interface PracticeTarget extends Target {
  readonly cluster: PracticeCluster
}

const realSettings = z.object({
  TALOS_NODE: z.string().min(1),
  TALOSCONFIG: z.string().min(1),
  CONTROLPLANE_CONFIG: z.string().min(1).optional(),
  TALOSCTL: z.string().min(1).optional(),
  HOMELAB_DIR: z.string().min(1).default('.'),
})

const silent = { info: () => undefined, warn: () => undefined, detail: () => undefined }
const deadline = '90s'
const envFile = process.env.TALOS_TEST_ENV

/** Whether the suite was pointed at a real machine, which is only asked. */
export const isReal = envFile !== undefined && envFile !== ''

/** Runs talosctl with these arguments and no others. Whatever it answers is returned; that it does not end is an error. */
export async function run(path: string, args: readonly string[], cwd?: string): Promise<Answer> {
  // It would end with 0 on a SIGTERM.
  const settings = {
    nothrow: true,
    quiet: true,
    timeout: deadline,
    timeoutSignal: 'SIGKILL',
    ...(cwd ? { cwd } : {}),
  } as const
  const { exitCode, signal, stdout, stderr } = await $(settings)`${path} ${args}`
  const text = stdout + stderr
  if (signal !== null) throw new Error(`talosctl ${args[0]} had not ended after ${deadline}: ${text}`)
  return { exitCode, stdout, text }
}

/** The real machine that TALOS_TEST_ENV describes. */
export async function openReal(): Promise<Target> {
  const settings = realSettings.parse(parseDotenv(readFileSync(resolve(envFile ?? ''), 'utf8')))
  const inHomelab = (path: string) => resolve(settings.HOMELAB_DIR, path)
  const talosctl = settings.TALOSCTL
    ? inHomelab(settings.TALOSCTL)
    : (await ensureBinaries({ progress: silent })).talosctl
  // Credentials and snapshots of a real cluster go to memory only.
  const folder = mkdtempSync('/dev/shm/talos-contract-')
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
  // AVA runs no hooks when all tests of a file are skipped.
  process.once('exit', remove)
  return targetOf({
    address: settings.TALOS_NODE,
    talosctlPath: talosctl,
    talosconfig: inHomelab(settings.TALOSCONFIG),
    controlplaneConfig: settings.CONTROLPLANE_CONFIG ? inHomelab(settings.CONTROLPLANE_CONFIG) : null,
    folder,
    close: async () => remove(),
  })
}

/** A practice machine that is still off, with the configs of a homelab for it. */
export async function openPractice(): Promise<PracticeTarget> {
  const cluster = await PracticeCluster.create({ binaries: await ensureBinaries({ progress: silent }), bootDelayMs: 0 })
  const target = targetOf({
    address: cluster.address,
    talosctlPath: cluster.binaries.talosctl,
    talosconfig: cluster.homelab.talosconfig,
    controlplaneConfig: cluster.homelab.controlplaneConfig,
    folder: cluster.folder,
    close: () => cluster.destroy(),
  })
  return { ...target, cluster }
}

/** Whether a machine answers without a client certificate, which it does in maintenance mode only. */
export async function isInMaintenance(target: Target): Promise<boolean> {
  return (await target.insecure('get', 'disks')).exitCode === 0
}

function targetOf(facts: Omit<Target, 'talosctl' | 'insecure'>): Target {
  const { address, talosctlPath, talosconfig } = facts
  const here = ['--nodes', address, '--endpoints', address]
  return {
    ...facts,
    talosctl: (...args) => run(talosctlPath, [...args, ...here, '--talosconfig', talosconfig]),
    insecure: (...args) => run(talosctlPath, [...args, '--insecure', '--nodes', address]),
  }
}
