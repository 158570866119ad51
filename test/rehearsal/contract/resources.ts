import * as z from 'zod'
import type { Answer } from './target.ts'

const resource = z.object({
  metadata: z.object({ id: z.string(), type: z.string(), namespace: z.string() }).loose(),
  spec: z.unknown(),
})

/** A resource as `talosctl get --output json` prints it. */
export type Resource = z.infer<typeof resource>

/** Reads the JSON documents, one after the other without anything between, that `talosctl get --output json` prints. */
export function resourcesIn(answer: Answer): Resource[] {
  const documents = answer.stdout.split(/^(?=\{)/m).filter((text) => text.trim() !== '')
  return documents.map((text) => resource.parse(JSON.parse(text)))
}
