import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { type Camera, openCamera } from '../../../lib/rehearsal/screens/camera.ts'
import { Screen } from '../../../lib/rehearsal/screens/screen.ts'
import { temporaryFolder } from '../../temporary-folder.ts'

let camera: Camera
test.before(async () => {
  camera = await openCamera()
})
test.after.always(() => camera?.close())

/** Width and height are in the first chunk. Source: https://www.w3.org/TR/png-3/#11IHDR */
function sizeOf(png: string): [number, number] {
  const bytes = readFileSync(png)
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)]
}

test('every screen is a picture of one size, whatever is on it, and a small file', async (t) => {
  const folder = temporaryFolder('screens')
  const full = new Screen()
  await full.write(
    Array.from({ length: 30 }, (_, at) => `\u001b[3${at % 8}m${'✔ text '.repeat(12)}\u001b[39m\r\n`).join(''),
  )
  const [empty, filled] = [join(folder, 'empty.png'), join(folder, 'full.png')]
  await camera.ofText(new Screen().html(), empty)
  await camera.ofText(full.html(), filled)
  t.deepEqual(sizeOf(empty), sizeOf(filled))
  const [width, height] = sizeOf(filled)
  // Characters of this font are 1.67 times as high as wide, with the space between the lines 2.1 times.
  t.true(width > 700 && width < 900 && height > 400 && height < 600, `${width}×${height}`)
  t.true(statSync(filled).size < 150_000)
  t.true(statSync(filled).size > 3 * statSync(empty).size)
})
