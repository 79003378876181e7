"""XXH3-64 with seed 0, after the specification at https://xxhash.com, in plain Python."""

import struct

_M32 = 0xFFFFFFFF
_M64 = 0xFFFFFFFFFFFFFFFF
_P32_1, _P32_2, _P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
_P64_1, _P64_2, _P64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P64_4, _P64_5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
_MX1, _MX2 = 0x165667919E3779F9, 0x9FB21C651E98DF25

_SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)


def _u32(data, at):
    return struct.unpack_from("<I", data, at)[0]


def _u64(data, at):
    return struct.unpack_from("<Q", data, at)[0]


def _secret(at):
    return _u64(_SECRET, at)


def _swap64(x):
    return int.from_bytes(x.to_bytes(8, "little"), "big")


def _rotate(x, n):
    return (x << n | x >> (64 - n)) & _M64


def _fold(a, b):
    product = a * b
    return (product & _M64) ^ (product >> 64)


def _avalanche(h):
    h ^= h >> 37
    h = h * _MX1 & _M64
    return h ^ h >> 32


def _avalanche64(h):
    h ^= h >> 33
    h = h * _P64_2 & _M64
    h ^= h >> 29
    h = h * _P64_3 & _M64
    return h ^ h >> 32


def _mix16(data, at, secret):
    return _fold(_u64(data, at) ^ _secret(secret), _u64(data, at + 8) ^ _secret(secret + 8))


def _up_to_16(data):
    n = len(data)
    if n > 8:
        low = _u64(data, 0) ^ _secret(24) ^ _secret(32)
        high = _u64(data, n - 8) ^ _secret(40) ^ _secret(48)
        return _avalanche((n + _swap64(low) + high + _fold(low, high)) & _M64)
    if n >= 4:
        h = (_u32(data, n - 4) + (_u32(data, 0) << 32)) ^ _secret(8) ^ _secret(16)
        h ^= _rotate(h, 49) ^ _rotate(h, 24)
        h = h * _MX2 & _M64
        h ^= (h >> 35) + n
        h = h * _MX2 & _M64
        return h ^ h >> 28
    if n > 0:
        combined = data[0] << 16 | data[n >> 1] << 24 | data[n - 1] | n << 8
        return _avalanche64(combined ^ _u32(_SECRET, 0) ^ _u32(_SECRET, 4))
    return _avalanche64(_secret(56) ^ _secret(64))


def _up_to_240(data):
    n = len(data)
    acc = n * _P64_1
    if n <= 128:
        for i in reversed(range((n - 1) // 32 + 1)):
            acc += _mix16(data, 16 * i, 32 * i) + _mix16(data, n - 16 * (i + 1), 32 * i + 16)
        return _avalanche(acc & _M64)
    for i in range(8):
        acc += _mix16(data, 16 * i, 16 * i)
    acc = _avalanche(acc & _M64)
    for i in range(8, n // 16):
        acc += _mix16(data, 16 * i, 16 * (i - 8) + 3)
    acc += _mix16(data, n - 16, 136 - 17)
    return _avalanche(acc & _M64)


def _stripe(acc, data, at, secret):
    for i in range(8):
        word = _u64(data, at + 8 * i)
        key = word ^ _secret(secret + 8 * i)
        acc[i ^ 1] = (acc[i ^ 1] + word) & _M64
        acc[i] = (acc[i] + (key & _M32) * (key >> 32)) & _M64


def _long(data):
    n = len(data)
    acc = [_P32_3, _P64_1, _P64_2, _P64_3, _P64_4, _P32_2, _P64_5, _P32_1]
    for stripe in range((n - 1) // 64):
        _stripe(acc, data, 64 * stripe, 8 * (stripe % 16))
        if stripe % 16 == 15:
            acc = [(a ^ a >> 47 ^ _secret(128 + 8 * i)) * _P32_1 & _M64 for i, a in enumerate(acc)]
    _stripe(acc, data, n - 64, 121)
    result = n * _P64_1
    for i in range(4):
        result += _fold(acc[2 * i] ^ _secret(11 + 16 * i), acc[2 * i + 1] ^ _secret(19 + 16 * i))
    return _avalanche(result & _M64)


def xxh3_64(data):
    """The hash of bytes, as an int."""
    if len(data) <= 16:
        return _up_to_16(data)
    return _up_to_240(data) if len(data) <= 240 else _long(data)
