import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'
import { projectFolder } from '../lib/settings.ts'

const docs = join(projectFolder, 'docs')
const pages = [join(projectFolder, 'README.md'), ...filesOf(docs, '.md')]

function filesOf(folder: string, ending: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name))
}

/** Where the links and pictures of a page lead, that stay in the repository. */
function targets(page: string): { file: string; heading: string | undefined }[] {
  const links = [...readFileSync(page, 'utf8').matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
  return links
    .filter((target) => !/^\w+:/.test(target))
    .map((target) => {
      const [path, heading] = target.split('#')
      return { file: path ? join(dirname(page), path) : page, heading }
    })
}

/** As GitHub makes them of headings. */
function anchors(page: string): string[] {
  const headings = [...readFileSync(page, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading)
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}

test('every link of the README and of docs leads to something that is there', (t) => {
  for (const page of pages) {
    for (const { file, heading } of targets(page)) {
      t.true(existsSync(file), `${page}: ${file}`)
      if (heading !== undefined) t.true(anchors(file).includes(heading), `${page}: ${file}#${heading}`)
    }
  }
})

test('every picture is shown on some page, and none is too big to be waited for', (t) => {
  const shown = new Set(pages.flatMap((page) => targets(page).map(({ file }) => file)))
  const pictures = filesOf(join(docs, 'screens'), '.png')
  t.true(pictures.length > 0)
  for (const picture of pictures) {
    t.true(shown.has(picture), `${picture} is nowhere shown`)
    t.true(statSync(picture).size < 150_000, `${picture}: ${statSync(picture).size} bytes`)
  }
})
