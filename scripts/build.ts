#!/usr/bin/env node
// Bundles every script into dist/, so that a task starts in a fraction of the time that the sources take.
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import writeFileAtomic from 'write-file-atomic'
import { lean } from './build/lean.ts'

const scripts = dirname(fileURLToPath(import.meta.url))
const dist = join(dirname(scripts), 'dist')
// What builds is not itself built.
const notBundled = new Set(['build.ts', 'binaries.ts'])
const programs = readdirSync(scripts)
  .filter((name) => name.endsWith('.ts') && !notBundled.has(name))
  .map((name) => join(scripts, name))
/** What runs in threads of its own is loaded by its file's name. */
const threads = [join(dirname(scripts), 'lib/rewrite/scan-worker.ts')]

/** `{ z }` is all of zod in one object, with the messages of fifty languages; `* as z` is what is used of it, which starts faster. */
const partsOfZod: Plugin = {
  name: 'parts-of-zod',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/(lib|scripts)\/.*\.ts$/ }, ({ path }) => ({
      loader: 'ts',
      contents: readFileSync(path, 'utf8').replace("import { z } from 'zod'", "import * as z from 'zod'"),
    })),
}

const { outputFiles } = await build({
  entryPoints: [...programs, ...threads].map((path) => ({ in: path, out: basename(path, '.ts') })),
  outdir: dist,
  bundle: true,
  plugins: [partsOfZod],
  platform: 'node',
  target: 'node20',
  format: 'esm',
  splitting: true,
  plugins: [lean],
  chunkNames: 'chunks/[name]-[hash]',
  sourcemap: true,
  logLevel: 'warning',
  write: false,
  // CommonJS packages inside of an ES module bundle ask for what CommonJS gives them. esbuild does not see these names, and so
  // cannot keep them from meeting one of the sources'.
  banner: {
    js: [
      "import { createRequire as bannerRequire } from 'node:module'",
      "import { dirname as bannerFolder } from 'node:path'",
      "import { fileURLToPath as bannerPath } from 'node:url'",
      'const require = bannerRequire(import.meta.url), __filename = bannerPath(import.meta.url), __dirname = bannerFolder(__filename)',
    ].join('\n'),
  },
})

// Two tasks may build at once: every file appears whole, and a script only after the chunks that it imports.
mkdirSync(join(dist, 'chunks'), { recursive: true })
const chunksFirst = outputFiles.toSorted(
  (a, b) => Number(b.path.includes('/chunks/')) - Number(a.path.includes('/chunks/')),
)
for (const { path, contents } of chunksFirst) await writeFileAtomic(path, Buffer.from(contents))
await writeFileAtomic(join(dist, '.built'), '')
