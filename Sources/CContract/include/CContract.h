// The contract of the HTTP API, compiled in.

#ifndef CCONTRACT_H
#define CCONTRACT_H

#include <stddef.h>

struct ccontract_text {
    const unsigned char *bytes;
    size_t count;
};

// openapi.yaml as JSON.
extern const struct ccontract_text ccontract_json;

// openapi.yaml.
extern const struct ccontract_text ccontract_yaml;

#endif
