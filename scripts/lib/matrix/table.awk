# Makes docs/matrix.md of the cells that scripts/matrix noted: program, kind, source, host, shared libraries and bytes, private
# libraries and bytes, result, known cause of a failure, what was said last.
BEGIN {
  FS = "\t"
  count = split("bookworm bullseye trixie", hosts, " ")
}
{
  row = $1 FS $3
  if (!(row in kind)) rows[++last] = row
  kind[row] = $2
  figures = sprintf("%s · %.1f MB / %s · %.1f MB", $5, $6 / 1e6, $7, $8 / 1e6)
  if ($5 == "-") figures = "no plan"
  if ($9 != "pass") {
    failures[++failed] = sprintf("%s, %s on %s: %s", $1, $3, $4, $10 == "" ? "not explained yet (" $11 ")" : $10)
    figures = figures " **fails** (" failed ")"
  }
  cell[row FS $4] = figures
  pair = $3 " on " $4
  if (!(pair in cells)) pairs[++pairCount] = pair
  cells[pair]++
  passes[pair] += $9 == "pass"
  shared[pair] += $6
  private[pair] += $8
  sharedCount[pair] += $5
  privateCount[pair] += $7
}
END {
  print "# Real programs of other systems"
  print ""
  print "Made by `scripts/matrix`, which packs each program from a tree of its suite, decides for each host (`appc plan`), and uses it"
  print "there for its real job as an ordinary user: each of scripts/lib/matrix/programs tells how. bookworm is the machine itself, the"
  print "other hosts are trees of a small server."
  print ""
  printf "%d of %d pass (%.1f %%).\n\n", NR - failed, NR, 100 * (NR - failed) / NR
  print "| | cells | pass | shared libraries | private libraries |"
  print "|---|---|---|---|---|"
  for (i = 1; i <= pairCount; i++) {
    pair = pairs[i]
    printf "| %s | %d | %d | %d, %.0f MB | %d, %.0f MB |\n", pair, cells[pair], passes[pair], sharedCount[pair], shared[pair] / 1e6,
      privateCount[pair], private[pair] / 1e6
  }
  print ""
  print "Each cell: shared libraries and their size / private ones and theirs. A number in brackets is a failure's, told below."
  print ""
  print "| program | from | on bookworm | on bullseye | on trixie |"
  print "|---|---|---|---|---|"
  for (i = 1; i <= last; i++) {
    split(rows[i], names, FS)
    line = sprintf("| %s (%s) | %s |", names[1], kind[rows[i]], names[2])
    for (h = 1; h <= count; h++) line = line " " cell[rows[i] FS hosts[h]] " |"
    print line
  }
  if (failed) print "\n## Failures\n"
  for (i = 1; i <= failed; i++) print i ". " failures[i]
}
