import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { dirname } from 'node:path'
import { libraries, program, tree } from '../decide/scenario.js'
import type { Site } from './site.js'

/** A program that lasts; its argument says what it is like. It says "ready" when it is. */
const LASTING = `
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int held(void);
static void bye(int signal) { write(1, "bye\\n", 4); _exit(held()); }
int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "";
  if (!strcmp(how, "polite")) signal(SIGTERM, bye);
  if (!strcmp(how, "stubborn")) signal(SIGTERM, SIG_IGN);
  if (!strcmp(how, "apart") && unshare(CLONE_NEWUSER) != 0) return 1;
  if (!strcmp(how, "family")) { int ready[2]; char c; pipe(ready); if (fork() == 0) { setsid(); write(ready[1], "", 1); for (;;) pause(); } read(ready[0], &c, 1); }
  write(1, "ready\\n", 6);
  if (!*how) { char c; while (read(0, &c, 1) > 0); return held(); }
  for (;;) pause();
}`
const LIBRARY = program('int held(void) { return 0; }', {}, ['-shared', '-fPIC', '-Wl,-soname,libheld.so.1'])

/** A tree with the program "lasting" and a library that no host has. */
export function lastingTree(): string {
  const root = tree({
    '/usr/bin/lasting': program(LASTING, { 'libheld.so.1': LIBRARY }),
    [`${libraries}/libheld.so.1`]: LIBRARY,
  })
  // For people other than the one who runs the tests.
  chmodSync(dirname(root), 0o755)
  return root
}

/** Starts a container, and waits until its program says that it is ready. */
export async function started(site: Site, args: readonly string[]): Promise<ChildProcess & { readonly pid: number }> {
  const child = site.start(site.launcher, args)
  const [said] = await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), once(child, 'exit')])
  if (!String(said).startsWith('ready')) throw new Error(`appc-run ${args.join(' ')}: ${said} ${child.stderr?.read()}`)
  return child as ChildProcess & { readonly pid: number }
}

/** How a process ended, though that may have been before anybody asks. */
export async function endOf(child: ChildProcess): Promise<readonly [number | null, NodeJS.Signals | null]> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return [child.exitCode, child.signalCode]
}
