#include "models/import/gguf_dequantize.h"

#include <cstdint>
#include <cstring>

#include "core/bfloat16.h"
#include "core/float16.h"

namespace tvl {
namespace {

constexpr size_t kBlock = 32;
constexpr size_t kSuper = 256;  // weights of a block of the K types

uint8_t Byte(const std::byte* at) { return std::to_integer<uint8_t>(*at); }
int Signed(const std::byte* at) { return std::to_integer<int8_t>(*at); }
uint32_t Low(const std::byte* at) { return Byte(at) & 0xfu; }
uint32_t High(const std::byte* at) { return Byte(at) >> 4; }

uint16_t HalfBits(const std::byte* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof(bits));
  return bits;
}
float Half(const std::byte* at) { return F16ToF32(HalfBits(at)); }
float F(int number) { return static_cast<float>(number); }
float F(uint32_t number) { return static_cast<float>(number); }

// Nibble i of the 32 of a block of 16 bytes: all the low ones, then all the high ones.
uint32_t Nibble(const std::byte* quants, size_t i) {
  return i < kBlock / 2 ? Low(quants + i) : High(quants + i - kBlock / 2);
}
// The low or the high ones of `count` bytes, a multiple of eight, at a time eight.
void CopyNibbles(const std::byte* bytes, bool high, size_t count, int8_t* out) {
  for (size_t i = 0; i < count; i += sizeof(uint64_t)) {
    uint64_t both;
    std::memcpy(&both, bytes + i, sizeof(both));
    const uint64_t nibbles = (high ? both >> 4 : both) & 0x0f0f0f0f0f0f0f0f;
    std::memcpy(out + i, &nibbles, sizeof(nibbles));
  }
}
// All 32.
void CopyNibbles(const std::byte* quants, int8_t* out) {
  CopyNibbles(quants, /*high=*/false, kBlock / 2, out);
  CopyNibbles(quants, /*high=*/true, kBlock / 2, out + kBlock / 2);
}
// Quant i of Q5_0 and Q5_1: 32 fifth bits, then the nibbles.
uint32_t FiveBits(const std::byte* bits, size_t i) {
  return Nibble(bits + 4, i) | (Byte(bits + i / 8) >> (i % 8) & 1u) << 4;
}

void RowF32(const std::byte* row, size_t cols, float* out) {
  std::memcpy(out, row, cols * sizeof(float));
}
void RowF16(const std::byte* row, size_t cols, float* out) {
  for (size_t i = 0; i < cols; ++i) out[i] = F16ToF32(HalfBits(row + i * sizeof(uint16_t)));
}
void RowBF16(const std::byte* row, size_t cols, float* out) {
  for (size_t i = 0; i < cols; ++i) out[i] = BF16ToF32(HalfBits(row + i * sizeof(uint16_t)));
}

// --- Blocks of 32: scale, minimum where there is one, quants
// --------------------------------------

void BlockQ40(const std::byte* b, float* out) {
  const float d = Half(b);
  for (size_t i = 0; i < kBlock; ++i) out[i] = d * (F(Nibble(b + 2, i)) - 8);
}

void BlockQ41(const std::byte* b, float* out) {
  const float d = Half(b), m = Half(b + 2);
  for (size_t i = 0; i < kBlock; ++i) out[i] = d * F(Nibble(b + 4, i)) + m;
}

void BlockQ50(const std::byte* b, float* out) {
  const float d = Half(b);
  for (size_t i = 0; i < kBlock; ++i) out[i] = d * (F(FiveBits(b + 2, i)) - 16);
}

void BlockQ51(const std::byte* b, float* out) {
  const float d = Half(b), m = Half(b + 2);
  for (size_t i = 0; i < kBlock; ++i) out[i] = d * F(FiveBits(b + 4, i)) + m;
}

void BlockQ80(const std::byte* b, float* out) {
  const float d = Half(b);
  for (size_t i = 0; i < kBlock; ++i) out[i] = d * F(Signed(b + 2 + i));
}

// What the nibbles of IQ4_NL and IQ4_XS stand for.
constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113};

void BlockIQ4NL(const std::byte* b, float* out) {
  const float d = Half(b);
  for (size_t i = 0; i < kBlock; ++i) out[i] = d * F(int{kIq4Values[Nibble(b + 2, i)]});
}

// --- Superblocks of 256 with scales of their blocks
// -----------------------------------------------

// 16 blocks of 16, each with a byte of scale and minimum in its nibbles; quants of 2 bits, a byte
// for the weights j, j + 32, j + 64 and j + 96 of each half; then the scales of the scales and of
// the minima.
void BlockQ2K(const std::byte* b, float* out) {
  const std::byte* quants = b + 16;
  const float d = Half(b + 80), dmin = Half(b + 82);
  for (size_t i = 0; i < kSuper; ++i) {
    const uint32_t quant = Byte(quants + i / 128 * 32 + i % 32) >> (i % 128 / 32 * 2) & 3u;
    const std::byte* scale = b + i / 16;
    out[i] = d * F(Low(scale)) * F(quant) - dmin * F(High(scale));
  }
}

// Scale i of the 16 of Q3_K: of 6 bits, less 32. The low four bits are nibbles of the first 8
// bytes, the high two are pairs of bits of the last 4.
int ScaleQ3K(const std::byte* scales, size_t i) {
  const uint32_t low = i < 8 ? Low(scales + i) : High(scales + i - 8);
  const uint32_t high = Byte(scales + 8 + i % 4) >> (i / 4 * 2) & 3u;
  return static_cast<int>(low | high << 4) - 32;
}

// 32 bytes of third bits (bit i / 32 of byte i % 32; where it is 0, 4 is subtracted), quants as
// Q2_K's, 12 bytes of scales, their scale.
void BlockQ3K(const std::byte* b, float* out) {
  const std::byte* quants = b + 32;
  const float d = Half(b + 108);
  for (size_t i = 0; i < kSuper; ++i) {
    const int low = Byte(quants + i / 128 * 32 + i % 32) >> (i % 128 / 32 * 2) & 3;
    const bool third = Byte(b + i % 32) >> (i / 32) & 1;
    out[i] = d * F(ScaleQ3K(b + 96, i / 16)) * F(third ? low : low - 4);
  }
}

// Scale and minimum of block i of the 8 of Q4_K and Q5_K, of 6 bits each in 12 bytes: those of the
// first four blocks in the low bits of bytes 0 to 3 and 4 to 7; of the others in nibbles of bytes 8
// to 11, with their high bits above those of the first.
struct ScaleAndMinimum {
  uint32_t scale, minimum;
};
ScaleAndMinimum ScalesQ4K(const std::byte* scales, size_t i) {
  if (i < 4) return {Byte(scales + i) & 63u, Byte(scales + 4 + i) & 63u};
  const uint32_t scale_high = Byte(scales + i - 4) >> 6, minimum_high = Byte(scales + i) >> 6;
  return {Low(scales + 4 + i) | scale_high << 4, High(scales + 4 + i) | minimum_high << 4};
}

// Quant i of Q4_K, and the low bits of Q5_K's: of each 64 weights, 32 low and 32 high nibbles.
uint32_t QuantQ4K(const std::byte* quants, size_t i) {
  const std::byte* at = quants + i / 64 * 32 + i % 32;
  return i % 64 < 32 ? Low(at) : High(at);
}

// The scales of scales and of minima, 12 bytes of these, quants.
void BlockQ4K(const std::byte* b, float* out) {
  const float d = Half(b), dmin = Half(b + 2);
  for (size_t i = 0; i < kSuper; ++i) {
    const ScaleAndMinimum block = ScalesQ4K(b + 4, i / 32);
    out[i] = d * F(block.scale) * F(QuantQ4K(b + 16, i)) - dmin * F(block.minimum);
  }
}

// As Q4_K, with 32 bytes of fifth bits (bit i / 32 of byte i % 32) before the quants.
void BlockQ5K(const std::byte* b, float* out) {
  const float d = Half(b), dmin = Half(b + 2);
  for (size_t i = 0; i < kSuper; ++i) {
    const ScaleAndMinimum block = ScalesQ4K(b + 4, i / 32);
    const uint32_t fifth = Byte(b + 16 + i % 32) >> (i / 32) & 1u;
    const uint32_t quant = QuantQ4K(b + 48, i) | fifth << 4;
    out[i] = d * F(block.scale) * F(quant) - dmin * F(block.minimum);
  }
}

// 128 bytes of the quants' low nibbles: of each 128 weights, 64 low ones and 64 high ones; 64 bytes
// of two more bits, as Q2_K's quants; 16 scales of blocks of 16, their scale.
void BlockQ6K(const std::byte* b, float* out) {
  const float d = Half(b + 208);
  for (size_t i = 0; i < kSuper; ++i) {
    const std::byte* at = b + i / 128 * 64 + i % 64;
    const int low = static_cast<int>(i % 128 < 64 ? Low(at) : High(at));
    const int high = Byte(b + 128 + i / 128 * 32 + i % 32) >> (i % 128 / 32 * 2) & 3;
    out[i] = d * F(Signed(b + 192 + i / 16)) * F((low | high << 4) - 32);
  }
}

// A scale, 2 bytes of the high two bits of the 8 blocks' scales, 4 bytes of their low nibbles, and
// blocks of 32 nibbles as IQ4_NL's.
void BlockIQ4XS(const std::byte* b, float* out) {
  const float d = Half(b);
  const uint32_t high = HalfBits(b + 2);
  for (size_t i = 0; i < kSuper; ++i) {
    const size_t block = i / 32;
    const std::byte* pair = b + 4 + block / 2;
    const uint32_t low = block % 2 == 0 ? Low(pair) : High(pair);
    const int scale = static_cast<int>(low | (high >> (2 * block) & 3u) << 4) - 32;
    out[i] = d * F(scale) * F(int{kIq4Values[Nibble(b + 8 + block * 16, i % 32)]});
  }
}

using DequantizeBlock = void (*)(const std::byte* block, float* out);

DequantizeBlock BlockOf(GgufTensorType type) {
  switch (type) {
    case GgufTensorType::kF32:
    case GgufTensorType::kF16:
    case GgufTensorType::kBF16:
      break;  // no blocks
    case GgufTensorType::kQ40:
      return BlockQ40;
    case GgufTensorType::kQ41:
      return BlockQ41;
    case GgufTensorType::kQ50:
      return BlockQ50;
    case GgufTensorType::kQ51:
      return BlockQ51;
    case GgufTensorType::kQ80:
      return BlockQ80;
    case GgufTensorType::kQ2K:
      return BlockQ2K;
    case GgufTensorType::kQ3K:
      return BlockQ3K;
    case GgufTensorType::kQ4K:
      return BlockQ4K;
    case GgufTensorType::kQ5K:
      return BlockQ5K;
    case GgufTensorType::kQ6K:
      return BlockQ6K;
    case GgufTensorType::kIQ4NL:
      return BlockIQ4NL;
    case GgufTensorType::kIQ4XS:
      return BlockIQ4XS;
  }
  return nullptr;
}

// The scales and minima of Q4_K's and Q5_K's 8 blocks, as bytes.
void TakeScalesQ4K(const std::byte* scales, QuantizedSuperblock* out) {
  for (size_t i = 0; i < kSuper / kBlock; ++i) {
    const ScaleAndMinimum block = ScalesQ4K(scales, i);
    out->scales[i] = static_cast<uint8_t>(block.scale);
    out->minima[i] = static_cast<uint8_t>(block.minimum);
  }
}

// Both nibbles of 32 bytes at a time: 64 quants.
void TakeQuantsQ4K(const std::byte* quants, QuantizedSuperblock* out) {
  for (size_t i = 0; i < kSuper / 64; ++i) {
    int8_t* to = reinterpret_cast<int8_t*>(out->quants) + i * 64;
    CopyNibbles(quants + i * kBlock, /*high=*/false, kBlock, to);
    CopyNibbles(quants + i * kBlock, /*high=*/true, kBlock, to + kBlock);
  }
}

void TakeQ4K(const std::byte* b, QuantizedSuperblock* out) {
  out->scale = HalfBits(b);
  out->minimum = HalfBits(b + 2);
  TakeScalesQ4K(b + 4, out);
  TakeQuantsQ4K(b + 16, out);
}

void TakeQ5K(const std::byte* b, QuantizedSuperblock* out) {
  out->scale = HalfBits(b);
  out->minimum = HalfBits(b + 2);
  TakeScalesQ4K(b + 4, out);
  TakeQuantsQ4K(b + 48, out);
  for (size_t i = 0; i < kSuper; ++i) {
    const uint32_t fifth = Byte(b + 16 + i % 32) >> (i / 32) & 1u;
    out->quants[i] = static_cast<uint8_t>(out->quants[i] | fifth << 4);
  }
}

void TakeQ6K(const std::byte* b, QuantizedSuperblock* out) {
  out->scale = HalfBits(b + 208);
  out->minimum = 0;
  std::memcpy(out->scales, b + 192, sizeof(out->scales));
  // Of each 128: the low nibbles of 64 bytes, then the high ones.
  for (size_t half = 0; half < 2; ++half) {
    int8_t* to = reinterpret_cast<int8_t*>(out->quants) + half * 128;
    CopyNibbles(b + half * 64, /*high=*/false, 64, to);
    CopyNibbles(b + half * 64, /*high=*/true, 64, to + 64);
    for (size_t i = 0; i < 128; ++i) {
      const uint32_t high = Byte(b + 128 + half * 32 + i % 32) >> (i / 32 * 2) & 3u;
      to[i] = static_cast<int8_t>(to[i] | static_cast<int>(high << 4));
    }
  }
}

// A block of 32. (Its result is made where the caller wants it.)
QuantizedBlock TakeBlock(const GgufTypeInfo& info, const std::byte* b) {
  QuantizedBlock out = {.quants = {}, .scale = HalfBits(b), .minimum = 0};
  switch (info.type) {
    case GgufTensorType::kQ80:
      std::memcpy(out.quants, b + 2, kBlock);
      break;
    case GgufTensorType::kQ50:
      for (size_t i = 0; i < kBlock; ++i)
        out.quants[i] = static_cast<int8_t>(static_cast<int>(FiveBits(b + 2, i)) - 16);
      break;
    case GgufTensorType::kQ41:
      out.minimum = HalfBits(b + 2);
      CopyNibbles(b + 4, out.quants);
      break;
    default:  // Q4_0
      CopyNibbles(b + 2, out.quants);
      break;
  }
  return out;
}

}  // namespace

void DequantizeGgufRow(GgufTensorType type, const std::byte* row, size_t cols, float* out) {
  if (type == GgufTensorType::kF32) return RowF32(row, cols, out);
  if (type == GgufTensorType::kF16) return RowF16(row, cols, out);
  if (type == GgufTensorType::kBF16) return RowBF16(row, cols, out);
  const GgufTypeInfo& info = *FindGgufType(static_cast<uint32_t>(type));
  const DequantizeBlock block = BlockOf(type);
  for (size_t k = 0; k < cols; k += info.block_weights, row += info.block_bytes)
    block(row, out + k);
}

QuantizedBlock TakeGgufBlock(const GgufTypeInfo& info, const std::byte* row, size_t block) {
  return TakeBlock(info, row + block * info.block_bytes);
}

void TakeGgufSuperblock(const GgufTypeInfo& info, const std::byte* row, size_t superblock,
                        QuantizedSuperblock* out) {
  const std::byte* b = row + superblock * info.block_bytes;
  if (info.type == GgufTensorType::kQ4K) return TakeQ4K(b, out);
  if (info.type == GgufTensorType::kQ5K) return TakeQ5K(b, out);
  TakeQ6K(b, out);
}

}  // namespace tvl
