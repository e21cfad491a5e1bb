#!/usr/bin/env bash
# The check of the action: its inputs come as INPUT_…, its outputs go to the file GITHUB_OUTPUT.
set -euo pipefail
set -f # globs are for doubletext, not for the shell

dir="${INPUT_REPORT_DIR:-doubletext-report}"
arguments=(check)
[ -z "${INPUT_URL:-}" ] || arguments+=("$INPUT_URL")
arguments+=(--report json,junit,html,markdown,sarif --report-dir "$dir")
[ -z "${INPUT_DIALECT:-}" ] || arguments+=(--dialect "$INPUT_DIALECT")
[ -z "${INPUT_BASELINE:-}" ] || arguments+=(--baseline "$INPUT_BASELINE")
[ "${INPUT_STRICT:-false}" != true ] || arguments+=(--strict)
for glob in ${INPUT_ONLY:-}; do arguments+=(--only "$glob"); done
for argument in ${INPUT_ARGUMENTS:-}; do arguments+=("$argument"); done

rm -f "$dir/result.json"
code=0
"${DOUBLETEXT:-doubletext}" "${arguments[@]}" || code=$?

case "$code" in
  0) verdict=passed ;;
  1) verdict=violated ;;
  3) verdict=incomplete ;;
  *) verdict=failed ;;
esac
{
  echo "verdict=$verdict"
  echo "exit-code=$code"
  echo "report=$dir"
  if [ -f "$dir/result.json" ]; then
    python3 - "$dir/result.json" <<'PYTHON'
import json, sys
summary = json.load(open(sys.argv[1], encoding="utf-8"))["summary"]
for name in ("pass", "fail", "inconclusive", "hazards"):
    print(f"{name}={summary[name]}")
PYTHON
  fi
} >>"${GITHUB_OUTPUT:-/dev/stdout}"
exit "$code"
