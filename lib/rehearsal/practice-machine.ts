import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import * as z from 'zod'
import { type Clock, systemClock } from '../migration/clock.ts'
import { OperatorError } from '../migration/errors.ts'
import type { Binaries } from './binaries.ts'
import { type MachineEvent, type MachineEventName, readTimeline } from './timeline.ts'

/** What is on the machine's type plate. */
export interface Hardware {
  name: string
  uuid: string
  mac: string
  address: string
  memoryMB: number
  cpus: number
  /** Milliseconds from power-on until anything answers. */
  bootDelayMs: number
  disks: { name: string; sizeBytes: number; model: string; serial: string }[]
}

export interface MachineSurroundings {
  /** Where the machine's disk, log and timeline are kept. */
  folder: string
  /** The simulated discovery service: one folder for all machines of a cluster. */
  neighbours: string
  binaries: Binaries
  clock?: Clock
}

const controlAnswer = z.object({ error: z.string().optional() }).loose()
const pollMs = 100

/** The processes that are on now: an exit of this one must not leave a machine running. */
const poweredOn = new Set<PracticeMachine>()
process.on('exit', () => {
  for (const machine of poweredOn) machine.pullPower()
})

/**
 * A simulated Talos machine with power button, power cord, network cable and disk. What answers on its address is the Go
 * program of lib/rehearsal/machine with real etcd and Kubernetes processes below it.
 */
export class PracticeMachine {
  readonly hardware: Hardware
  readonly disk: string
  readonly timelinePath: string
  readonly logPath: string
  readonly #file: string
  readonly #control: string
  readonly #binary: string
  readonly #clock: Clock
  #child: ChildProcess | null = null
  #ended: Promise<void> = Promise.resolve()

  constructor(hardware: Hardware, surroundings: MachineSurroundings) {
    const { folder, neighbours, binaries } = surroundings
    const at = (name: string) => join(folder, `${hardware.name}.${name}`)
    this.hardware = hardware
    this.disk = at('disk')
    this.timelinePath = at('timeline.jsonl')
    this.logPath = at('log')
    this.#file = at('json')
    this.#control = at('control')
    this.#binary = binaries['practice-machine']
    this.#clock = surroundings.clock ?? systemClock
    mkdirSync(this.disk, { recursive: true, mode: 0o700 })
    mkdirSync(neighbours, { recursive: true })
    const description = {
      ...hardware,
      disk: this.disk,
      timeline: this.timelinePath,
      neighbours,
      control: this.#control,
      binaries: machineBinaries(binaries),
    }
    writeFileSync(this.#file, JSON.stringify(description, null, 2), { mode: 0o600 })
  }

  /** Whether the machine is powered: its program, or any of the processes that it started, is still there. */
  get running(): boolean {
    const pid = this.#child?.pid
    return pid !== undefined && groupExists(pid)
  }

  /** The id of the machine's process, which is also that of its process group. */
  get pid(): number | undefined {
    return this.running ? this.#child?.pid : undefined
  }

  get timeline(): MachineEvent[] {
    return readTimeline(this.timelinePath)
  }

  /** Powers the machine on with its disk as it is. Returns at once: wait for an event of its timeline. */
  powerOn(): void {
    if (this.running) throw new Error(`practice machine ${this.hardware.name} is on already`)
    const log = openSync(this.logPath, 'a', 0o600)
    // The pipe to its standard input is never written to: that it closes tells the machine that nobody looks after it any more.
    const child = spawn(this.#binary, ['--machine', this.#file], { stdio: ['pipe', log, log], detached: true })
    closeSync(log)
    this.#child = child
    poweredOn.add(this)
    this.#ended = new Promise<void>((resolve) => {
      child.once('error', () => resolve())
      child.once('exit', () => resolve())
    }).then(() => {
      if (!this.running) poweredOn.delete(this)
    })
  }

  /** Presses the power button: a graceful shutdown, as ACPI would ask for. Resolves when the machine is off. */
  async pressPowerButton(timeoutSeconds = 60): Promise<void> {
    if (!this.running) return
    this.#child?.kill('SIGTERM')
    await this.waitUntilOff(timeoutSeconds)
  }

  /** Pulls the power cord: everything that the machine runs is gone at once. */
  pullPower(): void {
    const pid = this.#child?.pid
    if (pid === undefined) return
    try {
      process.kill(-pid, 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
    poweredOn.delete(this)
  }

  /** As pullPower, and waits until the kernel has taken the processes away. */
  async cutPower(): Promise<void> {
    this.pullPower()
    await this.waitUntilOff(20)
  }

  /** Takes the network cable out: the machine goes on running, and nobody reaches it. */
  async unplug(): Promise<void> {
    await this.#say('unplug')
  }

  async plug(): Promise<void> {
    await this.#say('plug')
  }

  /** Puts in a cable that holds up whatever it carries; plug() puts a good one in again. */
  async goBad(): Promise<void> {
    await this.#say('go-bad')
  }

  /** Wipes the disk of a machine that is off. */
  wipeDisk(): void {
    if (this.running) throw new Error(`practice machine ${this.hardware.name} is on: its disk is in use`)
    rmSync(this.disk, { recursive: true, force: true })
    mkdirSync(this.disk, { recursive: true, mode: 0o700 })
  }

  /** @throws OperatorError when the machine is still on after that many seconds */
  async waitUntilOff(timeoutSeconds: number): Promise<void> {
    const deadline = this.#clock.elapsed() + timeoutSeconds * 1000
    while (this.running) {
      if (this.#clock.elapsed() > deadline) {
        throw new OperatorError(`The practice machine ${this.hardware.name} is still on after ${timeoutSeconds} s.`, {
          next: `its log: ${this.logPath}`,
        })
      }
      await this.#clock.sleep(pollMs)
    }
    await this.#ended
    poweredOn.delete(this)
  }

  /**
   * Waits for an event of the machine's timeline, `since` milliseconds since the epoch.
   * @throws OperatorError with the end of the machine's log when it goes off before, or when the time is over
   */
  async waitFor(
    event: MachineEventName,
    options: { timeoutSeconds: number; since?: number; signal?: AbortSignal },
  ): Promise<MachineEvent> {
    const deadline = this.#clock.elapsed() + options.timeoutSeconds * 1000
    for (;;) {
      options.signal?.throwIfAborted()
      // Asked before the timeline is read, so that the last event of a machine that has just ended is not missed.
      const on = this.running
      const seen = this.timeline.findLast((one) => one.event === event && one.at >= (options.since ?? 0))
      if (seen) return seen
      if (!on) throw this.#disappointment(event, 'it is off')
      if (this.#clock.elapsed() > deadline) {
        throw this.#disappointment(event, `${options.timeoutSeconds} s are over`)
      }
      await this.#clock.sleep(pollMs, options.signal)
    }
  }

  #disappointment(event: string, why: string): OperatorError {
    const last = this.timeline.at(-1)?.event ?? 'nothing'
    return new OperatorError(`The practice machine ${this.hardware.name} did not come to "${event}": ${why}.`, {
      means: `The last that it told is "${last}". The end of its log:\n${indent(tail(this.logPath))}`,
      next: 'Type the same command with --keep to look at its folder afterwards.',
    })
  }

  #say(action: 'unplug' | 'plug' | 'go-bad'): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#control)
      let answer = ''
      socket.setEncoding('utf8')
      socket.once('connect', () => socket.write(`${JSON.stringify({ do: action })}\n`))
      socket.on('data', (text) => {
        answer += text
      })
      socket.once('error', reject)
      socket.once('close', () => {
        const { error } = controlAnswer.parse(JSON.parse(answer || '{"error":"no answer"}'))
        if (error === undefined) resolve()
        else reject(new Error(`${action} of ${this.hardware.name}: ${error}`))
      })
    })
  }
}

function machineBinaries(binaries: Binaries) {
  const { etcd, etcdutl, kwok } = binaries
  return {
    etcd,
    etcdutl,
    kwok,
    'kube-apiserver': binaries['kube-apiserver'],
    'kube-controller-manager': binaries['kube-controller-manager'],
    'kube-scheduler': binaries['kube-scheduler'],
  }
}

function groupExists(group: number): boolean {
  try {
    process.kill(-group, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function tail(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-15).join('\n')
  } catch {
    return '(it has written none)'
  }
}

const indent = (text: string) => text.replaceAll(/^/gm, '     ')
