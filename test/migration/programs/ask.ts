import { terminalPrompt } from '../../../lib/migration/prompt.ts'

/** Asks three times, two of them the same. */
const prompt = terminalPrompt()
const answers = [await prompt.secret('One'), await prompt.secret('One'), await prompt.secret('Two')]
console.log(`lengths ${answers.map((answer) => answer?.length ?? 'none').join(' ')}`)
