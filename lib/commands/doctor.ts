import { type Check, examine } from '../launch/doctor.js'
import { visible } from './report.js'

/** `appc doctor`: 0 when containers can be launched, be it with something weaker in some place, 1 when they cannot. */
export async function runDoctor({ json }: { readonly json: boolean }): Promise<number> {
  const { launches, checks } = await examine(process.env)
  const told = json
    ? [JSON.stringify({ schema: 'appc.doctor/1', launches, checks })]
    : [...checks.flatMap(asLines), '', `containers ${launches ? 'can' : 'cannot'} be launched here`]
  process.stdout.write(told.map(line => `${line}\n`).join(''))
  return launches ? 0 : 1
}

function asLines({ name, verdict, text, hint }: Check): readonly string[] {
  const line = `${verdict.padEnd(7)}  ${name.padEnd(16)}  ${visible(text)}`
  return hint === null ? [line] : [line, `${' '.repeat(27)}hint: ${visible(hint)}`]
}
