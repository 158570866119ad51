import type { Plugin } from 'esbuild'

const asked = Symbol('asked')

/**
 * Leaves out of the bundles what no script uses, and esbuild alone cannot know to be unused: the clients of every kind of the API in
 * @kubernetes/client-node, of which the kubeconfig is read and no more, and zod's error messages in all languages but English.
 * Every script begins by reading what it imports, so this is time before its first word.
 * Source: https://esbuild.github.io/plugins/#on-resolve-results (sideEffects), https://zod.dev/error-customization (locales)
 */
export const lean: Plugin = {
  name: 'lean',
  setup(build) {
    build.onResolve({ filter: /./ }, async ({ path, importer, resolveDir, kind, pluginData }) => {
      if (pluginData === asked) return undefined
      if (path !== '@kubernetes/client-node' && !importer.includes('/@kubernetes/client-node/')) return undefined
      const found = await build.resolve(path, { importer, resolveDir, kind, pluginData: asked })
      return { ...found, sideEffects: false }
    })
    build.onLoad({ filter: /\/zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js'",
      loader: 'js',
    }))
  },
}
