/**
 * What the bundled programs have in place of node:child_process, which commander would load at every start (and with it sockets
 * and datagrams) for commands that are executables of their own. appc has none; see scripts/build. What
 * does start a program (launch/record.ts) asks process.getBuiltinModule for it.
 */
export {}
