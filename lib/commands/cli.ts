#!/usr/bin/env node
import { resolve } from 'node:path'
import { Command, CommanderError, Option } from 'commander'
import { AppcError } from '../errors.js'
import { DU_HELP, HELP, PACK_HELP, PLAN_HELP, SETTINGS_HELP } from './help.js'
import { reportError, watchOutput } from './report.js'
import { version } from './version.js'

/** Every command loads its own code when it is called: the parts of appc that it does not need cost it nothing. */
function program(args: readonly string[], finish: (status: number) => void): Command {
  const appc = new Command('appc')
    .description(
      "Application containers that share the host's libraries: only what is missing or conflicts is private.",
    )
    .version(version())
    .addHelpText('after', HELP)
    // What stands behind the words of a command that is executed is its own.
    .enablePositionalOptions()
    // Errors are thrown, and told as all others are; commands inherit both.
    .exitOverride()
    .configureOutput({ outputError: () => {} })

  appc
    .command('pack')
    .description('make a container from programs in a root tree')
    .argument('<entry...>', 'programs: a path in the tree, or a name to look up in its PATH')
    .requiredOption('--name <name>', 'what the container is called')
    .option('--root <dir>', 'the tree to take them from', absolute, '/')
    .option('--include <path...>', 'take this path of the tree too (repeatable)', collect, [])
    .option('--with-essential', "take packages that every system of the tree's kind has", false)
    .option('--with-documentation', 'take manuals and documentation', false)
    .option('--with-locales', 'take translations', false)
    .option(
      '--policy <rule...>',
      'fix a library on every host, as appc policy does on this one (repeatable)',
      collect,
      [],
    )
    .option(
      '--needs <word...>',
      'what its programs need when they are confined by appc-run --sandbox, in the words of --allow (repeatable)',
      collect,
      [],
    )
    .option('--update', 'make it a new generation where there is a container of that name', false)
    .option('--record', 'run the command after -- once, by strace, and take what it opens and executes', false)
    .option('--json', 'print JSON', false)
    .usage('[options] <entry...> [--record -- command...]')
    .addHelpText('after', PACK_HELP)
    .action(async (words, options) => finish((await import('./pack.js')).runPack(words, afterDashes(args), options)))
  appc
    .command('inventory')
    .description('take stock of the host: system, kernel, loader, libraries')
    .option('--root <dir>', 'take stock of the tree at DIR instead', absolute, '/')
    .option('--complete', 'print all that deciding asks of a host, as JSON, for plan --host elsewhere', false)
    .option('--json', 'print JSON', false)
    .action(async options => finish((await import('./inventory.js')).runInventory(options)))
  appc
    .command('plan')
    .description('what a container would share with the host and what it would keep private, and why')
    .argument('<name>', 'a container')
    .option('--root <dir>', 'take the tree at DIR as the host', absolute, '/')
    .addOption(hostOption())
    .addOption(
      new Option(
        '--diff <host...>',
        'what differs between two hosts, each an inventory file or the directory of a tree, and what would mend it',
      ).conflicts(['root', 'host']),
    )
    .option('--json', 'print JSON', false)
    .usage('[options] <name> [--diff <host> <host>]')
    .addHelpText('after', PLAN_HELP)
    .action(async (name, options) =>
      finish(
        options.diff === undefined
          ? (await import('./plan.js')).runPlan(name, options)
          : (await import('./plan-diff.js')).runPlanDiff(name, options.diff, options),
      ),
    )
  appc
    .command('explain')
    .description('why a library is shared or private, who asks for what of it, and what would change the answer')
    .argument('<name>', 'a container')
    .argument('[soname]', 'one of its libraries; without it, every one in a line')
    .option('--root <dir>', 'take the tree at DIR as the host', absolute, '/')
    .addOption(hostOption())
    .option('--json', 'print JSON', false)
    .action(async (name, soname, options) => finish((await import('./explain.js')).runExplain(name, soname, options)))
  appc
    .command('tree')
    .description('which libraries a program loads, who needs them and how each is found')
    .argument('<path...>', 'ELF files, and directories: of these all programs and libraries below')
    .option('--root <dir>', 'take the tree at DIR as the root', absolute, '/')
    .option('--ld-library-path <list>', 'search as with this LD_LIBRARY_PATH')
    .option('--cpu <level>', 'search as on this CPU: x86-64, x86-64-v2, -v3 or -v4 (default: the machine’s)')
    .option(
      '--verify',
      'run the real loader of the root on each file too (trust the root!), and tell where it differs',
      false,
    )
    .option('--json', 'print one JSON object a line for each file', false)
    .action(async (files, options) => finish(await (await import('./tree.js')).runTree(files, options)))
  const policy = appc
    .command('policy')
    .description('what this host fixes for libraries, in all containers: private, shared, a minimum, how strict')
    .option('--json', 'print JSON', false)
    .action(async options => finish((await import('./policy.js')).runPolicy(options)))
  policy
    .command('set')
    .description('add rules, or change them')
    .argument(
      '<rule...>',
      'SONAME=private, =shared, =identical, =abi, =not-older, or SONAME>=VERSION; * and ? match any',
    )
    .action(async rules => finish((await import('./policy.js')).runPolicySet(rules, policy.opts())))
  policy
    .command('unset')
    .description('forget what was said of these')
    .argument('<soname...>', 'as they were written')
    .action(async names => finish((await import('./policy.js')).runPolicyUnset(names, policy.opts())))
  appc
    .command('settings')
    .description('what is set up for a container alone: files over the host’s, environment')
    .argument('<name>', 'a container')
    .argument('[verb...]', 'list (the default), show, set, edit, unset, import, export or apply, and what it takes')
    .option('--env <name=value>', 'set this variable, or unset it by its name (repeatable)', collect, [])
    .option(
      '--public',
      'let everybody read a file whose own mode says so, though its directory is closed to others',
      false,
    )
    .option('--include-secrets', 'show or export those too that not everybody may read', false)
    .option('--json', 'print JSON', false)
    .usage('[options] <name> [verb...]')
    .addHelpText('after', SETTINGS_HELP)
    .action(async (name, words, options) =>
      finish(await (await import('./settings.js')).runSettings(name, words, options)),
    )
  appc
    .command('state')
    .description('directories that a container’s programs may write, kept for it on this host')
    .argument('<name>', 'a container')
    .argument('[verb...]', 'list (the default), add PATH, drop PATH, export FILE or import FILE')
    .option('--json', 'print JSON', false)
    .usage('[options] <name> [verb...]')
    .action(async (name, words, options) => finish((await import('./state.js')).runState(name, words, options)))
  appc
    .command('generations')
    .description('the states that a container has had, the newest of which is run')
    .argument('<name>', 'a container')
    .option('--json', 'print one JSON object a line for each', false)
    .action(async (name, options) => finish((await import('./generations.js')).runGenerations(name, options)))
  appc
    .command('rollback')
    .description('return to an earlier generation, by making a new one that is the same')
    .argument('<name>', 'a container')
    .argument('[generation]', 'its number (default: the one before)')
    .option('--json', 'print JSON', false)
    .action(async (name, to, options) => finish((await import('./rollback.js')).runRollback(name, to, options)))
  appc
    .command('diff')
    .description('what differs between two generations: packages, files, settings')
    .argument('<name>', 'a container')
    .argument('<before>', 'the number of a generation')
    .argument('<after>', 'the number of another')
    .option('--json', 'print JSON', false)
    .action(async (name, before, after, options) =>
      finish((await import('./diff.js')).runDiff(name, before, after, options)),
    )
  appc
    .command('copy')
    .description('make another container of what one has, to be set up differently')
    .argument('<name>', 'a container')
    .argument('<new>', 'what the other is called')
    .option('--json', 'print JSON', false)
    .action(async (name, other, options) => finish((await import('./copy.js')).runCopy(name, other, options)))
  appc
    .command('gc')
    .description('collect what no container, plan or running program needs')
    .option('--keep <n>', 'forget all but the newest N generations of each container (default: none)')
    .option('--grace <hours>', 'how long what is taken out can be taken back', '24')
    .option('--dry-run', 'tell what would be collected, and leave it', false)
    .option('--json', 'print JSON', false)
    .action(async options => finish((await import('./gc.js')).runGc(options)))
  appc
    .command('du')
    .description('what containers cost: private here, from the host, in the store alone or shared with others')
    .argument('[name...]', 'containers (default: all)')
    .option('--json', 'print JSON', false)
    .addHelpText('after', DU_HELP)
    .action(async (names, options) => finish((await import('./du.js')).runDu(names, options)))
  appc
    .command('ps')
    .description('the containers that run, and whether the host has moved on since')
    .option('--json', 'print one JSON object a line for each', false)
    .action(async options => finish((await import('./ps.js')).runPs(options)))
  appc
    .command('exec')
    .description('run a command in a container that runs, in the place of this process')
    .argument('<name>', 'a container, or NAME:PID where several of it run (appc ps)')
    .argument('<command...>', 'a program inside, and its arguments')
    .option('--json', 'print errors as JSON', false)
    .passThroughOptions()
    .usage('[options] <name> <command...>')
    .action(async (name, words, options) => finish((await import('./exec.js')).runExec(name, words, options)))
  appc
    .command('stop')
    .description('end all that run of a container')
    .argument('<name>', 'a container, or NAME:PID')
    .option('--timeout <seconds>', 'how long it may take; then it is killed (default: 10)')
    .option('--json', 'print one JSON object a line for each', false)
    .action(async (name, options) => finish(await (await import('./stop.js')).runStop(name, options)))
  appc
    .command('refresh')
    .description('have what runs of a container see the host as it is now, after an upgrade')
    .argument('<name>', 'a container, or NAME:PID')
    .option('--json', 'print one JSON object a line for each', false)
    .action(async (name, options) => finish((await import('./refresh.js')).runRefresh(name, options)))
  appc
    .command('doctor')
    .description('whether containers can be launched here: what works, what does not, and what helps')
    .option('--json', 'print JSON', false)
    .action(async options => finish(await (await import('./doctor.js')).runDoctor(options)))
  appc
    .command('list')
    .description('the containers that there are, each with the store that it is in')
    .option('--json', 'print one JSON object a line for each container', false)
    .action(async options => finish((await import('./list.js')).runList(options)))
  appc
    .command('remove')
    .description('remove containers and what only they needed; refused while programs of theirs run')
    .argument('<name...>', 'containers')
    .option('--json', 'print JSON', false)
    .action(async (names, options) => finish((await import('./remove.js')).runRemove(names, options)))
  appc
    .command('verify')
    .description('whether all that is kept is as it should be: objects, refs, manifests, secrets, views, plans')
    .argument('[name]', 'only what this container needs')
    .option('--full', 'read every object from the disk, not only those that changed since they were found sound', false)
    .option('--restart', 'begin a full check anew that was interrupted, instead of going on with it', false)
    .option('--max-rate <bytes>', 'read at most so many bytes a second: 800k, 50M, 1G')
    .option('--json', 'print one JSON object a line for each thing that is wrong, and one for the whole', false)
    .action(async (name, options) => finish(await (await import('./verify.js')).runVerify(name, options)))
  appc
    .command('repair')
    .description('mend what verify finds, with right bytes from this machine or from --from; the damaged is kept aside')
    .argument('[name]', 'only what this container needs')
    .option('--from <dir>', 'a tree that has right files, such as the one it was packed from (repeatable)', collect, [])
    .option('--full', 'read every object from the disk to find what is damaged', false)
    .option('--dry-run', 'tell what could be mended, and change nothing', false)
    .option('--max-rate <bytes>', 'read at most so many bytes a second to find it: 800k, 50M, 1G')
    .option('--json', 'print one JSON object a line for each thing, and one for the whole', false)
    .action(async (name, options) =>
      finish(await (await import('./repair.js')).runRepair(name, { ...options, from: options.from.map(absolute) })),
    )
  appc
    .command('watch')
    .description('notice damage to what is kept when it is done, and mend it at once, until it is ended')
    .option('--from <dir>', 'a tree that has right files, as for repair (repeatable)', collect, [])
    .option('--json', 'print one JSON object a line for each thing', false)
    .action(async options =>
      finish(await (await import('./watch.js')).runWatch({ ...options, from: options.from.map(absolute) })),
    )
  return appc
}

function hostOption(): Option {
  return new Option('--host <file>', 'the host that this inventory file describes').conflicts('root')
}

/** What stands behind `--`. Commander gives it with the other words, as it had been among them. */
function afterDashes(args: readonly string[]): readonly string[] {
  const dashes = args.indexOf('--')
  return dashes < 0 ? [] : args.slice(dashes + 1)
}

/** Without those of a command that is started. */
function ownWords(args: readonly string[]): readonly string[] {
  const name =
    args[0] === 'exec' ? args.findIndex((word, index) => index > 0 && !word.startsWith('-')) : args.indexOf('--')
  return name < 0 ? args : args.slice(0, name)
}

/** Commander's parsers are given the previous value too, which resolve would take for a path. */
function absolute(path: string): string {
  return resolve(path)
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value]
}

async function main(args: readonly string[]): Promise<void> {
  const json = ownWords(args).includes('--json')
  watchOutput('appc', json)
  try {
    await program(args, status => {
      process.exitCode = status
    }).parseAsync(args, { from: 'user' })
  } catch (error) {
    // Help and version were asked for and have been printed.
    if (error instanceof CommanderError && error.exitCode === 0) return
    process.exitCode = reportError('appc', error instanceof CommanderError ? usage(error) : error, json)
  }
}

/** Commander's `error: unknown command 'plna'`, a newline and `(Did you mean plan?)`; no command at all has printed the help. */
function usage({ code, message }: CommanderError): AppcError {
  if (code === 'commander.help') return new AppcError('USAGE', 'no command was given')
  // What was typed stands in it as it is, newlines too; only what follows at the end is commander's.
  const [, said, suggestion] = /^(?:error: )?(.*?)(?:\n\(D(id you mean [^\n]*)\))?$/s.exec(message) ?? []
  const hint = suggestion === undefined ? 'appc --help and appc COMMAND --help show how it is used' : `d${suggestion}`
  return new AppcError('USAGE', said ?? message, { hint })
}

void main(process.argv.slice(2))
