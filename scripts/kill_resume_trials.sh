#!/usr/bin/env bash
# Kills twenty evaluations at random moments, as by kill -9, resumes them, and compares every file with an uninterrupted run's.
# Usage: scripts/kill_resume_trials.sh   (from the root of the sources; a quarter of an hour)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec ./mvnw -B -Dtest='KillResumeTest#twentyKilledRunsAreResumed' -Dgroups=slow -DexcludedGroups= -Dsurefire.failIfNoSpecifiedTests=false test "$@"
