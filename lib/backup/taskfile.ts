import { existsSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { isNode, LineCounter, parseDocument } from 'yaml'
import * as z from 'zod'

/** Stands in a command for what cannot be known without running it. */
export const unknown = '\u{FFFC}'

/** One shell command of a task, its templates resolved as far as they are plain. */
export interface TaskCommand {
  /** the task's full name, e.g. `infra:clean` */
  task: string
  /** relative to the homelab */
  file: string
  line: number
  /** may hold `unknown` */
  text: string
  /** the folder in which it runs; may hold `unknown` */
  folder: string
}

type Vars = Readonly<Record<string, string>>

interface Task {
  commands: TaskCommand[]
  /** full names of the tasks that it calls */
  calls: string[]
}

// In this order. Source: https://taskfile.dev/docs/reference/schema, https://taskfile.dev/docs/guide#supported-file-names
const fileNames = ['Taskfile.yml', 'taskfile.yml', 'Taskfile.yaml', 'taskfile.yaml'].concat([
  'Taskfile.dist.yml',
  'taskfile.dist.yml',
  'Taskfile.dist.yaml',
  'taskfile.dist.yaml',
])
const deepest = 10

const anyMap = z.record(z.string(), z.unknown())
const maybe = <T>(schema: z.ZodType<T>) => schema.optional().catch(undefined)
const text = maybe(z.string())
const taskfile = z.object({ includes: maybe(anyMap), vars: maybe(anyMap), tasks: maybe(anyMap) })
const include = z.object({ taskfile: text, dir: text, vars: maybe(anyMap) })
const task = z.object({
  cmds: maybe(z.array(z.unknown())),
  cmd: z.unknown().optional(),
  deps: maybe(z.array(z.unknown())),
  dir: text,
  vars: maybe(anyMap),
})
const command = z.object({ cmd: text, task: text, defer: z.unknown().optional(), for: z.unknown().optional() })

/**
 * What a homelab's clean tasks run: those named clean, *:clean and clean:*, and those that they call. Includes are followed. A Taskfile that
 * cannot be read has no tasks: it is go-task's to complain.
 * @param homelab absolute
 */
export async function cleanCommands(homelab: string): Promise<TaskCommand[]> {
  const tasks = new Map<string, Task>()
  const file = fileIn(homelab)
  if (file)
    await load(file, { namespace: [], folder: homelab, vars: { ROOT_DIR: homelab }, root: homelab, depth: 0 }, tasks)
  const reached = new Set([...tasks.keys()].filter((name) => /^(.+:)?clean(:.+)?$/.test(name)))
  for (const name of reached) for (const called of tasks.get(name)?.calls ?? []) reached.add(called)
  return [...reached].flatMap((name) => tasks.get(name)?.commands ?? [])
}

interface Place {
  namespace: readonly string[]
  folder: string
  vars: Vars
  root: string
  depth: number
}

async function load(file: string, place: Place, tasks: Map<string, Task>): Promise<void> {
  const content = await readFile(file, 'utf8').catch(() => '')
  const lines = new LineCounter()
  const document = parseDocument(content, { lineCounter: lines })
  const parsed = taskfile.safeParse(document.errors.length > 0 ? undefined : document.toJS())
  if (!parsed.success) return
  const vars = resolveVars(parsed.data.vars, { ...place.vars, TASKFILE_DIR: dirname(file) })
  for (const [name, raw] of Object.entries(parsed.data.includes ?? {})) {
    const to = include.safeParse(typeof raw === 'string' ? { taskfile: raw } : raw).data
    await follow(name, to ?? {}, dirname(file), { ...place, vars }, tasks)
  }
  const lineOf = (path: (string | number)[]) => {
    const node = document.getIn(path, true)
    return lines.linePos((isNode(node) && node.range?.[0]) || 0).line
  }
  for (const [name, raw] of Object.entries(parsed.data.tasks ?? {})) {
    tasks.set([...place.namespace, name].join(':'), readTask(name, raw, { ...place, vars }, file, lineOf))
  }
}

async function follow(
  name: string,
  to: z.output<typeof include>,
  from: string,
  place: Place,
  tasks: Map<string, Task>,
): Promise<void> {
  const path = resolveTemplate(to.taskfile ?? '', place.vars)
  if (path === '' || path.includes(unknown) || path.includes('://') || place.depth >= deepest) return
  const target = resolve(from, path)
  const file = existsSync(target) && statSync(target).isDirectory() ? fileIn(target) : target
  if (!file) return
  const folder = to.dir === undefined ? place.folder : inFolder(from, resolveTemplate(to.dir, place.vars))
  const vars = resolveVars(to.vars, place.vars)
  await load(file, { ...place, namespace: [...place.namespace, name], folder, vars, depth: place.depth + 1 }, tasks)
}

function readTask(
  name: string,
  raw: unknown,
  place: Place,
  file: string,
  lineOf: (path: (string | number)[]) => number,
): Task {
  const whole = typeof raw === 'string' ? { cmd: raw } : Array.isArray(raw) ? { cmds: raw } : raw
  const { cmds, cmd, deps = [], dir, vars: own } = task.safeParse(whole).data ?? { cmd: undefined }
  const vars = resolveVars(own, place.vars)
  const folder = dir === undefined ? place.folder : inFolder(place.folder, resolveTemplate(dir, vars))
  const at = (index: number) => lineOf(Array.isArray(raw) ? ['tasks', name, index] : ['tasks', name, 'cmds', index])
  const steps = (cmds ?? (cmd === undefined ? [] : [cmd])).map((step, index) => ({ ...readStep(step), index }))
  const title = [...place.namespace, name].join(':')
  const commands = steps.flatMap(({ shell, index, items }) =>
    items.map((item) => ({
      task: title,
      file: relative(place.root, file),
      line: cmds ? at(index) : lineOf(['tasks', name]),
      text: resolveTemplate(shell, { ...vars, ITEM: item }),
      folder,
    })),
  )
  const called = [...deps.map((dep) => readStep(dep, true).call), ...steps.map(({ call }) => call)]
  const calls = called.filter((call) => call !== '')
  const absolute = (call: string) => (call.startsWith(':') ? call.slice(1) : [...place.namespace, call].join(':'))
  return { commands: commands.filter((one) => one.text !== ''), calls: calls.map(absolute) }
}

/** A dependency that is a plain text names a task; a command that is one is shell. */
function readStep(raw: unknown, names = false): { shell: string; call: string; items: string[] } {
  if (typeof raw === 'string')
    return names ? { shell: '', call: raw, items: [] } : { shell: raw, call: '', items: [unknown] }
  const { cmd = '', task: call = '', defer, for: loop } = command.safeParse(raw).data ?? {}
  const later =
    typeof defer === 'string'
      ? { cmd: defer, task: '' }
      : { cmd: '', task: '', ...(command.safeParse(defer).data ?? {}) }
  const items = Array.isArray(loop) ? loop.map(String) : [unknown]
  return { shell: cmd || (later.cmd ?? ''), call: call || (later.task ?? ''), items }
}

/** Plain values, with templates of those before them; what a shell is to tell is unknown. */
function resolveVars(raw: Record<string, unknown> | undefined, inherited: Vars): Vars {
  const vars: Record<string, string> = { ...inherited }
  for (const [name, value] of Object.entries(raw ?? {})) {
    const plain = ['string', 'number', 'boolean'].includes(typeof value)
    vars[name] = plain ? resolveTemplate(String(value), vars) : unknown
  }
  return vars
}

/** `{{.NAME}}`, and with a default in either of its two ways; any other template is unknown. */
function resolveTemplate(source: string, vars: Vars): string {
  return source.replace(/\{\{-?\s*([\s\S]*?)\s*-?\}\}/g, (_, expression: string) => {
    const plain = /^\.(\w+)$/.exec(expression)
    const piped = /^\.(\w+)\s*\|\s*default\s+["`']([^"`']*)["`']$/.exec(expression)
    const called = /^default\s+["`']([^"`']*)["`']\s+\.(\w+)$/.exec(expression)
    if (plain) return vars[plain[1] ?? ''] ?? unknown
    if (piped) return vars[piped[1] ?? ''] ?? piped[2] ?? unknown
    if (called) return vars[called[2] ?? ''] ?? called[1] ?? unknown
    return unknown
  })
}

function inFolder(folder: string, path: string): string {
  return path.startsWith(unknown) || folder.includes(unknown) ? unknown : resolve(folder, path)
}

function fileIn(folder: string): string | undefined {
  return fileNames.map((name) => join(folder, name)).find((file) => existsSync(file))
}
