import { homedir } from 'node:os'
import { resolve } from 'node:path'
import picomatch from 'picomatch'
import { type ParseEntry, parse } from 'shell-quote'
import { unknown } from './taskfile.ts'

/** What a shell command takes away. */
export type Removal =
  /** all that a pattern matches, with what is below it (picomatch, absolute) */
  | { kind: 'paths'; pattern: string; known: boolean }
  /** what lies below a folder and has one of these names, or any name */
  | { kind: 'below'; pattern: string; known: boolean; names: string[] }
  /** what Git does not keep, below a folder */
  | { kind: 'untracked'; folder: string; which: 'all' | 'ignored' | 'not ignored'; excluded: string[] }

const separators = new Set([';', '&&', '||', '|', '&', '(', ')', '|&'])
const prefixes = new Set(['then', 'do', 'else', '{', '!', 'sudo', 'exec', 'command', 'time', 'env', 'nohup'])

interface Word {
  text: string
  glob: boolean
}

/**
 * The removals in a shell script: `rm -r`, `find … -delete` and `git clean -f`. What the script is told by variables is `unknown`.
 * @param folder absolute, or `unknown`
 */
export function removalsIn(script: string, folder: string): Removal[] {
  let current = folder
  const found: Removal[] = []
  for (const line of script.replaceAll('\\\n', ' ').split('\n')) {
    const commands = splitCommands(parse(line, variable))
    for (const [index, words] of commands.entries()) {
      const [name, ...rest] = words
      if (name?.text === 'cd' && rest[0]) current = absolute(rest[0], current).pattern
      if (name?.text === 'rm') found.push(...removedByRm(rest, current))
      if (name?.text === 'git') found.push(...removedByGit(rest, current))
      if (name?.text === 'find') found.push(...removedByFind(rest, commands[index + 1] ?? [], current))
    }
  }
  return found
}

function variable(name: string): string {
  return name === 'HOME' ? homedir() : unknown
}

function splitCommands(entries: ParseEntry[]): Word[][] {
  const commands: Word[][] = [[]]
  for (const entry of entries) {
    if (typeof entry === 'string') commands.at(-1)?.push({ text: entry === '$' ? unknown : entry, glob: false })
    else if ('pattern' in entry) commands.at(-1)?.push({ text: entry.pattern, glob: true })
    else if ('op' in entry && separators.has(entry.op)) commands.push([])
  }
  return commands.map((words) => {
    const first = words.findIndex(({ text }) => !prefixes.has(text) && !/^\w+=/.test(text))
    return first === -1 ? [] : words.slice(first)
  })
}

function removedByRm(words: Word[], folder: string): Removal[] {
  const options = words.filter(({ text }) => text.startsWith('-')).map(({ text }) => text)
  if (!options.some((option) => option === '--recursive' || /^-[a-zA-Z]*[rR]/.test(option))) return []
  return words.filter(({ text }) => !text.startsWith('-')).map((word) => ({ kind: 'paths', ...absolute(word, folder) }))
}

function removedByFind(words: Word[], next: Word[], folder: string): Removal[] {
  const texts = words.map(({ text }) => text)
  const piped = next[0]?.text === 'xargs' && next.some(({ text }) => text === 'rm')
  if (!texts.includes('-delete') && !(texts.includes('-exec') && texts.includes('rm')) && !piped) return []
  if (texts.includes('-empty')) return []
  const first = words.findIndex(({ text }) => /^[-(!]/.test(text) && !['-H', '-L', '-P'].includes(text))
  const places = words.slice(0, first === -1 ? undefined : first).filter(({ text }) => !text.startsWith('-'))
  const names = words.filter((_, index) => ['-name', '-iname'].includes(texts[index - 1] ?? '')).map(({ text }) => text)
  const roots = places.length > 0 ? places : [{ text: '.', glob: false }]
  return roots.map((root) => ({ kind: 'below', ...absolute(root, folder), names }))
}

function removedByGit(words: Word[], folder: string): Removal[] {
  const texts = words.map(({ text }) => text)
  const verb = texts.indexOf('clean')
  if (verb === -1 || texts.slice(0, verb).some((text, index) => !text.startsWith('-') && texts[index - 1] !== '-C'))
    return []
  const elsewhere = texts[0] === '-C' ? words[1] : undefined
  const base = elsewhere ? absolute(elsewhere, folder).pattern : folder
  const options = texts.slice(verb + 1)
  const letters = options.filter((option) => /^-[a-zA-Z]/.test(option)).join('')
  const forced = letters.includes('f') || options.includes('--force')
  if (!forced || letters.includes('n') || options.includes('--dry-run')) return []
  const excluded = options.flatMap((option, index) => {
    if (option.startsWith('--exclude=')) return [option.slice('--exclude='.length)]
    return ['-e', '--exclude'].includes(options[index - 1] ?? '') ? [option] : []
  })
  const paths = words.slice(verb + 1).filter(({ text }) => !text.startsWith('-') && !excluded.includes(text))
  if (!letters.includes('d') && paths.length === 0) return []
  const which = letters.includes('X') ? 'ignored' : letters.includes('x') ? 'all' : 'not ignored'
  const folders = paths.length > 0 ? paths.map((path) => absolute(path, base).pattern) : [base]
  return folders.map((one) => ({ kind: 'untracked', folder: one, which, excluded }))
}

/** A word as a pattern from the root; it is not known when nothing of it is. */
function absolute({ text, glob }: Word, folder: string): { pattern: string; known: boolean } {
  const home = text === '~' || text.startsWith('~/') ? homedir() + text.slice(1) : text
  const literal = glob ? home : home.replace(/[\\*?()[\]!+@|]/g, '\\$&')
  const whole = literal.startsWith(unknown) || literal.startsWith('/') ? literal : `${folder}/${literal}`
  const anchored = whole.startsWith('/') ? resolve(whole) : whole
  const segments = anchored.split('/').map((part) => (part === unknown ? '**' : part.replaceAll(unknown, '*')))
  const pattern = segments[0] === '' ? segments.join('/') : `/**/${segments.join('/')}`.replaceAll('/**/**', '/**')
  return { pattern, known: segments.some((part) => part !== '' && !/^\*+$/.test(part)) }
}

/** Whether a pattern of `absolute` matches a path. */
export function matches(pattern: string, path: string): boolean {
  return picomatch.isMatch(path, pattern, { dot: pattern.includes('**') })
}
