#!/bin/sh
# Compiles every .cu beside this file to the PTX that ships; the same clang gives the same bytes. --check compares instead of writing.
set -eu
cd "$(dirname "$0")"
clang=${CLANG:-clang-14}
status=0
for source in *.cu; do
    target="${source%.cu}.ptx"
    made=$(mktemp)
    "$clang" -x cuda --cuda-device-only --cuda-gpu-arch=sm_70 -Xclang -target-feature -Xclang +ptx63 -nocudainc -nocudalib \
        -O2 -ffp-contract=off -fno-ident -S -o "$made" "$source"
    if grep -n '\.extern \.func' "$made"; then echo "$source: calls a function that nobody defines" >&2; status=1; fi
    if grep -nE '\b(mul|add|sub|fma)\.f32' "$made"; then echo "$source: a float operation without a rounding, which the driver may fuse" >&2; status=1; fi
    if grep -nE '\b(shfl|vote)\.[^s]' "$made"; then echo "$source: a shuffle or a vote without .sync" >&2; status=1; fi
    if [ "${1:-}" = --check ]; then
        cmp -s "$made" "$target" || { echo "$target: not what $clang makes of $source; run Kernels/build.sh" >&2; status=1; }
    else
        cp "$made" "$target"
    fi
    rm -f "$made"
done
exit $status
