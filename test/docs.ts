// Runs what the README and docs/ show. In a `console` block a line that begins with `$ ` is a command, as typed into bash; what
// follows it is all that it prints, on both streams. `…` stands for anything within a line, and alone on a line for any lines.
// Everything else is compared as it is, but for what differs from one day or machine to another: see `steady` below.
// A `js` block that imports appc/testing is a whole program, which must run to its end without an error.
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const project = fileURLToPath(new URL('../..', import.meta.url))

interface Shown {
  readonly command: string
  readonly output: string
}

function shownIn(markdown: string): readonly Shown[] {
  const blocks = [...markdown.matchAll(/^```console\n(.*?)^```$/gms)].map(([, block = '']) => block)
  return blocks
    .flatMap(block => block.split(/^\$ /m).slice(1))
    .map(text => {
      const [, command = '', output = ''] = /^((?:.*\\\n)*.*)\n([\s\S]*)$/.exec(text) ?? []
      return { command, output }
    })
}

function programsIn(markdown: string): readonly string[] {
  const blocks = [...markdown.matchAll(/^```js\n(.*?)^```$/gms)].map(([, block = '']) => block)
  return blocks.filter(block => block.includes("from 'appc/testing'"))
}

/** Digests, versions of packages and of what is in them (of three numbers or more), sizes and times: each the same as any other. */
function steady(text: string): string {
  return text
    .replace(/\b[0-9a-f]{12,}\b/g, 'DIGEST')
    .replace(/(?<![\w.])\d[\w.+~:]*-\d[\w.+~-]*/g, 'VERSION')
    .replace(/(?<![\w.])\d+(\.\d+){2,}\w*/g, 'VERSION')
    .replace(/(?<![\w.])\d+(\.\d+)? (B|kB|MB|GB)\b/g, 'SIZE')
    .replace(/(?<![\w.])\d+(\.\d+)? (ms|s)\b/g, 'TIME')
}

function patternOf(output: string): RegExp {
  const lines = steady(output).split('\n').slice(0, -1)
  const escaped = (line: string) => line.split('…').map(part => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(
    `^${lines.map(line => (line === '…' ? '(?:.*\\n)*?' : `${escaped(line).join('.*')}\\n`)).join('')}$`,
  )
}

/** Where the commands are run: programs as the README has them, and the trees of the demo under the names of their suites. */
function makeWorkplace(): { readonly directory: string; readonly env: NodeJS.ProcessEnv } {
  // Not in TMPDIR: a tree that serves as the host sees /tmp and the homes of this machine, and nothing else.
  const directory = mkdtempSync('/tmp/appc-docs-')
  // What lies in a closed directory would be a secret setting.
  chmodSync(directory, 0o755)
  const trees = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'appc/demo')
  const packages = { trixie: ['ca-certificates', 'curl', 'g++', 'python3'], bullseye: ['curl', 'python3', 'sqlite3'] }
  for (const [suite, names] of Object.entries(packages)) {
    const tree = join(trees, [suite, ...names].join('-'))
    execFileSync(join(project, 'scripts/make-root'), [suite, tree, ...names], { stdio: 'inherit' })
    symlinkSync(tree, join(directory, suite))
  }
  symlinkSync(join(project, 'scripts'), join(directory, 'scripts'))
  mkdirSync(join(directory, 'node_modules'))
  symlinkSync(project, join(directory, 'node_modules/appc'))
  mkdirSync(join(directory, 'bin'))
  symlinkSync(join(project, 'dist/bin/appc/cli.js'), join(directory, 'bin/appc'))
  symlinkSync(join(project, 'build/Release/appc-run'), join(directory, 'bin/appc-run'))
  const env = {
    ...process.env,
    APPC_HOME: join(directory, 'store'),
    LC_ALL: 'C.UTF-8',
    PATH: `${directory}/bin:${process.env.PATH}`,
  }
  writeFileSync(join(directory, 'hello.c'), HELLO)
  writeFileSync(join(directory, 'greet.cc'), GREET)
  const compile = (...args: readonly string[]) =>
    execFileSync('appc-run', ['--root', 'trixie', ...args], { cwd: directory, env, stdio: 'inherit' })
  compile('/usr/bin/gcc', '-o', 'hello', 'hello.c')
  compile('/usr/bin/g++', '-std=c++23', '-o', 'greet', 'greet.cc')
  return { directory, env }
}

const HELLO = `#include <stdio.h>
#include <string.h>
int main(void) {
  char text[16];
  strlcpy(text, "hello", sizeof text);
  puts(text);
}
`
const GREET = `#include <print>
int main() { std::println("hello {}", 13); }
`

const documents = ['README.md', ...readdirSync(join(project, 'docs')).map(name => `docs/${name}`)]
const { directory, env } = makeWorkplace()
t.teardown(() => rmSync(directory, { recursive: true, force: true }))

for (const document of documents) {
  const markdown = readFileSync(join(project, document), 'utf8')
  const shown = shownIn(markdown)
  const programs = programsIn(markdown)
  if (shown.length + programs.length === 0) continue
  t.test(document, async t => {
    // Documents do not build on one another.
    const store = join(directory, `store-${document.replace('/', '-')}`)
    for (const { command, output } of shown) {
      const { stdout } = spawnSync('bash', ['-c', `exec 2>&1\n${command}`], {
        cwd: directory,
        env: { ...env, APPC_HOME: store },
        encoding: 'utf8',
      })
      t.match(steady(stdout), patternOf(output), command)
    }
    for (const [index, program] of programs.entries()) {
      writeFileSync(join(directory, 'program.mjs'), program)
      const { status, stderr } = spawnSync(process.execPath, ['program.mjs'], { cwd: directory, env, encoding: 'utf8' })
      t.equal(status, 0, `program ${index + 1}: ${stderr}`)
    }
  })
}
