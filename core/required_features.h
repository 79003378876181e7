// The CPU features that the compiler was told to use, one line each: TVL_FEATURE(macro of the
// compiler, name). Included several times, with TVL_FEATURE defined by the includer; private to
// core/cpu_features_*.cc.
//
// The name of an x86 feature is spelled as in /proc/cpuinfo, that of an ARM feature as its HWCAP.
#if defined(__x86_64__)
#ifdef __SSE4_2__
TVL_FEATURE(sse4_2)
#endif
#ifdef __AVX__
TVL_FEATURE(avx)
#endif
#ifdef __AVX2__
TVL_FEATURE(avx2)
#endif
#ifdef __FMA__
TVL_FEATURE(fma)
#endif
#ifdef __F16C__
TVL_FEATURE(f16c)
#endif
#ifdef __BMI2__
TVL_FEATURE(bmi2)
#endif
#ifdef __AES__
TVL_FEATURE(aes)
#endif
#ifdef __PCLMUL__
TVL_FEATURE(pclmulqdq)
#endif
#ifdef __AVX512F__
TVL_FEATURE(avx512f)
#endif
#ifdef __AVX512BW__
TVL_FEATURE(avx512bw)
#endif
#ifdef __AVX512DQ__
TVL_FEATURE(avx512dq)
#endif
#ifdef __AVX512VL__
TVL_FEATURE(avx512vl)
#endif
#ifdef __AVX512VBMI__
TVL_FEATURE(avx512vbmi)
#endif
#ifdef __AVX512VNNI__
TVL_FEATURE(avx512_vnni)
#endif
#ifdef __GFNI__
TVL_FEATURE(gfni)
#endif
#ifdef __BMI__
TVL_FEATURE(bmi1)
#endif
#ifdef __LZCNT__
TVL_FEATURE(abm)
#endif
#ifdef __MOVBE__
TVL_FEATURE(movbe)
#endif
#ifdef __AVX512VBMI2__
TVL_FEATURE(avx512_vbmi2)
#endif
#ifdef __AVX512VPOPCNTDQ__
TVL_FEATURE(avx512_vpopcntdq)
#endif
#ifdef __AVX512BITALG__
TVL_FEATURE(avx512_bitalg)
#endif
#ifdef __VAES__
TVL_FEATURE(vaes)
#endif
#elif defined(__aarch64__)
#ifdef __ARM_FEATURE_ATOMICS
TVL_FEATURE(atomics)
#endif
#ifdef __ARM_FEATURE_CRC32
TVL_FEATURE(crc32)
#endif
#ifdef __ARM_FEATURE_AES
TVL_FEATURE(aes)
#endif
#ifdef __ARM_FEATURE_FP16_VECTOR_ARITHMETIC
TVL_FEATURE(asimdhp)
#endif
#ifdef __ARM_FEATURE_RCPC
TVL_FEATURE(lrcpc)
#endif
#ifdef __ARM_FEATURE_DOTPROD
TVL_FEATURE(asimddp)
#endif
#ifdef __ARM_FEATURE_MATMUL_INT8
TVL_FEATURE(i8mm)
#endif
#ifdef __ARM_FEATURE_BF16_VECTOR_ARITHMETIC
TVL_FEATURE(bf16)
#endif
#ifdef __ARM_FEATURE_SVE
TVL_FEATURE(sve)
#endif
#endif
