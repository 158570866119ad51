import { mkdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import writeFileAtomic from 'write-file-atomic'
import { lean } from './lean.ts'

const project = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
/** What runs in threads of its own is loaded by its file's name. */
const threads = [join(project, 'lib/rewrite/scan-worker.ts')]

/**
 * Bundles programs into a folder below the project's own, where they look for what belongs to it.
 * @param programs paths of their sources
 * @param plugins of esbuild, besides our own
 */
export async function bundle(programs: readonly string[], folder: string, plugins: Plugin[] = []): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: [...programs, ...threads].map((path) => ({ in: path, out: basename(path, '.ts') })),
    outdir: folder,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    sourcemap: true,
    logLevel: 'warning',
    write: false,
    plugins: [lean, ...plugins],
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
  mkdirSync(join(folder, 'chunks'), { recursive: true })
  const chunksFirst = outputFiles.toSorted(
    (a, b) => Number(b.path.includes('/chunks/')) - Number(a.path.includes('/chunks/')),
  )
  for (const { path, contents } of chunksFirst) await writeFileAtomic(path, Buffer.from(contents))
}
