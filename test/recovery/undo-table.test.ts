import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { undoTable } from '../../lib/recovery/rollback/undo-table.ts'
import { projectFolder } from '../../lib/settings.ts'

const sources = ['lib', 'scripts'].flatMap((folder) =>
  readdirSync(join(projectFolder, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.startsWith('rehearsal/') && !file.startsWith('recovery/rollback/'))
    .map((file) => readFileSync(join(projectFolder, folder, file), 'utf8')),
)

const constantsIn = (text: string) =>
  new Map([...text.matchAll(/const (\w*Kind) = '([\w-]+)'/g)].map(([, name = '', kind = '']) => [name, kind]))

/** `export const scaleUndoKind = 'scale'`, from wherever it is imported */
const exported = new Map(sources.flatMap((text) => [...constantsIn(text)]).filter(([name]) => name !== 'undoKind'))

/** What stands behind `kind:` wherever undo data is made. */
const literal = sources.flatMap((text) => {
  const own = constantsIn(text)
  return [...text.matchAll(/\bundo(?:: \w+)?(?:: | = )\{\s*kind: ('[\w-]+'|\w+)/g)].map(([, kind = '']) =>
    kind.startsWith("'") ? kind.slice(1, -1) : (own.get(kind) ?? exported.get(kind) ?? `${kind}, which cannot be read`),
  )
})

/** What is handed over: `applyConfig(…, kind = 'machine-config')`, and the constants that are named for it. */
const handedOver = [
  ...sources.flatMap((text) => [...text.matchAll(/^ {2}kind = '([\w-]+)',$/gm)].map(([, kind = '']) => kind)),
  ...[...exported].flatMap(([name, kind]) => (name.endsWith('UndoKind') ? kind : [])),
]

const written = [...literal, ...handedOver]

test('every kind of undo data that is written anywhere can be undone', (t) => {
  t.deepEqual([...new Set(written)].filter((kind) => !(kind in undoTable)).sort(), [])
  t.true(written.length >= 15, 'the search finds what there is')
})

test('no undo data is written in a way that the search overlooks', (t) => {
  const made = sources.flatMap((text) =>
    [...text.matchAll(/\bundo(?:: | = )(?!\{\s*kind[:,] )[^\n]*/g)].map(([line]) => line),
  )
  const isNone =
    /^undo(: (undoData|UndoData|UndoFile|unknown|undo|done|z\.|\$|\(|'boolean')| = (undo|change\.undo|readUndoFile|changed\.parse))/
  t.deepEqual(
    made.filter((line) => !isNone.test(line)),
    [],
  )
})

test('the table has no kind that nobody writes', (t) => {
  t.deepEqual(
    Object.keys(undoTable).filter((kind) => !written.includes(kind)),
    [],
  )
})
