import Table from 'cli-table3'
import { createLogUpdate } from 'log-update'
import type { Frame, View } from '../lab/view.ts'
import { plain } from '../report/plain.ts'
import { laneLines, picture, standing } from './picture.ts'

const frameMs = 250
/** Where lines cannot be written over, a line this often says enough. */
const lineMs = 2000

/** Shows a run on stderr: as a table that is drawn over and over on a terminal, else as a line now and then. */
export function terminalView(stream: NodeJS.WriteStream): View {
  const say = (line: string): void => void stream.write(`${line}\n`)
  return { say, watch: look => (stream.isTTY ? watchTable(stream, look) : watchLines(say, look)) }
}

function watchLines(say: View['say'], look: () => Frame): () => void {
  const timer = setInterval(() => say(standing(look())), lineMs)
  return () => clearInterval(timer)
}

function watchTable(stream: NodeJS.WriteStream, look: () => Frame): () => void {
  const draw = createLogUpdate(stream)
  const frame = (): void => {
    const seen = look()
    draw([table(seen), ...laneLines(seen), standing(seen)].join('\n'))
  }
  const timer = setInterval(frame, frameMs)
  return () => {
    clearInterval(timer)
    frame()
    draw.done()
  }
}

function table(frame: Frame): string {
  const drawn = new Table({
    head: ['process', 'level', 'connections', 'jobs', 'holds', 'waits for'],
    style: plain,
  })
  for (const row of picture(frame)) {
    drawn.push([row.process, row.level, row.connections, row.jobs, row.holds, row.waits])
  }
  return drawn.toString()
}
