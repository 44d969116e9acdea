#!/bin/sh
# One night: clean up after a killed night, judge, try again what failed, compare with the night before, show the trend.
#
# Needs xencbt on PATH. What is judged, and how, comes from the environment, an option a variable: XENCBT_TARGET, XENCBT_USER,
# XENCBT_SR, XENCBT_FINGERPRINT, XENCBT_ALLOW, XENCBT_SPEED, XENCBT_BUDGET, …; the password is XENCBT_PASSWORD, a masked secret.
# Without a target an emulated host is judged. To be kept from night to night: history/ and journals/. To be shown: reports/.
#
# Exit code: that of the run (docs/nightly.md). A row that passes at its second attempt is flaky, and stays red.
set -eu
export XENCBT_JOURNAL_DIR=journals
mkdir -p history journals
rm -rf reports
last=$(find history -mindepth 1 -maxdepth 1 -type d | sort | tail -n 1)

xencbt clean --journal-dir journals

code=0
xencbt run --quiet --out reports/run || code=$?
[ -f reports/run/run.json ] || exit "$code"
result=reports/run
if [ "$code" -eq 1 ] || [ "$code" -eq 2 ]; then
    xencbt run --rerun reports/run --quiet --out reports/again || echo "the second attempt ended with $?"
    [ ! -f reports/again/run.json ] || result=reports/again
fi

if [ -n "$last" ]; then
    xencbt compare "$last" "$result" --markdown reports/compare.md --html reports/compare.html || echo "compare: exit $?"
    xencbt report "$result" --since "$last"
fi

if [ "$code" -le 2 ]; then # another night may be compared with this one
    cp -r "$result" "history/$(date -u +%Y-%m-%dT%H%M%SZ)"
    find history -mindepth 1 -maxdepth 1 -type d | sort -r | tail -n +31 | xargs -r rm -r
    xencbt trend history/* --html reports/trend.html
fi
exit "$code"
