#!/usr/bin/env bash
# Run every command of BENCHMARKS.md and keep what each prints: what its tables are made of.
#
#   bench/figures.sh [-n] [-s] [-t MINUTES] [-o SECONDS] DIR
#
#     -n  only show the commands
#     -s  in short form: small data, one round. Shows that all of them run; its numbers are none to publish
#     -t  begin no command after so many minutes; the same call again goes on with what is left
#     -o  what one command may take at most, default 3600, with -s 240
#
# On a machine that does nothing else; in full it takes an hour and more. The servers that "go run ./bench/edge -peer" names must be up, and
# rocksdb and lmdb need their libraries: commands for which something is missing are told as left out. A command that fails is told at the end, and the
# others are run all the same. Those that DIR shows as done are not run again, if the commit is the same.
set -uo pipefail
usage() { sed -n '2,15s/^# \{0,1\}//p' "$0"; exit 2; }
show= short= minutes=0 each_limit=
while getopts nst:o: flag; do
  case $flag in
    n) show=yes ;; s) short=yes ;; t) minutes=$OPTARG ;; o) each_limit=$OPTARG ;; *) usage ;;
  esac
done
shift $((OPTIND - 1))
[ $# -eq 1 ] || [ -n "$show" ] || usage
out=${1:-}
each_limit=${each_limit:-$([ -n "$short" ] && echo 240 || echo 3600)}
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)" || exit 1

# Commands stand in blocks of code, with a remark behind #, and in spans of code.
commands() {
  awk '/^```/ { block = !block; next } block' BENCHMARKS.md | sed 's/ *#.*//'
  awk '/^```/ { block = !block; next } !block' BENCHMARKS.md | grep -o '`[^`]*`' | tr -d '`'
}
each() { commands | grep -E '^(stator bench [a-z]+ .+|stator bench (run|engine)|go (test|run) .*)$' | awk '!seen[$0]++'; }

# shortened is a command that does the same with less. Later flags win over earlier ones.
shortened() {
  case $1 in
    *"bench run failover"* | *"bench run replication"*) echo "$1 --scale 10 --rounds 1 --no-probe" ;;
    "stator bench run"*) echo "$1 --scale 20 --rounds 2 --no-probe" ;;
    "stator bench engine"*) echo "$1 --entries 20000 --reads 20000 --records 5000 --commits 50 --rounds 1 --limit 500ms" ;;
    "go run ./bench/edge"*) echo "$1 -rounds 1 -for 100ms -c 4 -restart-mb 1" ;;
    "go run ./bench/reproduce"*) echo "$1 -runs 2 -rounds 2 -scale 50" ;;
    "go run ./bench/agree"*) echo "$1 -rounds 6 -for 200ms" ;;
    "go run ./bench/rates"*) echo "$1 -slower 30 -trials 1 -rounds 2 -for 2m" ;;
    "go test"*"-bench . "*) echo "${1/.\/lsm\/... /} -benchtime 1x" ;; # what stands in lsm fills large databases
    "go test"*-bench*) echo "$1 -benchtime 1x" ;;
    *) echo "$1" ;;
  esac
}

# missing says what a command needs and does not find; nothing if all is there.
missing() {
  case $1 in *rocksdb*) [ -e /usr/include/rocksdb/c.h ] || [ -n "${CGO_CFLAGS:-}" ] || { echo "librocksdb-dev"; return; } ;; esac
  case $1 in *lmdb*) [ -e /usr/include/lmdb.h ] || [ -n "${CGO_CFLAGS:-}" ] || { echo "liblmdb-dev"; return; } ;; esac
  grep -o 'http://[0-9.]*:[0-9]*' <<< "$1" | while IFS= read -r url; do
    (exec 3<> "/dev/tcp/$(sed 's|http://||; s|:|/|' <<< "$url")") 2> /dev/null || { echo "a server at $url"; break; }
  done
}

if [ -n "$show" ]; then
  each | while IFS= read -r command; do if [ -n "$short" ]; then shortened "$command"; else echo "$command"; fi; done
  exit
fi
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd)
commit="$(git rev-parse HEAD)${short:+ in short form}"
if [ "$(head -n 1 "$out/commit.txt" 2> /dev/null)" != "$commit" ]; then
  rm -f "$out"/[0-9][0-9].txt
  go build -o "$out/stator" ./cmd/stator || exit 1
  { date -u; echo "$commit"; git status --short; uname -a; nproc; uptime; } > "$out/environment.txt"
  echo "$commit" > "$out/commit.txt"
fi
export PATH="$out:$PATH"
begin=$SECONDS n=0 done=0 failed=0 left=0 without=0
while IFS= read -r command <&3; do
  n=$((n + 1))
  file=$out/$(printf %02d $n).txt
  [ -z "$short" ] || command=$(shortened "$command")
  if [ "$(tail -n 1 "$file" 2> /dev/null)" = "ended well" ]; then
    done=$((done + 1))
    continue
  fi
  need=$(missing "$command")
  if [ -n "$need" ]; then
    without=$((without + 1))
    echo "$n: left out, there is no $need: $command"
    continue
  fi
  if [ "$minutes" -gt 0 ] && [ $((SECONDS - begin)) -ge $((minutes * 60)) ]; then
    left=$((left + 1))
    echo "$n: no time was left: $command"
    continue
  fi
  echo "$n: $command" | tee "$file"
  from=$SECONDS
  { uptime; timeout -k 10 "$each_limit" bash -c "$command"; } >> "$file" 2>&1
  code=$?
  if [ $code -eq 0 ]; then
    echo "ended well" >> "$file"
    done=$((done + 1))
  else
    failed=$((failed + 1))
    echo "   failed with $code after $((SECONDS - from)) s: see $file"
  fi
done 3< <(each)
echo "$n commands: $done ended well, $failed failed, $without left out, $left not begun; $((SECONDS - begin)) s; $out"
[ $((failed + left)) -eq 0 ]
