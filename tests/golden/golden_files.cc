#include "tests/golden/golden_files.h"

#include <fstream>
#include <iterator>
#include <sstream>

namespace tvl {

std::string GoldenText(const std::string& file) {
  std::ifstream in("tests/golden/" + file, std::ios::binary);
  if (!in) return "cannot read tests/golden/" + file;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string GoldenFingerprint(const std::string& model) {
  std::istringstream lines(GoldenText("fingerprints.txt"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(model + " ")) return line.substr(model.size() + 1);
  }
  return "fingerprints.txt has no " + model;
}

}  // namespace tvl
