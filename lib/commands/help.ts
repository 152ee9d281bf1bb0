/** What stands behind the lists of options. Examples are what is read first. */

export const HELP = `
A container is run by appc-run (see appc-run --help). Containers are kept in $APPC_HOME when it is set, else in
/var/lib/appc for root and in $XDG_DATA_HOME/appc for others, who find those of /var/lib/appc besides.

Exit status: 0 done, 1 a negative answer (not runnable, missing, corrupt), 2 usage, 125 appc's own failure.

Examples:
  appc pack --root /srv/trixie --name curl13 curl     make a container of a tree's curl
  appc plan curl13                                    see what of it this host can share
  appc-run curl13 --version                           run it
`

export const PACK_HELP = `
Some libraries and data are found at run time alone: plugins, modules, tables of character sets. With --record the command
is run once and what it opens is taken as well, with the packages that it is from. A command in a tree (--root) has the
tree as its root.

Examples:
  appc pack --root /srv/trixie --name curl13 curl
  appc pack --root /srv/trixie --name py python3.13 --record -- python3.13 -c 'import ssl'
`

export const SETTINGS_HELP = `
  list                     what is set, and how it stands to the host's own files
  show [PATH...]           what differs from the host's files
  set PATH FILE            programs of the container find FILE's content at PATH
  edit PATH                the same with $EDITOR, beginning with what is there
  import PATH...           fix the host's files as they are now
  unset PATH...            leave these to the host again
  export FILE, apply FILE  all settings as one document (- for a pipe), for another host

Each change makes a new generation (appc generations, appc rollback). A file that not everybody may read keeps its mode and
stays closed to others; it leaves this store only with --include-secrets.

Examples:
  appc settings web set /etc/web/web.conf ./web.conf
  appc settings web set --env LANG=C.UTF-8
  appc settings web export - | ssh other appc settings web apply -
`

export const DU_HELP = `
PRIVATE and FROM HOST are bytes of the container's files: those that are laid over this host, and those that the host's own
stand for. ALONE and SHARED are what the store keeps on the disk for all its generations: files that no other container has,
and those that others have as well. The last line is the whole store, where what several have counts once.
`

export const PLAN_HELP = `
A host elsewhere is known by an inventory file, which is made there: appc inventory --complete > FILE.json

Examples:
  appc plan curl13                                    on this host
  appc plan curl13 --host web7.json                   on another, and how much would travel there
  appc plan curl13 --diff / web7.json                 what differs between them
`
