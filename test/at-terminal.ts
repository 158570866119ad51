import { spawn } from 'node:child_process'

/** Plays the operator: answers each question when it is seen, at a terminal of the program's own. */
const operator = `
import json, os, pty, sys
answers = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
unread = b''
try:
    while True:
        some = os.read(terminal, 4096)
        sys.stdout.buffer.write(some)
        sys.stdout.flush()
        unread += some
        if answers and answers[0][0].encode().lower() in unread.lower():
            unread = b''
            os.write(terminal, answers.pop(0)[1].encode())
except OSError:
    pass
status = os.waitpid(pid, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
`

/**
 * Runs a program at a terminal (pty(7)) of its own.
 * @param answers pairs of what is waited for on the screen, and what is typed then
 */
export function atTerminal(
  command: readonly string[],
  answers: readonly (readonly [question: string, typed: string])[],
  environment: Record<string, string | undefined> = process.env,
): Promise<{ status: number | null; screen: string }> {
  const child = spawn('python3', ['-c', operator, JSON.stringify(answers), ...command], {
    env: environment,
    timeout: 300_000,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let screen = ''
  child.stdout.on('data', (chunk) => {
    screen += String(chunk)
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => resolve({ status, screen }))
  })
}
