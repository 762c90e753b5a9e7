#!/bin/sh
# The scripted agent: stands where an agent program would, in tests and in the demo.
#
# It asks `gt hook` what hangs on its hook and follows $GT_PLAN_DIR/<bead>.<n>.plan, where n counts its starts
# for that bead; when the n-th plan is missing, the last one there. Each line of a plan is one step:
#
#   write PATH TEXT     PATH becomes TEXT and a newline; \n and the like as in printf %b
#   append PATH TEXT    TEXT and a newline go to the end of PATH
#   exec PATH           makes PATH executable
#   remove PATH         removes PATH
#   commit MESSAGE      commits everything in the worktree
#   gt ARGUMENTS        runs gt, its arguments quoted as in a shell; the agent ends with gt's code when it fails
#   say TEXT            prints TEXT
#   sleep SECONDS       sleeps
#   hang                sleeps until it is killed
#   die CODE            ends with CODE
#   sh COMMAND          runs a shell command
#
# Empty lines and lines that begin with # are passed over. Only plans that are trusted like code belong here.
set -u

say() { printf '%s\n' "$*"; }
fail() { printf 'agent: %s\n' "$*" >&2; exit 1; }

[ -n "${GT_PLAN_DIR:-}" ] || fail 'GT_PLAN_DIR names no directory of plans'

gt prime || fail 'gt prime failed'

# The first "bead" with a text is the one in the hook; quotes inside of texts are escaped, so no title can pose as it.
hook=$(gt hook --json) || { say 'nothing on the hook'; exit 0; }
bead=$(printf '%s' "$hook" | tr ',{}' '\n\n\n' | sed -n 's/^[[:space:]]*"bead"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' | head -n 1)
[ -n "$bead" ] || { say 'nothing on the hook'; exit 0; }

# Which start this is. One agent works on a bead at a time, so nobody else counts meanwhile.
count_file=$GT_PLAN_DIR/$bead.starts
count=0
if [ -r "$count_file" ]; then read -r count < "$count_file"; fi
count=$((count + 1))
printf '%s\n' "$count" > "$count_file.new.$$" && mv "$count_file.new.$$" "$count_file"

number=$count
while [ "$number" -gt 0 ] && ! [ -r "$GT_PLAN_DIR/$bead.$number.plan" ]; do number=$((number - 1)); done
[ "$number" -gt 0 ] || fail "there is no plan for $bead in $GT_PLAN_DIR"
plan=$GT_PLAN_DIR/$bead.$number.plan
say "start $count for $bead, plan $number"

with_directory() { case $1 in */*) mkdir -p "${1%/*}" ;; esac; }

step() {
    verb=${1%% *}
    rest=${1#"$verb"}
    rest=${rest# }
    path=${rest%% *}
    text=${rest#"$path"}
    text=${text# }
    case $verb in
        write) with_directory "$path" && printf '%b\n' "$text" > "$path" ;;
        append) with_directory "$path" && printf '%b\n' "$text" >> "$path" ;;
        exec) chmod +x "$rest" ;;
        remove) rm -rf -- "$rest" ;;
        commit) git add -A && git commit -q -m "$rest" ;;
        gt) eval "gt $rest" ;;
        say) say "$rest" ;;
        sleep) sleep "$rest" ;;
        hang) while :; do sleep 60; done ;;
        die) exit "$rest" ;;
        sh) sh -c "$rest" ;;
        *) fail "a plan cannot say '$verb'" ;;
    esac
}

# The plan comes by another descriptor, so that no step eats the rest of it as its input.
while IFS= read -r line <&3 || [ -n "$line" ]; do
    case $line in '' | '#'*) continue ;; esac
    say "> $line"
    step "$line" 3<&- || { code=$?; say "agent: '$line' ended with $code"; exit "$code"; }
done 3< "$plan"
