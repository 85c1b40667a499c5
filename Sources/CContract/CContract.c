// The contract's two texts, as they are in the files. C's #embed (of C23, and clang's extension
// before) takes no time; the same bytes as an array literal in Swift took 80 s of a release build.

#include "CContract.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char json[] = {
#embed "openapi.json"
};

static const unsigned char yaml[] = {
#embed "openapi.yaml"
};

const struct ccontract_text ccontract_json = {json, sizeof json};
const struct ccontract_text ccontract_yaml = {yaml, sizeof yaml};
