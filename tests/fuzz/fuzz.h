/* What every fuzz target defines. Always 0; what is wrong ends the process. */
#pragma once
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);
