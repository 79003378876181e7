// A plugin for qemu's user-mode emulators that counts the instructions of the emulated program:
//
//   QEMU_PLUGIN=libguest_instructions.so,out=FILE qemu-aarch64 PROGRAM
//
// writes their number to FILE when the program ends. Emulation says nothing about time, but how
// many instructions a program executes it says exactly.
//
// Debian ships no qemu-plugin.h, so that what is needed of it is declared here, by its
// documentation: API version 1, which qemu 4.2 to 8.2 load.
#include <atomic>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

extern "C" {

// What qemu has.
struct Block;  // of guest code, translated
enum CallbackFlags { kNoRegisters };

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*f)(uint64_t id, Block* block));
void qemu_plugin_register_vcpu_tb_exec_cb(Block* block, void (*f)(unsigned cpu, void* data),
                                          CallbackFlags flags, void* data);
size_t qemu_plugin_tb_n_insns(const Block* block);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*f)(uint64_t id, void* data), void* data);

// What qemu looks for.
extern const int qemu_plugin_version = 1;
int qemu_plugin_install(uint64_t id, const void* info, int argc, char** argv);

}  // extern "C"

namespace {

std::atomic<uint64_t> executed{0};  // by all threads of the guest
const char* out = nullptr;

// `data` is the number of instructions in the block.
void Execute(unsigned, void* data) {
  executed.fetch_add(reinterpret_cast<uintptr_t>(data), std::memory_order_relaxed);
}

void Translate(uint64_t, Block* block) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): a number where the interface has a pointer
  void* const instructions = reinterpret_cast<void*>(qemu_plugin_tb_n_insns(block));
  qemu_plugin_register_vcpu_tb_exec_cb(block, Execute, kNoRegisters, instructions);
}

void Exit(uint64_t, void*) {
  std::FILE* file = std::fopen(out, "w");
  if (file == nullptr) return std::perror(out);
  std::fprintf(file, "%" PRIu64 "\n", executed.load());
  std::fclose(file);
}

}  // namespace

// argv: "out=FILE"; valid as long as the plugin is loaded.
int qemu_plugin_install(uint64_t id, const void*, int argc, char** argv) {
  if (argc != 1 || std::strncmp(argv[0], "out=", 4) != 0) {
    std::fputs("guest_instructions: expected one argument, out=FILE\n", stderr);
    return 1;
  }
  out = argv[0] + 4;
  qemu_plugin_register_vcpu_tb_trans_cb(id, Translate);
  qemu_plugin_register_atexit_cb(id, Exit, nullptr);
  return 0;
}
