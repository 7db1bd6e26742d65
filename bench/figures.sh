#!/usr/bin/env bash
# Run every command of BENCHMARKS.md and keep what each prints: what its tables are made of.
#
#   bench/figures.sh [-n] DIR      -n only shows the commands
#
# On a machine that does nothing else; it takes an hour and more. The servers that "go run ./bench/edge -peer" names must be up, and
# rocksdb and lmdb need their libraries. A command that fails is told at the end, and the others are run all the same.
set -uo pipefail
show=
[ "${1:-}" != -n ] || { show=yes; shift; }
[ $# -eq 1 ] || [ -n "$show" ] || { sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2; }
out=${1:-}
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)" || exit 1

# Commands stand in blocks of code, with a remark behind #, and in spans of code.
commands() {
  awk '/^```/ { block = !block; next } block' BENCHMARKS.md | sed 's/ *#.*//'
  awk '/^```/ { block = !block; next } !block' BENCHMARKS.md | grep -o '`[^`]*`' | tr -d '`'
}
each() { commands | grep -E '^(stator bench [a-z]+ .+|stator bench (run|engine)|go (test|run) .*)$' | awk '!seen[$0]++'; }

if [ -n "$show" ]; then
  each
  exit
fi
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd)
go build -o "$out/stator" ./cmd/stator || exit 1
{ date -u; git rev-parse HEAD; git status --short; uname -a; nproc; uptime; } > "$out/environment.txt"
export PATH="$out:$PATH"
n=0
failed=0
while IFS= read -r command <&3; do
  n=$((n + 1))
  file=$out/$(printf %02d $n).txt
  echo "$n: $command" | tee "$file"
  { uptime; bash -c "$command"; } >> "$file" 2>&1 || { failed=$((failed + 1)); echo "   failed: see $file"; }
done 3< <(each)
echo "$n commands, $failed failed; $out"
[ "$failed" -eq 0 ]
