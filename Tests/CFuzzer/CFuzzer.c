/* The library is linked by the sanitizer. */
#include "CFuzzer.h"
