/* libFuzzer's entry for programs that have a main of their own
 * (https://llvm.org/docs/LibFuzzer.html, "Using libFuzzer as a library"). */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Runs `target` on inputs until an option says to stop; 0 where none of them was a finding. */
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*target)(const uint8_t *bytes, size_t count));
