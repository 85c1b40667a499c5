// Expat's C interface, as it is: names and texts are UTF-8.

#ifndef CEXPAT_H
#define CEXPAT_H

#include <expat.h>

#ifdef XML_UNICODE
#error "Expat is built with UTF-16 strings; gfpd needs one with UTF-8 strings."
#endif

#endif
