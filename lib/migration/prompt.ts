import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { Interrupted } from './errors.ts'

/** What only a person can answer; passed in, so that a test can be that person. */
export interface Prompt {
  /**
   * Asks for a secret. What is typed is not shown, and an answer is remembered for the rest of the process: a chain of phases asks once.
   * @param options again: the remembered answer was wrong
   * @returns '' when nothing was typed, undefined when there is no terminal
   * @throws Interrupted on Ctrl-C
   */
  secret(question: string, options?: { again?: boolean }): Promise<string | undefined>
  /**
   * Asks a question that is answered with yes or no.
   * @returns whether the answer was yes; undefined when there is no terminal
   * @throws Interrupted on Ctrl-C
   */
  confirm(question: string): Promise<boolean | undefined>
}

type Terminal = NodeJS.ReadStream & { isTTY?: boolean }

/** The terminal that the process was started in. */
export function terminalPrompt(
  input: Terminal = process.stdin,
  output: NodeJS.WritableStream = process.stderr,
): Prompt {
  const answers = new Map<string, string>()
  return {
    secret: async (question, { again = false } = {}) => {
      const known = answers.get(question)
      if (known !== undefined && !again) return known
      if (!input.isTTY) return undefined
      const answer = await askUnseen(question, input, output)
      if (answer !== '') answers.set(question, answer)
      return answer
    },
    confirm: async (question) => {
      if (!input.isTTY) return undefined
      const answer = await ask(`${question} [y/N] `, input, output)
      return /^\s*y(es)?\s*$/i.test(answer)
    },
  }
}

/** A line that is shown as it is typed. */
function ask(question: string, input: Terminal, output: NodeJS.WritableStream): Promise<string> {
  const lines = createInterface({ input, output, terminal: true, historySize: 0 })
  return new Promise<string>((resolve, reject) => {
    lines.once('SIGINT', () => reject(new Interrupted(question)))
    lines.once('close', () => resolve(''))
    lines.question(question, resolve)
  }).finally(() => lines.close())
}

/** A line whose characters are not shown, as with a password of sudo. */
function askUnseen(question: string, input: Terminal, output: NodeJS.WritableStream): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  // In this mode the terminal echoes nothing itself, and what readline would show goes nowhere.
  const lines = createInterface({ input, output: nowhere, terminal: true, historySize: 0 })
  // Only now, when nothing is echoed any more, may it be answered.
  output.write(`${question}: `)
  return new Promise((resolve, reject) => {
    lines.once('SIGINT', () => reject(new Interrupted(question)))
    lines.once('line', resolve)
    lines.once('close', () => resolve(''))
  }).finally(() => {
    lines.close()
    output.write('\n')
  }) as Promise<string>
}
