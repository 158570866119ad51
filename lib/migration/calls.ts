import { channel } from 'node:diagnostics_channel'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { basename } from 'node:path'
import { typed } from './command-line.ts'

/** Whoever runs a command says so here, whoever shows them listens: nobody has to hand a console to every client. */
const commands = channel('talos-migrate:commands')

/** A command line, as it could be typed. What is secret is never among the arguments. */
export function announceCommand(binary: string, args: readonly string[]): void {
  if (commands.hasSubscribers) commands.publish([basename(binary), ...args].map(typed).join(' '))
}

/**
 * Hears of everything that leaves this process: each command, when it is run, and each request over HTTP, when it is answered or fails, be it of the
 * Kubernetes API or of AWS. Of a request neither headers nor bodies.
 * Source: https://nodejs.org/docs/latest-v20.x/api/diagnostics_channel.html#built-in-channels
 * @returns the function that ends listening
 */
export function listenToCalls(hear: (call: string) => void): () => void {
  const heard = {
    [commands.name]: (command: unknown) => hear(String(command)),
    'http.client.response.finish': (message: unknown) => {
      const { request, response } = message as { request: ClientRequest; response: IncomingMessage }
      hear(`${described(request)}: ${response.statusCode}`)
    },
    'http.client.request.error': (message: unknown) => {
      const { request, error } = message as { request: ClientRequest; error: NodeJS.ErrnoException }
      hear(`${described(request)}: ${error.code ?? error.message}`)
    },
  }
  for (const [name, listener] of Object.entries(heard)) channel(name).subscribe(listener)
  return () => {
    for (const [name, listener] of Object.entries(heard)) channel(name).unsubscribe(listener)
  }
}

function described(request: ClientRequest): string {
  const { method, protocol, host, path } = request
  return `${method} ${protocol}//${request.getHeader('host') ?? host}${path}`
}
