#!/usr/bin/env bash
# Sweeps on a real Slurm: two nodes on loopback, started here and stopped at the end, by pid files. Fails when Slurm
# cannot start. `$1` is the program; SLURM_TEST_PORT is the first four digits of its ports.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
saerun=$(realpath "$1")
dir=$(mktemp -d)
# munged refuses a folder that others cannot pass through.
chmod 755 "$dir"
export PATH=$PATH:/usr/sbin:/sbin SLURM_CONF=$dir/etc/slurm.conf NO_COLOR=1

stop() {
    code=$?
    for pid in slurmd-n1 slurmd-n2 slurmctld munged; do
        [ ! -f "$dir/run/$pid.pid" ] || kill "$(cat "$dir/run/$pid.pid")" 2>/dev/null || true
    done
    if [ "$code" != 0 ]; then
        tail -n 20 "$dir"/log/*.log >&2 || true
        echo "FAILED" >&2
    fi
    # The daemons write into it until they have ended.
    sleep 1
    rm -rf "$dir" || true
    exit "$code"
}
trap stop EXIT

# until_ok SECONDS COMMAND..: waits until the command succeeds.
until_ok() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || { echo "error: never true: $*" >&2; return 1; }
        sleep 0.2
    done
}
passed() { echo "ok: $*"; }
# The command line of a transcript, then what it prints; the exit code is in $code.
show() {
    echo "$ ${*/#$saerun/saerun}"
    code=0
    "$@" || code=$?
    echo "(exit code $code)"
}

mkdir -p "$dir"/{etc,run,log,state,spool/n1,spool/n2,munge}
chmod 700 "$dir/munge"
head -c 128 /dev/urandom >"$dir/munge/munge.key"
chmod 400 "$dir/munge/munge.key"
sed -e "s|@DIR@|$dir|; s|@HOST@|$(hostname -s)|; s|@USER@|$(id -un)|; s|@PORT@|${SLURM_TEST_PORT:-1681}|; s|@CPUS@|$(nproc)|" \
    "$here/slurm.conf.in" >"$SLURM_CONF"
munged --key-file="$dir/munge/munge.key" --socket="$dir/run/munge.socket" --pid-file="$dir/run/munged.pid" \
    --log-file="$dir/log/munged.log" --seed-file="$dir/munge/munged.seed" --num-threads=2
slurmctld -c -f "$SLURM_CONF"
slurmd -N n1 -c -f "$SLURM_CONF"
slurmd -N n2 -c -f "$SLURM_CONF"
both_idle() { [ "$(sinfo -h -N -o %t | grep -c '^idle$')" = 2 ]; }
until_ok 30 both_idle
passed "Slurm is up with two nodes"
! sacct >/dev/null 2>&1
passed "accounting is off"

# Each in a project of its own, so that none finds the other's results in the cache.
for project in local slurm killed drained; do
    mkdir "$dir/$project"
    cp "$here"/{grid.yaml,train.rhai} "$dir/$project"
done
same() { cmp "$dir/local/sweeps/grid/tables/scores.csv" "$dir/$1/sweeps/grid/tables/scores.csv"; }

cd "$dir/local"
"$saerun" sweep grid.yaml
"$saerun" sweep collect sweeps/grid

cd "$dir/slurm"
"$saerun" sweep grid.yaml --engine slurm --wait
"$saerun" sweep collect sweeps/grid
same slurm
[ "$(grep -c '"job"' sweeps/grid/jobs.json)" = 2 ]
passed "tables of local and Slurm have the same bytes, over two arrays"

cd "$dir/killed"
show "$saerun" sweep grid.yaml --engine slurm --max-running 2
job=$(sed -n 's/.*"job": "\([0-9]*\)".*/\1/p' sweeps/grid/jobs.json | head -n 1)
has_checkpoint() { ls .saerun/cache/sae.train/*.checkpoint; }
until_ok 60 has_checkpoint
# One task dies like a process that ran out of memory, the other is told that its time is up.
show scancel --full --signal=KILL "${job}_0"
# What `--signal=B:USR1@60` does. scancel goes on asking until the task is queued again, and complains then.
echo "$ scancel --batch --signal=USR1 ${job}_1"
scancel --batch --signal=USR1 "${job}_1" 2>/dev/null || true
requeued() { squeue -h -r -j "$job" -o '%i|%T|%r' | grep "^${job}_1|PENDING|BeginTime"; }
until_ok 60 requeued
grep -q "cell 1 was stopped and will go on where it was" "sweeps/grid/log/${job}_1.txt"
show cat "sweeps/grid/log/${job}_1.txt"
passed "the time limit makes a checkpoint, and the task is queued again"
scontrol update "JobId=${job}_1" StartTime=now
ended() { "$saerun" sweep status sweeps/grid | grep -q "^5 done, 1 ended$"; }
until_ok 120 ended
show "$saerun" sweep status sweeps/grid
show "$saerun" sweep collect sweeps/grid
[ "$code" = 5 ]
checkpoint=$(has_checkpoint)
show "$saerun" sweep resume sweeps/grid --wait
[ "$code" = 0 ]
[ ! -e "$checkpoint" ]
show "$saerun" sweep collect sweeps/grid
[ "$code" = 0 ]
same killed
passed "a cell killed, one stopped by the time limit: resumed, the same bytes"

cd "$dir/drained"
scontrol update NodeName=n1 State=DRAIN Reason=test
"$saerun" sweep grid.yaml --engine slurm --pack 4 --wait
"$saerun" sweep collect sweeps/grid
same drained
scontrol update NodeName=n1 State=RESUME
passed "a node drained, cells in packs: the same bytes"

cd "$dir/drained"
"$saerun" sweep train.rhai --grid seed=10..14 --set tokens=4_000_000 --dir sweeps/long --engine slurm
running() { "$saerun" sweep status sweeps/long | tail -n 1 | grep -q running; }
until_ok 30 running
"$saerun" sweep cancel sweeps/long
all_ended() { "$saerun" sweep status sweeps/long | grep -q "^4 ended$"; }
until_ok 60 all_ended
passed "cancel ends every task, and none comes back"
echo "all passed in ${SECONDS}s"
