import { terminalPrompt } from '../../../lib/migration/prompt.ts'

/** Asks four questions, each to be answered with yes or no. */
const prompt = terminalPrompt()
const answers: (boolean | undefined)[] = []
for (const question of ['One?', 'Two?', 'Three?', 'Four?']) answers.push(await prompt.confirm(question))
console.log(`answers ${answers.join(' ')}`)
