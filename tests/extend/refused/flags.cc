#include "core/compiler_check.h"

int main() { return tvl::CompilerKeepsRoundings() ? 0 : 1; }
