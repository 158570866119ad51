import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { applyRewrite, isBegun, undoRewrite } from '../../lib/rewrite/apply.ts'
import type { RepositoryPath } from '../../lib/rewrite/repository.ts'
import { sha256 } from '../../lib/rewrite/repository-files.ts'
import { writeSpareCopy } from '../../lib/rewrite/spare-copy.ts'
import type { UndoFile } from '../../lib/rewrite/undo-file.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const path = 'a.txt' as RepositoryPath
const longer = { was: 'at 192.168.1.54, then 192.168.1.54 é\r\n', from: '192.168.1.54', to: '192.168.1.160' }
const shorter = { was: 'at 192.168.1.160, then 192.168.1.160.', from: '192.168.1.160', to: '10.0.0.1' }

/** A rewrite of one file, and how that file looks after so many bytes of it were written. */
function rewriting({ was, from, to }: typeof longer) {
  const root = temporaryFolder('torn')
  const becomes = was.replaceAll(from, to)
  const places = [was.indexOf(from), was.lastIndexOf(from)]
  const edits = places.map((at) => ({ at, was: from, becomes: to }))
  const sum = (text: string) => sha256(Buffer.from(text, 'latin1'))
  const file = { path, before: sum(was), after: sum(becomes), edits }
  const undo: UndoFile = { root, spare: join(root, 'spare'), files: [file] }
  const at = places[0] ?? 0
  const tornAt = (written: number, [old, fresh] = [was, becomes]) => {
    writeSpareCopy(undo.spare, [{ path, at, tail: Buffer.from(old.slice(at), 'latin1') }])
    const end = at + written
    writeFileSync(join(root, path), fresh.slice(0, end) + old.slice(end), 'latin1')
  }
  const undoFile = join(root, 'undo.jsonl')
  writeFileSync(
    undoFile,
    [{ root, spare: undo.spare, files: 1 }, file].map((line) => `${JSON.stringify(line)}\n`).join(''),
  )
  const change = { id: 1, phase: '', step: '', what: '', undo: { kind: '', file: undoFile }, state: 'begun' } as const
  const text = () => readFileSync(join(root, path), 'latin1')
  return { undo, was, becomes, at, tornAt, text, takeBack: () => undoRewrite(change), root }
}

for (const [name, kind] of Object.entries({ longer, shorter })) {
  test(`killed in the middle of a file that becomes ${name}: going on and taking back give the same as ever`, async (t) => {
    const { undo, was, becomes, at, tornAt, text, takeBack } = rewriting(kind)
    for (let written = 0; written <= becomes.length - at; written += 3) {
      tornAt(written)
      t.true(isBegun(undo))
      await applyRewrite(undo)
      t.is(text(), becomes, `gone on after ${written}`)
      t.false(existsSync(undo.spare), 'what it held is nowhere else')
      tornAt(written)
      await takeBack()
      t.is(text(), was, `taken back after ${written}`)
    }
    // The taking back was killed.
    for (let written = 0; written <= was.length - at; written += 5) {
      tornAt(written, [becomes, was])
      await takeBack()
      t.is(text(), was, `taken back again after ${written}`)
      t.false(existsSync(undo.spare))
    }
  })
}

test('a torn file that somebody has changed since is left to him, and named', async (t) => {
  const { undo, tornAt, text, root } = rewriting(longer)
  tornAt(5)
  const changed = `${text()}more`
  writeFileSync(join(root, path), changed, 'latin1')
  const error = await t.throwsAsync(applyRewrite(undo))
  t.regex(error?.message ?? '', /Changed since the plan was made: a\.txt/)
  t.is(text(), changed)
  t.true(existsSync(undo.spare), 'what was torn is not lost')
})

test('a spare copy that was cut off counts for nothing: no file had been written over', async (t) => {
  const { undo, tornAt, text, becomes, root } = rewriting(longer)
  tornAt(0)
  const whole = readFileSync(undo.spare)
  for (const length of [0, 10, whole.length - 1]) {
    writeFileSync(undo.spare, whole.subarray(0, length))
    writeFileSync(join(root, path), longer.was, 'latin1')
    await applyRewrite(undo)
    t.is(text(), becomes)
  }
})
