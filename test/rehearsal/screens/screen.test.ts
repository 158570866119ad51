import test from 'ava'
import { Screen } from '../../../lib/rehearsal/screens/screen.ts'

const esc = '\u001b'

async function screenOf(bytes: string): Promise<Screen> {
  const screen = new Screen()
  await screen.write(bytes)
  return screen
}

test('colours, bold and dim are those that the program chose', async (t) => {
  const html = (await screenOf(`${esc}[32m✔${esc}[39m ${esc}[1mbold${esc}[22m ${esc}[2mdim${esc}[22m`)).html()
  t.regex(html, /<span style='color: #4e9a06;'>✔<\/span>/)
  t.regex(html, /<span style='font-weight: bold;'>bold<\/span>/)
  t.regex(html, /<span style='opacity: 0\.5;'>dim<\/span>/)
})

test('a line that was drawn anew shows what it shows last', async (t) => {
  const screen = await screenOf(`⠋ Drain: 3 pods\r${esc}[K⠙ Drain: 1 pod\r${esc}[K ✔ Drain\r\n`)
  t.deepEqual(screen.lines(), [' ✔ Drain'])
  t.false(screen.html().includes('3 pods'))
})

test('80 characters are a line, 24 lines are a screen, and what was scrolled away can be scrolled back to', async (t) => {
  const lines = Array.from({ length: 60 }, (_, at) => `line ${at}.\r\n`).join('')
  const screen = await screenOf(`${'x'.repeat(81)}\r\n${lines}`)
  t.deepEqual(screen.lines().slice(0, 2), ['x'.repeat(80), 'x'])
  t.is(screen.html().match(/<div><span>/g)?.length, 24)
  t.false(screen.html().includes('line 36.'))
  t.true(screen.html().includes('line 37.'))
  const back = screen.htmlFrom('line 5.')
  t.is(back.match(/<div><span>/g)?.length, 24)
  t.true(back.includes('line 5.') && back.includes('line 28.'))
  t.false(back.includes('line 4.') || back.includes('line 29.'))
  // There is nothing below the last line to scroll to.
  t.is(screen.htmlFrom('line 59.'), screen.html())
  t.throws(() => screen.htmlFrom('nowhere'), { message: /Nothing on the screen holds "nowhere"/ })
})

test('what a program writes is text, and no part of the page', async (t) => {
  const html = (await screenOf('<script>alert(1)</script> & more')).html()
  t.true(html.includes('&lt;script>') || html.includes('&lt;script&gt;'))
  t.false(html.includes('<script>'))
})
